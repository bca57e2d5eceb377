"""Looking into the folder of a run."""

import json
from pathlib import Path

import torch


def run_folder(output: Path, trainer: str, dataset: str = "btmri", shots: int = 2, seed: int = 1) -> Path:
    return output / dataset / f"shots_{shots}" / f"{trainer}_PhantomCLIP" / "nctx4_cscFalse_ctpend" / f"seed{seed}"


def learned(folder: Path, name: str = "prompt_learner") -> dict[str, torch.Tensor]:
    """The tensors of the one checkpoint that a finished run keeps."""
    (path,) = (folder / name).glob("model.pth.tar-*")
    return torch.load(path, weights_only=True)["state_dict"]


def record(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())
