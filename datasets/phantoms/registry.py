"""The phantom data sets that exist, and one picture of any of them."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from dassl.errors import UserError

from . import (
    btmri,
    busi,
    chmnist,
    cmri,
    covid,
    ctkidney,
    dermamnist,
    kneexray,
    kvasir,
    lmri,
    lungcolon,
    octmnist,
    pmri,
    retina,
)
from .scanner import STYLES, acquire
from .spec import Phantom

# Counts up whenever any picture changes, so that folders rendered before are rendered again.
VERSION = 5

# Keys are the names of the data sets' configs.
PHANTOMS: dict[str, Phantom] = {
    "btmri": btmri.PHANTOM,
    "busi": busi.PHANTOM,
    "chmnist": chmnist.PHANTOM,
    "cmri": cmri.PHANTOM,
    "covid": covid.PHANTOM,
    "ctkidney": ctkidney.PHANTOM,
    "dermamnist": dermamnist.PHANTOM,
    "kneexray": kneexray.PHANTOM,
    "kvasir": kvasir.PHANTOM,
    "lmri": lmri.PHANTOM,
    "lungcolon": lungcolon.PHANTOM,
    "octmnist": octmnist.PHANTOM,
    "pmri": pmri.PHANTOM,
    "retina": retina.PHANTOM,
}


def find(name: str) -> Phantom:
    """The phantom of this name: a registry name ("COVID_19") or a config's key ("covid"), in any case.

    Raises:
        UserError: there is no phantom of this name; the message lists those that exist.
    """
    for key, phantom in PHANTOMS.items():
        if name.lower() in (key, phantom.name.lower()):
            return phantom
    known = ", ".join(phantom.name for phantom in PHANTOMS.values())
    raise UserError(
        f"There is no phantom of the data set {name!r}: phantoms exist for {known}; use one of them or real data."
    )


def sample(
    dataset: str, classname: str, seed: int | Sequence[int], style: str = "clinic"
) -> tuple[np.ndarray, frozenset[str]]:
    """One picture uint8 [64, 64, 3] and the attributes that it shows; the same for the same arguments everywhere.

    One seed shows the same case in every style.
    """
    phantom = find(dataset)
    seeds = [seed] if isinstance(seed, int) else list(seed)
    rng = np.random.Generator(np.random.PCG64([crc32(phantom.name.encode()), crc32(classname.encode()), *seeds]))
    attributes = phantom.attributes(rng, classname)
    return acquire(rng, phantom.draw(rng, attributes), STYLES[style]), attributes
