"""Biomedical data sets, registered in Dassl's registry by importing this package."""

import toolbox  # noqa: F401, its dassl comes first
from datasets import (  # noqa: F401, registers them
    btmri,
    busi,
    chmnist,
    cmri,
    covid,
    ctkidney,
    dermamnist,
    folder,
    kneexray,
    kvasir,
    lmri,
    lungcolon,
    octmnist,
    pmri,
    retina,
    table,
)
