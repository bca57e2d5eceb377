"""Looking into the folder of a run.

The same call on the same shapes gives the same bits, and the tests ask for these. Seeds trained in other company, or a
part of a batch, give the same numbers to rounding: the processor chooses how it adds up by the shape of what it adds.
"""

import csv
import json
from pathlib import Path

import torch

ROUNDING = 1e-5  # of learned tensors of order 0.1 after a few steps; 2e-8 to 7e-6 was seen


READERS = (  # of sentences
    *("vMFCoOp", "vMFPosterior", "vMFPrototypes", "BiomedCoOp", "KgCoOpLLM", "PromptSRCText"),
    *("SSText", "SSTextU", "GDAText", "ZeroshotEnsemble", "ZeroshotSelectiveEnsemble", "ZeroshotDN"),
)


def run_folder(
    output: Path,
    trainer: str,
    dataset: str = "btmri",
    shots: int = 2,
    seed: int = 1,
    published: bool = False,
    reads: bool = False,
    changed: str = "*",
) -> Path:
    """The folder of a run; `changed` is what its name says of settings, by default of the one choice that was run."""
    own = dataset.startswith(("folder-", "table-"))  # with sentences of its own, if any
    reads = (reads or trainer in READERS) and not own
    context = "nctx4_cscFalse_ctpend" + "_published" * published + "_claude" * reads
    parent = output / dataset / f"shots_{shots}" / f"{trainer}_PhantomCLIP"
    if changed != "*":
        return parent / f"{context}__{changed}" / f"seed{seed}"
    found = [path.name for path in parent.glob(f"{context}*") if path.name.partition("__")[0] == context]
    assert len(found) < 2, f"several settings were run: {found}"
    return parent / (found or [context])[0] / f"seed{seed}"


def learned(folder: Path, name: str = "prompt_learner") -> dict[str, torch.Tensor]:
    """The tensors of the one checkpoint that a finished run keeps."""
    (path,) = (folder / name).glob("model.pth.tar-*")
    return torch.load(path, weights_only=True)["state_dict"]


def record(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def probabilities(folder: Path) -> torch.Tensor:
    """Probabilities [N, C] of the classes, image by image, as the run kept them."""
    with (folder / "predictions.csv").open(newline="") as file:
        _, *rows = csv.reader(file)
    return torch.tensor([[float(cell) for cell in row[3:]] for row in rows])


def alike(one: Path, other: Path, name: str = "prompt_learner") -> bool:
    """Whether two runs learned and answer the same to rounding; an answer at a near tie may still be another."""
    states = [learned(folder, name) for folder in (one, other)]
    same = states[0].keys() == states[1].keys()
    same = same and all(torch.allclose(value, states[1][k], atol=ROUNDING, rtol=0) for k, value in states[0].items())
    return same and torch.allclose(probabilities(one), probabilities(other), atol=1e-3, rtol=0)
