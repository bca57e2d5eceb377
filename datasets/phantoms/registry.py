"""The phantom data sets that exist, and one picture of any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from dassl.errors import UserError

from .lesion import noting_lesions
from .phantom import Phantom, read_phantom
from .scanner import STYLES, acquire

# Count it up whenever any picture changes: folders of an older version are rendered again.
VERSION = 5
# The same for the masks of lesions: results depend on the pictures alone, and stay comparable when only these change.
MASKS_VERSION = 1


class Phantoms(Mapping[str, Phantom]):
    """Phantoms by key, one for each `<key>.yaml` of a folder, in alphabetical order; each is read when it is used."""

    def __init__(self, folder: Path):
        self.files = {path.stem: path for path in sorted(folder.glob("*.yaml"))}

    def __getitem__(self, key: str) -> Phantom:
        return read_phantom(self.files[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __contains__(self, key: object) -> bool:
        return key in self.files


PHANTOMS = Phantoms(Path(__file__).parent / "attributes")  # keys are those of the data sets' configs


def find_phantom(name: str) -> Phantom:
    """Return the phantom of a registry name ("COVID_19") or of a config's key ("covid"), in any case.

    Raises:
        UserError: there is no phantom of this name; lists those that exist.
    """
    if name.lower() in PHANTOMS:
        return PHANTOMS[name.lower()]
    for phantom in PHANTOMS.values():
        if name.lower() == phantom.name.lower():
            return phantom
    known = ", ".join(phantom.name for phantom in PHANTOMS.values())
    raise UserError(
        f"Expected a data set that has a phantom ({known}), but got {name!r}: use one of them, or real data."
    )


def sample(
    dataset: str, classname: str, seed: int | Sequence[int], style: str = "clinic"
) -> tuple[np.ndarray, frozenset[str]]:
    """Draw one picture of a class, the same for the same arguments on every machine.

    Args:
        dataset: name or key.
        classname: one of its classes.
        seed: one number or several.
        style: "atlas" or "clinic"; one seed shows the same case in both.

    Returns:
        The picture, uint8 [64, 64, 3], and the attributes that it shows.
    """
    picture, attributes, _ = sample_with_lesion(dataset, classname, seed, style)
    return picture, attributes


def sample_with_lesion(
    dataset: str, classname: str, seed: int | Sequence[int], style: str = "clinic"
) -> tuple[np.ndarray, frozenset[str], np.ndarray]:
    """Draw one picture as `sample` does, and tell which of its pixels belong to a lesion.

    Returns:
        The picture, uint8 [64, 64, 3]; the attributes that it shows; and the mask, bool [64, 64], without any pixel if
        it shows no lesion that `Phantom.lesion` counts.
    """
    phantom = find_phantom(dataset)
    seeds = [seed] if isinstance(seed, int) else list(seed)
    rng = np.random.Generator(np.random.PCG64([crc32(phantom.name.encode()), crc32(classname.encode()), *seeds]))
    attributes = phantom.draw_attributes(rng, classname)
    with noting_lesions() as lesions:
        drawn = phantom.draw(rng, attributes)
    return acquire(rng, drawn, STYLES[style]), attributes, lesions.mask
