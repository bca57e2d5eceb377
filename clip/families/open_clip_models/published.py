"""Weights that were published without an open_clip_config.json, under names by which they are known.

What describes a model is the open_clip_config.json beside its weights; only where there is none, the published name of
the file of weights stands for one of the configurations in `configs`.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from clip.files import WEIGHTS, Folder, HubRepo
from clip.weights import read_plain
from dassl.errors import UserError

CONFIG = "open_clip_config.json"
CONFIGS = Path(__file__).parent / "configs"
# What open_clip reads beside an open_clip_config.json, in its order.
ACCEPTED = (
    *WEIGHTS,
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
)
# SHA256 of the archives of OpenAI's own code, by name, as they stand in the addresses in that code.
ARCHIVES = {
    "ViT-B-16.pt": "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
    "ViT-B-32.pt": "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    "ViT-L-14.pt": "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
    "RN50.pt": "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
    "RN50x4.pt": "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd",
}
# Configuration by the name of a file of weights.
PUBLISHED = {
    **{name: f"{name.removesuffix('.pt')}-quickgelu" for name in ARCHIVES},
    "PubMedCLIP_ViT32.pth": "ViT-B-32-quickgelu",
    "PubMedCLIP_RN50.pth": "RN50-quickgelu",
    "PubMedCLIP_RN50x4.pth": "RN50x4-quickgelu",
    "BMC_CLIP_CF.pt": "ViT-L-14",
    "unimed-clip-vit-b16.pt": "UniMed-ViT-B-16",  # on the hub
    "unimed_clip_vit_b16.pt": "UniMed-ViT-B-16",  # in its instructions
    "unimed_clip_vit_l14_base_text_encoder.pt": "UniMed-ViT-L-14-336",
    "FetalCLIP_weights.pt": "FetalCLIP",
}


def weight_names(place: Folder, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the files of weights at a place; the first that is there is read.

    Args:
        place: of the model.
        wanted: published names of the model's weights, if it is one of `PUBLISHED`.
    """
    if place.chosen:
        return (place.chosen,)
    if isinstance(place, HubRepo):
        return tuple(wanted) or ACCEPTED
    here = tuple(wanted) or tuple(name for name in PUBLISHED if place.find_here([name]))
    if place.find_here([CONFIG]):
        return (*ACCEPTED, *here)
    return here or ACCEPTED


def find_weights(place: Folder, wanted: Sequence[str] = ()) -> Path:
    """Return the path of the file of weights; arguments as of `weight_names`.

    Raises:
        UserError: there is none, or those of several models.
    """
    names = weight_names(place, wanted)
    found = place.find(names)
    if found is None:
        alone = [name for name in names if name not in ACCEPTED]
        return place.need(*alone, *([] if alone and not ARCHIVES.keys() & {*alone} else [*WEIGHTS]))
    if found.name in PUBLISHED and not wanted:
        _check_single(place, [name for name in names if name in PUBLISHED])
    return found


def find_config(place: Folder, wanted: Sequence[str] = ()) -> Path:
    """Return the path of the configuration: open_clip_config.json, else the one that a published name stands for.

    Args:
        place: of the model.
        wanted: as of `weight_names`.

    Raises:
        UserError: there is none, or weights of several models are there, or damaged ones.
    """
    names = weight_names(place, wanted)
    if (own := place.find_here([CONFIG])) is not None:
        return own
    if names[0] not in PUBLISHED:
        _check_readable(place, names)
        if not place.chosen:
            return place.need(CONFIG)
    if names[0] not in PUBLISHED:
        raise UserError(
            f"Expected {CONFIG} beside {place.path / names[0]}, or one of the names {', '.join(PUBLISHED)} under which "
            f"weights were published alone, but got neither: copy {CONFIG} there, or give the file its published name."
        )
    if not wanted or len({PUBLISHED[name] for name in names}) > 1:
        _check_single(place, names)
    return CONFIGS / f"{PUBLISHED[names[0]]}.json"


def _check_readable(place: Folder, names: Sequence[str]) -> None:
    """Raise a UserError about weights that are here and cannot be read: no configuration would help them.

    Whole archives are left to who reads them: those of TorchScript are weights too, under their published names.
    """
    path = place.find_here(names)
    if path is not None and not zipfile.is_zipfile(path):
        read_plain(path)


def _check_single(place: Folder, names: Sequence[str]) -> None:
    """Raise a UserError if there are several files of weights of which none is meant more than the others."""
    if len(names) > 1:
        where = place.repo if isinstance(place, HubRepo) else place.path
        folder = "/path/to" if isinstance(place, HubRepo) else place.path
        raise UserError(
            f"Expected the weights of one model in {where}, but it has {', '.join(names)}: name the file, as in "
            f"local-dir:{folder}/{names[0]}, or give a short name that stands for one of them."
        )
