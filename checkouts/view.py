"""A folder as it would be with other files in it."""

from collections.abc import Mapping
from pathlib import Path


def lay_view(view: Path, folder: Path, files: Mapping[str, Path]) -> None:
    """Fill `view` with links to all that is in `folder`, but to `files` where those have the same path.

    Args:
        view: an empty folder.
        folder: stays as it is; it may be missing.
        files: by their paths in the folder, such as "clip/checkpoints/text_encoder.pth".
    """
    below: dict[str, dict[str, Path]] = {}
    for name, file in files.items():
        head, _, tail = name.partition("/")
        below.setdefault(head, {})[tail] = file
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in below:
            (view / path.name).symlink_to(path.resolve())
    for head, inside in below.items():
        if "" in inside:
            (view / head).symlink_to(inside[""].resolve())
        else:
            (view / head).mkdir()
            lay_view(view / head, folder / head, inside)
