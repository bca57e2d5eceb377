"""Biomedical data sets: every module in this folder is imported, and so registers what it defines.

from datasets import load_dataset
data = load_dataset("btmri", root="phantoms", shots=16, seed=1)
"""

import importlib
import pkgutil

import toolbox  # noqa: F401, its dassl comes first

for _module in pkgutil.iter_modules(__path__):
    if not _module.ispkg:  # the packages are commands and renderers, loaded when they are asked for
        importlib.import_module(f"{__name__}.{_module.name}")

from datasets.load import load_dataset  # noqa: E402, after the data sets

__all__ = ["load_dataset"]
