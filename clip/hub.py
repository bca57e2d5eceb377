"""A folder of weights posing as the Hugging Face hub, for code that knows BiomedCLIP by its address there alone."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch

from clip.build import NAMES, is_ours, source_of
from clip.files import WEIGHTS, Folder, locate
from clip.open_clip_family import text_config
from dassl.utils import read_json

BIOMEDCLIP = NAMES["BiomedCLIP"].removeprefix("hf-hub:")
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
    """The files of `place` as the hub's repositories of BiomedCLIP and of its text tower."""
    config = read_json(place.need("open_clip_config.json"))
    text = config["model_cfg"]["text_cfg"]
    name = text.get("hf_model_name")
    for repo in {BIOMEDCLIP, name or BIOMEDCLIP, text.get("hf_tokenizer_name", BIOMEDCLIP)}:
        root = cache / f"models--{repo.replace('/', '--')}"
        files = {path.name: path.resolve() for path in place.path.iterdir() if path.is_file()}
        if repo == name:
            files["config.json"] = text_config(place, name).resolve()
        for file in ("refs/main", *(f"snapshots/{REVISION}/{found}" for found in files)):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "refs/main").write_text(REVISION)
        for found, path in files.items():
            (root / f"snapshots/{REVISION}" / found).symlink_to(path)
    weights = place.need(*WEIGHTS)
    pickled = cache / f"models--{BIOMEDCLIP.replace('/', '--')}" / "snapshots" / REVISION / WEIGHTS[1]
    if not pickled.exists():  # open_clip before 2.30 asks for this file alone
        from safetensors.torch import load_file

        torch.save(load_file(weights), pickled)
