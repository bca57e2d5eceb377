"""Tell in words what the feature store holds, and clear it when its owner says so."""

from collections.abc import Callable
from pathlib import Path

from tabulate import tabulate

from clip import store
from clip.digests import store_root
from clip.files import hub_cache
from clip.listing import shown
from clip.places import weights_folder
from dassl.errors import UserError

HEADERS = ("backbone", "precision", "images", "views", "texts", "size", "folder")
SHOWN = 5  # names of files and folders
KEPT = "Never deleted: runs (output/), weights, images, and the first commit that was seen of a model (revisions.json)."


def lines(root: Path | None = None) -> list[str]:
    """Return what the store holds of each backbone, and where weights lie, in lines to print.

    Args:
        root: of the store; by default that of the runs.
    """
    root = root or store_root()
    return [f"Feature store: {shown(root)} (VMFCOOP_CACHE names another folder)", *_contents(root), KEPT, weights()]


def _contents(root: Path) -> list[str]:
    """Return the lines on the content of a store."""
    if not root.is_dir():
        return ["It is not there yet: the first run makes it."]
    _check(root)
    held, memos = store.stored(root), store.size_of(store.memos(root))
    rows = [
        [*(", ".join(each.names) or "?", each.precision), *map(str, each[3:6]), in_bytes(each.size), each.folder]
        for each in held
    ]
    remarks = []
    if not all(each.names for each in held):
        remarks.append("?: kept by an earlier version, without the name; the next run with the backbone notes it.")
    if others := store.others(root):
        first = ", ".join(path.relative_to(root).as_posix() for path in others[:SHOWN])
        remarks.append(f"Left alone, as the store did not make them: {len(others)}, such as {first}.")
    total = in_bytes(memos + sum(each.size for each in held))
    words = f"In all {total}, of which {in_bytes(memos)} are digests of files. `--clear [BACKBONE]` deletes them."
    table = tabulate(rows, HEADERS, disable_numparse=True, colalign=("left", "left", *["right"] * 4, "left"))
    return [*([f"\n{table}\n"] if rows else []), *remarks, words]


def weights() -> str:
    """Return in one line where weights are looked for."""
    folder = weights_folder("<name>")
    own = shown(folder) if folder else "$VMFCOOP_WEIGHTS/<name> (VMFCOOP_WEIGHTS is not set)"
    return f"Weights lie in {own} and the hub's cache {shown(hub_cache())}: python -m clip list."


def clear(backbone: str, agreed: Callable[[str], bool], root: Path | None = None) -> int:
    """Delete the features of a backbone, or of all, if the owner agrees; say what was done.

    Args:
        backbone: a name or a folder of the listing; "" for all backbones, and the digests of files with them.
        agreed: asks a question, and returns the answer.
        root: of the store; by default that of the runs.

    Returns:
        0 if it is clear now, 1 if the owner did not agree.

    Raises:
        UserError: there is no store, or it has nothing of this backbone.
    """
    root = root or store_root()
    if not root.is_dir():
        raise UserError(f"Expected a feature store in {root}, but there is no folder: see VMFCOOP_CACHE.")
    _check(root)
    held = [each for each in store.stored(root) if not backbone or each.is_called(backbone)]
    if backbone and not held:
        known = ", ".join(sorted({name for each in store.stored(root) for name in (*each.names, each.folder)}))
        raise UserError(
            f'Expected a backbone of which {root} has features ({known or "none"}), but got "{backbone}": name one of '
            "these, or none for all."
        )
    files = [path for each in held for path in each.files] + ([] if backbone else store.memos(root))
    if not files:
        print(f"{shown(root)} is clear already.")
        return 0
    what = ", ".join(f"{' or '.join(each.names) or each.folder} ({each.precision})" for each in held) or "no backbone"
    size = in_bytes(store.size_of(files))
    if not agreed(f"Delete {size}, the features of {what}, from {shown(root)}? They are computed again when needed."):
        print("Nothing was deleted.")
        return 1
    store.clear(files)
    print(f"Deleted {len(files)} files, {size}, from {shown(root)}. {KEPT}")
    return 0


def asked(question: str) -> bool:
    """Ask on the console, and return whether the answer is yes.

    Raises:
        UserError: nobody can answer.
    """
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError as error:
        raise UserError("Expected an answer, but there is nobody to ask: add --yes.") from error


def _check(root: Path) -> None:
    """Raise a UserError if a folder has something else than a store in it, and no store."""
    if not store.is_store(root) and any(root.iterdir()):
        names = sorted(path.name for path in root.iterdir())[:SHOWN]
        raise UserError(
            f"Expected a feature store in {root}, but it holds {', '.join(names)}: set VMFCOOP_CACHE to the store."
        )


def in_bytes(size: int) -> str:
    """Return a number of bytes in words.

    >>> in_bytes(512), in_bytes(20_480), in_bytes(3_500_000_000)
    ('512 bytes', '20.5 kB', '3.5 GB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
