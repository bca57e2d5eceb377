"""A folder of weights posing as the Hugging Face hub, for code that knows BiomedCLIP by its address there alone."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch

from clip.build import is_ours, source_of
from clip.families.open_clip_models import NAMES
from clip.files import WEIGHTS, Folder, locate
from clip.sanitize import write_files
from clip.weights import check_tensors

BIOMEDCLIP = NAMES["BiomedCLIP"].removeprefix("hf-hub:").partition("@")[0]
REVISION = "0" * 40


@contextlib.contextmanager
def standing_in(backbone: str) -> Iterator[None]:
    """While this lasts, who asks the hub for BiomedCLIP gets what `build_backbone(backbone)` would load.

    Where that is a folder, a hub cache of links to its files takes the place of the user's, without network; where it
    is the hub, nothing is changed.

    Raises:
        FileNotFoundError: the folder lacks a file; names it.
    """
    source = source_of(backbone) if is_ours(backbone) else backbone
    if not source.startswith("local-dir:"):
        yield
        return
    from huggingface_hub import constants

    with tempfile.TemporaryDirectory() as cache:
        _lay_out(locate(source), Path(cache))
        with patch.multiple(constants, HF_HUB_CACHE=cache, HF_HUB_OFFLINE=True):
            yield


def _lay_out(place: Folder, cache: Path) -> None:
    """The model at `place` as the hub's repositories of BiomedCLIP and of its text tower.

    What describes the model is written anew, so that code which obeys it cannot be led anywhere; weights are a link,
    once they have been found to be tensors and nothing else.
    """
    weights = place.need(*WEIGHTS)
    described = cache / "described"
    described.mkdir()
    text = write_files(place, described)
    names = {BIOMEDCLIP, text.get("hf_model_name") or BIOMEDCLIP, text.get("hf_tokenizer_name") or BIOMEDCLIP}
    for repo in names:
        root = cache / f"models--{repo.replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs/main").write_text(REVISION)
        shutil.copytree(described, root / "snapshots" / REVISION)
    snapshot = cache / f"models--{BIOMEDCLIP.replace('/', '--')}" / "snapshots" / REVISION
    (snapshot / weights.name).symlink_to(weights.resolve())
    if weights.name != WEIGHTS[1]:  # open_clip before 2.30 asks for this file alone
        from safetensors.torch import load_file

        torch.save(load_file(weights), snapshot / WEIGHTS[1])
    else:
        check_tensors(weights)
