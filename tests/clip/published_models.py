"""Models in their published layouts, small, on a machine that has nothing else; and plain open_clip beside them."""

import json
import shutil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from clip import places, testing
from clip.families.open_clip_models import NAMES, published
from clip.families.open_clip_models.published import CONFIG, PUBLISHED
from clip.testing.published import DESCRIBED, build_model, bundled, halved, narrow

TEXTS = ["a photo of a glioma tumor.", "normal brain", "an image showing the lungs, a bright mass: kidney"]
BERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
ALONE = [name for name, model in NAMES.items() if model.weights[0][0] in PUBLISHED]  # without a configuration
COMMIT = "0" * 40


def bare_machine(tmp_path: Path, monkeypatch) -> Path:
    """A machine with nothing on it, and without network; return its root."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(places, "ROOT", tmp_path / "ours")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("BIOMEDCOOP_CHECKOUT", str(tmp_path / "biomedcoop"))
    return tmp_path


def narrow_configs(folder: Path, monkeypatch) -> None:
    """Put narrow models in the place of the bundled configurations, so that files without one are small too."""
    folder.mkdir()
    for name in set(PUBLISHED.values()):
        (folder / f"{name}.json").write_text(json.dumps(narrow(bundled(name))))
    monkeypatch.setattr(published, "CONFIGS", folder)


def write_weights(name: str, folder: Path) -> Path:
    """Write a model's file of weights alone, and what belongs to a tokenizer; return the file."""
    testing.write_model(name, folder, small=True)
    (folder / CONFIG).unlink()
    return folder / NAMES[name].weights[0][0]


def write_cache(root: Path, repo: str, folder: Path) -> None:
    """Put the files of a folder into the hub's cache, as huggingface_hub lays it out."""
    place = root / "hub" / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, place / "snapshots" / COMMIT)


def described(name: str) -> dict:
    """The configuration of a small model."""
    return narrow(DESCRIBED[name]() if name in DESCRIBED else bundled(PUBLISHED[NAMES[name].weights[0][0]]))


def plain(name: str, bert: dict | None = None, half: bool = False, **changes) -> nn.Module:
    """open_clip's own model with the weights that were written for a short name.

    Args:
        name: short name.
        bert: config.json of the text tower.
        half: as in an archive of OpenAI's; PubMedCLIP's always are.
        changes: of the configuration's model_cfg.
    """
    config = described(name)
    config["model_cfg"] |= changes
    model = build_model(config, bert)
    if half or name.startswith("PubMedCLIP"):
        model.load_state_dict({key: tensor.float() for key, tensor in halved(model.state_dict()).items()})
    return model


def pictures(size: int) -> Tensor:
    """Two pictures [2, 3, size, size] with large structures."""
    return 1.5 * interpolate(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3)), size, mode="bilinear")


@torch.no_grad()
def features(model: nn.Module, ids: Tensor, size: int) -> Tensor:
    """Image and text features of unit norm of open_clip's own model, one below the other."""
    return normalize(torch.cat([model.encode_image(pictures(size)), model.encode_text(ids)]), dim=-1)


def ours(backbone) -> Tensor:
    """The same of a backbone."""
    return torch.cat([backbone.encode_image(pictures(backbone.image_size)), backbone.encode_text(TEXTS)])
