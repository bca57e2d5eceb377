"""Write models with random weights in the layout in which they were published, for tests and benchmarks.

    python -m clip.testing FOLDER PMC-CLIP          # a folder for `local-dir:FOLDER`
    python -m clip.testing FOLDER PMC-CLIP --small  # the same with few and narrow layers
    python -m clip.testing --cache HF_HOME          # BiomedCLIP in a hub cache, for `HF_HOME=... HF_HUB_OFFLINE=1`

A module of this folder has WRITERS: short name of a model -> writer(folder, small) -> folder. Where nothing but chance
decides, weights are drawn so that attention is visible in the features: with small random weights it is nearly uniform,
and a wrong number of heads, pooling or mask would go unseen.
"""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from clip.testing.biomedclip import (
    BERT,
    CONFIG,
    HUB,
    PARAMETERS,
    bert_config,
    random_weights,
    write_biomedclip,
    write_config,
    write_hub_cache,
    write_tokenizer,
)

__all__ = [
    "BERT",
    "CONFIG",
    "HUB",
    "PARAMETERS",
    "bert_config",
    "random_weights",
    "write_biomedclip",
    "write_config",
    "write_hub_cache",
    "write_model",
    "write_tokenizer",
    "writers",
]


def writers() -> dict[str, Callable[[Path, bool], Path]]:
    """Return the writers of all models by short name."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
        if module.name != "__main__"
    ]
    return {name: writer for module in modules for name, writer in getattr(module, "WRITERS", {}).items()}


def write_model(name: str, folder: str | Path, small: bool = False) -> Path:
    """Write a model in the layout in which it was published; return the folder.

    Args:
        name: short name of the model.
        folder: is made.
        small: with few and narrow layers.
    """
    return writers()[name](Path(folder), small)
