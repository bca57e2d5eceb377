"""A local folder of weights in place of BiomedCLIP on the Hugging Face hub, for code that loads it from there only."""

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

BIOMEDCLIP = NAMES["BiomedCLIP"].source.removeprefix("hf-hub:").partition("@")[0]
REVISION = "0" * 40


@contextlib.contextmanager
def hub_stand_in(backbone: str) -> Iterator[None]:
    """Make downloads of BiomedCLIP from the hub return the files of `backbone`.

    For a backbone in a local folder, HF_HUB_CACHE is a temporary cache of links to its files, without network. For one
    on the hub, nothing is changed.

    Raises:
        FileNotFoundError: a file is missing in the folder.
    """
    source = source_of(backbone) if is_ours(backbone) else backbone
    if not source.startswith("local-dir:"):
        yield
        return
    from huggingface_hub import constants

    with tempfile.TemporaryDirectory() as cache:
        _fill_cache(locate(source), Path(cache))
        with patch.multiple(constants, HF_HUB_CACHE=cache, HF_HUB_OFFLINE=True):
            yield


def _fill_cache(place: Folder, cache: Path) -> None:
    """Write the model at `place` to a hub cache, as the repositories of BiomedCLIP and of its text tower.

    Descriptions of the model are written anew, so that they cannot name other files or code to load. Weights are
    linked, after a check that they hold tensors only.
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
