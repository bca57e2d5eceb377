"""A backbone's files in place of those that a checkout's code downloads; the code and its folder stay as they are.

CoOp-style code looks for weights where its downloads go: in the cache of the Hugging Face hub, in that of OpenAI's
CLIP and, in BiomedCoOp, in `clip/checkpoints/`.
"""

import contextlib
import importlib
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import torch

from checkouts.hub_cache import BERT, BIOMEDCLIP, write_biomedclip, write_pmc_bert
from checkouts.openai_weights import openai_weights
from checkouts.workplace import links
from clip.build import is_ours, source_of
from clip.families import find_family, pmc_clip
from clip.files import Folder, locate
from clip.sanitize import read_model_config
from clip.weights import check_tensors
from dassl.errors import UserError

CHECKPOINTS = "clip/checkpoints"
PUBMEDCLIP = "PubMedCLIP_ViT32.pth"
PMC_CLIP = tuple(name for (name,) in pmc_clip.FILES)


@dataclass
class StandIn:
    """Files that stand in for downloads.

    Attributes:
        backbone: whose files they are, as the user named it.
        room: a folder that is removed when they are no longer needed.
        hub: a cache of the Hugging Face hub; None for the user's.
        repo: the repository for which it was made.
        openai: weights in place of each model of OpenAI's; None for its downloads.
        checkpoints: files by their names in `clip/checkpoints/`.
    """

    backbone: str
    room: Path
    hub: Path | None = None
    repo: str = ""
    openai: Path | None = None
    checkpoints: dict[str, Path] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{self.repo} of the hub"] if self.hub else []
        words += ["OpenAI's CLIP (its code rounds weights to half precision)"] if self.openai else []
        words += [f"{CHECKPOINTS}/{name}" for name in self.checkpoints]
        return f"{self.backbone} stands in for what the checkout's code downloads: {', '.join(words)}"

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the files where a checkout's code looks for them, whose modules and working directory are in place."""
        with contextlib.ExitStack() as stack:
            if self.openai and Path("clip/clip.py").is_file():
                theirs: Any = importlib.import_module("clip.clip")
                stack.enter_context(patch.object(theirs, "_download", lambda *args, **kwargs: str(self.openai)))
                stack.enter_context(patch.dict(theirs._MODELS, {self.backbone: ""}))
            stack.enter_context(links({f"{CHECKPOINTS}/{name}": file for name, file in self.checkpoints.items()}))
            yield


@contextlib.contextmanager
def stand_in(backbone: str) -> Iterator[StandIn]:
    """Prepare the files of `backbone`, and put those in place that stand in for downloads from the hub.

    An open_clip model with a text tower of transformers stands in for BiomedCLIP; a model in the three files of
    PMC-CLIP for that; and one that is built as OpenAI's CLIP for each of OpenAI's models and for PubMedCLIP. The code
    then finds no network. A backbone whose name is none of ours is left to it.

    Raises:
        UserError: a file is missing, holds more than tensors, or describes a model that the code cannot build.
    """
    with tempfile.TemporaryDirectory() as room, contextlib.ExitStack() as stack:
        files = StandIn(backbone, Path(room))
        if is_ours(backbone):
            _prepare(files, source_of(backbone))
            print(files)
        if files.hub or files.openai:
            stack.enter_context(_offline(files))
        yield files


def _prepare(files: StandIn, source: str) -> None:
    """Fill `files` with what the model at `source` stands in for."""
    place, family = locate(source), find_family(files.backbone, source)
    hub = files.room / "hub"
    hub.mkdir()
    if family is pmc_clip:
        if files.backbone == "PMC-CLIP-training":
            raise UserError(
                "Expected PMC-CLIP, as a checkout's code has a recipe of its own, but got PMC-CLIP-training: give "
                "--backbone PMC-CLIP."
            )
        files.checkpoints = {name: place.need(name) for name in PMC_CLIP}
        for file in files.checkpoints.values():
            check_tensors(file)
        write_pmc_bert(place, hub)
        files.hub, files.repo = hub, BERT
    elif _has_hf_text(place):
        write_biomedclip(place, hub)
        files.hub, files.repo = hub, BIOMEDCLIP
    elif weights := openai_weights(family.build(files.backbone, source)):
        files.openai, files.checkpoints = files.room / "openai.pt", {PUBMEDCLIP: files.room / PUBMEDCLIP}
        torch.save(weights, files.openai)
        torch.save({"state_dict": weights}, files.checkpoints[PUBMEDCLIP])
    else:
        raise UserError(
            "Expected a backbone that a checkout's code loads too (BiomedCLIP, PMC-CLIP, PubMedCLIP, CLIP, or one "
            f"built as these), but got {files.backbone}: its trainers would run on weights of their own under that "
            "name; choose another, or give --backbone a name of the checkout's own."
        )


def _has_hf_text(place: Folder) -> bool:
    """Return whether an open_clip model with a text tower of transformers is described at `place`."""
    path = place.find(["open_clip_config.json"])
    return path is not None and bool(read_model_config(path)[0]["text_cfg"].get("hf_model_name"))


@contextlib.contextmanager
def _offline(files: StandIn) -> Iterator[None]:
    """Let the hub's files be looked for in the cache alone, and no address of the network be found.

    Raises:
        UserError: the code asks for a file that does not stand in.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    def refuse(host: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise UserError(
            f"Expected {files.backbone} to hold all files that this trainer loads, but its code asks {host} for one: "
            "choose a backbone of the kind that the trainer is for (local-dir: and the folder of its files), or put "
            "the file, which it may name above, into its checkout."
        )

    cache = str(files.hub or constants.HF_HUB_CACHE)
    with (
        patch.multiple(constants, HF_HUB_CACHE=cache, HF_HUB_OFFLINE=True),
        patch.object(socket, "getaddrinfo", refuse),
    ):
        try:
            yield
        except Exception as error:
            if any(isinstance(each, (LocalEntryNotFoundError, OfflineModeIsEnabled)) for each in _chain(error)):
                refuse("the Hugging Face hub")
            raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it followed."""
    while error:
        yield error
        error = error.__cause__ or error.__context__
