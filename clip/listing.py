"""Tell of all models with a short name what is known of them, and whether their files are on this machine."""

from pathlib import Path

from clip.families import find_family, known_models
from clip.files import hub_cache, is_local, locate
from clip.places import ROOT, checkpoint_folders, places, weights_folder

HEADERS = ("name", "D", "tokens", "pixels", "licence", "gated", "here", "published at")


def rows() -> list[list[str]]:
    """Return a row for each model, in the order of `HEADERS`."""
    return [
        [
            name,
            str(model.embed_dim),
            str(model.context_length),
            str(model.image_size),
            model.licence,
            "yes" if model.gated else "no",
            where(name),
            "this code" if is_local(model.source) else model.source,
        ]
        for name, model in sorted(known_models().items(), key=lambda item: item[0].casefold())
    ]


def where(name: str) -> str:
    """Return where the files of the model with this short name are on this machine; "no" if they are not here.

    A folder that is there is read whatever it holds; if weights of the model are not in it, this is said behind it.
    """
    found = next((place for place in places(name, known_models()[name]) if place.is_there), None)
    if found is None:
        return "no"
    folder, family = locate(found.source), find_family(name, found.source)
    has_weights = all(folder.find_here(names) for names in family.weights(name, folder))
    return shown(found.path) + ("" if has_weights else " (no weights)")


def looked_for() -> list[str]:
    """Return in words where files are looked for, in this order."""
    folder = weights_folder("<name>")
    return [
        shown(folder) if folder else "$VMFCOOP_WEIGHTS/<name>, where that variable names a folder",
        f"the cache of the Hugging Face hub, {shown(hub_cache())}",
        *(f"{shown(folder)}, for files .pt and .pth" for folder in checkpoint_folders()),
        "~/.cache/clip, for the archives of OpenAI's code",
    ]


def shown(path: Path) -> str:
    """Return a path as it is written short: from this code's folder, or from the home folder.

    Example:
        >>> shown(ROOT / "clip" / "phantomclip"), shown(Path.home() / "models")
        ('clip/phantomclip', '~/models')
    """
    for root, prefix in ((ROOT, ""), (Path.home(), "~/")):
        if path.is_relative_to(root):
            return f"{prefix}{path.relative_to(root).as_posix()}"
    return str(path)
