"""A cache of the Hugging Face hub with a model from a local folder, for code that loads it from the hub only."""

import json
import shutil
from pathlib import Path

import torch

from clip.families.open_clip_models import NAMES
from clip.families.pmc_clip import BERT
from clip.files import WEIGHTS, Folder
from clip.part import Part
from clip.sanitize import write_files
from clip.weights import check_tensors, read_tensors

BIOMEDCLIP = NAMES["BiomedCLIP"].source.removeprefix("hf-hub:").partition("@")[0]
REVISION = "0" * 40


def write_biomedclip(place: Folder, cache: Path) -> None:
    """Write the open_clip model at `place` to a hub cache, as the repositories of BiomedCLIP and of its text tower.

    Descriptions of the model are written anew, so that they cannot name other files or code to load. Weights are
    linked, after a check that they hold tensors only.

    Raises:
        UserError: a file is missing in the folder, or holds something else.
    """
    weights = place.need(*WEIGHTS)
    described = cache / "described"
    described.mkdir()
    text = write_files(place, described)
    for repo in {BIOMEDCLIP, text.get("hf_model_name") or BIOMEDCLIP, text.get("hf_tokenizer_name") or BIOMEDCLIP}:
        shutil.copytree(described, _snapshot(cache, repo))
    snapshot = _snapshot(cache, BIOMEDCLIP)
    (snapshot / weights.name).symlink_to(weights.resolve())
    if weights.name != WEIGHTS[1]:  # open_clip before 2.30 asks for this file alone
        from safetensors.torch import load_file

        torch.save(load_file(weights), snapshot / WEIGHTS[1])
    else:
        check_tensors(weights)


def write_pmc_bert(place: Folder, cache: Path) -> None:
    """Write PMC-CLIP's text tower to a hub cache, as the repository of BiomedBERT.

    Args:
        place: of its weights, which are linked, and of its tokenizer; this may lie in the user's cache instead.
        cache: an empty folder.
    """
    from clip.families.pmc_clip.model import bert_config, write_tokenizer

    weights = place.need("text_encoder.pth")
    snapshot = _snapshot(cache, BERT)
    snapshot.mkdir()
    (snapshot / "config.json").write_text(json.dumps(bert_config(Part(read_tensors(weights), "", weights))))
    write_tokenizer(place, BERT, snapshot)
    (snapshot / "pytorch_model.bin").symlink_to(weights.resolve())


def _snapshot(cache: Path, repo: str) -> Path:
    """Return the folder for a repository's files, in a cache that knows one revision of it; its parent is made."""
    root = cache / f"models--{repo.replace('/', '--')}"
    for name in ("refs", "snapshots"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "refs/main").write_text(REVISION)
    return root / "snapshots" / REVISION
