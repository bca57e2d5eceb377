"""Where the files of well-known models are looked for: the user's folders, the hub's cache, other programs' folders."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clip.files import HubRepo, is_local, locate
from clip.models import Model

ROOT = Path(__file__).parents[1]


def weights_folder(name: str) -> Path | None:
    """Return the folder `$VMFCOOP_WEIGHTS/<name>` of a short name, which need not exist; None without the variable."""
    root = os.environ.get("VMFCOOP_WEIGHTS")
    return Path(root).expanduser() / name if root else None


def checkpoint_folders() -> list[Path]:
    """Return the folders in which BiomedCoOp keeps weights, which need not exist: in its checkout, and in ours."""
    checkout = os.environ.get("BIOMEDCOOP_CHECKOUT")
    roots = [Path(checkout).expanduser()] if checkout else []
    return [root / "clip" / "checkpoints" for root in (*roots, ROOT)]


def archive_of(model: Model) -> Path | None:
    """Return the archive of a model in the folder of OpenAI's own code, which need not exist; None if it has none."""
    return Path("~/.cache/clip").expanduser() / model.archive if model.archive else None


class Place(NamedTuple):
    """A place where the files of a model are looked for.

    Attributes:
        source: as `clip.families` takes it.
        path: of the folder or the file.
        is_there: whether the files of weights are there.
    """

    source: str
    path: Path
    is_there: bool


def places(name: str, model: Model) -> Iterator[Place]:
    """Yield the places on this machine where the files of a model are looked for, in this order.

    In a folder that several models share, a model that has one file of weights is looked for as that file.

    Args:
        name: short name of the model.
        model: what is known of it.
    """
    if folder := weights_folder(name):
        yield _local(folder, folder.exists())
    if is_local(model.source):
        path = Path(model.source.removeprefix("local-dir:"))
        yield _local(path, path.is_dir())
    elif isinstance(repo := locate(model.source), HubRepo):
        yield Place(model.source, repo.cache, all(repo.find_here(names) for names in model.weights))
    if all(name.endswith((".pt", ".pth")) for names in model.weights for name in names):
        for folder in checkpoint_folders():
            held = [next((name for name in names if (folder / name).is_file()), None) for names in model.weights]
            yield _local(folder / held[0] if len(held) == 1 and held[0] else folder, all(held))
    if archive := archive_of(model):
        yield _local(archive, archive.is_file())


def _local(path: Path, is_there: bool) -> Place:
    """Return a place that is a folder or a file."""
    return Place(f"local-dir:{path}", path, is_there)


def present_source(name: str, model: Model) -> str:
    """Return where the files of a model are: the first of `places` that has them, else where they were published.

    Args:
        name: short name of the model.
        model: what is known of it.
    """
    return next((place.source for place in places(name, model) if place.is_there), model.source)
