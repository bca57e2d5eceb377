"""Another CoOp-style checkout: its modules under the names that ours have too, its trainers and their settings."""

import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from yacs.config import CfgNode

import dassl.engine
from checkouts.trainer import Foreign, foreign
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from dassl.utils import Registry

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {"few_shot": ("few_shot",), "base2new": ("base2new", "base_to_novel")}  # folders of a checkout's configs/


class Checkout:
    """The code in the absolute `folder`, which must hold `trainers/` and a `train.py` with `extend_cfg`.

    Attributes: `names` of the trainers that were added to the registry; `clashes`, those of ours that stay; and the
    `digest` of the code that was imported.

    Raises:
        UserError: the folder has another shape, or its code cannot be imported; says what is missing.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for part in ("trainers", "train.py"):
            if not (self.folder / part).exists():
                raise UserError(
                    f"Expected a CoOp-style checkout with trainers/ and train.py in {self.folder}, but there is no "
                    f"{part}: give --with the folder that holds both."
                )
        self.roots = {path.stem for path in self.folder.iterdir() if path.is_dir() or path.suffix == ".py"}
        self.roots -= {"dassl", "datasets"}  # the toolbox and the data sets are ours
        self.modules: dict[str, ModuleType] = {}
        registry = Registry("TRAINER")
        self._extend_cfg = self._load(registry)
        files = sorted({module.__file__ for module in self.modules.values() if module.__file__})
        self.digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]
        known = {name: TRAINER_REGISTRY.get(name) for name in TRAINER_REGISTRY.registered_names()}
        ours = [name for name, trainer in known.items() if not issubclass(trainer, Foreign)]
        self.names = [name for name in registry.registered_names() if name not in ours]
        self.clashes = [name for name in registry.registered_names() if name in ours]
        for name in self.names:
            TRAINER_REGISTRY.register(foreign(registry.get(name), self), force=True)  # of another checkout, perhaps

    def __str__(self) -> str:
        clashes = f"; ours stay for {', '.join(self.clashes)}, which it has too" if self.clashes else ""
        names = ", ".join(self.names) or "none"
        return f"Running the code of {self.folder}, as --with asks; its trainers: {names}{clashes}"

    # --------------------------------------------------------------------------------------------------- settings

    def extend_cfg(self, cfg: CfgNode, trainer: str) -> None:
        """Where `trainer` is the checkout's, let its defaults take the place of our methods'.

        `cfg.CHECKOUT` names the code, "<folder>@<digest>"; and as all that is read of a run's settings is the node
        that bears its trainer's name, a trainer without one is given one that holds all of the checkout's nodes.
        """
        if trainer not in self.names:
            return
        cfg.CHECKOUT = f"{self.folder.name}@{self.digest}"
        cfg.TRAINER = CfgNode({"NAME": ""})
        self._extend_cfg(cfg)
        if trainer.upper() not in cfg.TRAINER:
            nodes = {name: node for name, node in cfg.TRAINER.items() if isinstance(node, CfgNode)}
            cfg.TRAINER[trainer.upper()] = CfgNode()
            cfg.TRAINER[trainer.upper()].update(nodes)  # not copies: what changes one there changes it here

    def config_files(self, trainer: str, setting: str, dataset: str) -> list[Path]:
        """Where it may keep yaml files of its trainer: `configs/trainers/<method>/<setting>/<dataset>.yaml`."""
        if trainer not in self.names:
            return []
        methods = [self.folder / "configs" / "trainers" / name for name in (trainer.partition("_")[0], trainer)]
        folders = [method / name for method in methods for name in SETTINGS[setting]]
        return [file for folder in folders for file in (folder.with_suffix(".yaml"), folder / f"{dataset}.yaml")]

    # ---------------------------------------------------------------------------------------------------- imports

    def _load(self, registry: Registry):
        """The checkout's `extend_cfg`; its trainers register themselves in `registry`."""
        here = patch.object(dassl.engine, "TRAINER_REGISTRY", registry)
        with here, patch.object(dassl.engine.build, "TRAINER_REGISTRY", registry), self.at_home({"datasets"}):
            sys.meta_path.insert(0, NoDataSets)
            try:
                return importlib.import_module("train").extend_cfg
            except (Exception, SystemExit) as error:
                raise UserError(
                    f"Expected to import trainers and extend_cfg from {self.folder}/train.py, but "
                    f"{type(error).__name__}: {error}; install what it needs, or mend it."
                ) from error
            finally:
                sys.meta_path.remove(NoDataSets)

    @contextlib.contextmanager
    def at_home(self, without: Iterable[str] = ()) -> Iterator[None]:
        """Have `import` find the checkout's modules in place of ours, and relative paths start at its folder.

        What it imports while this lasts is kept for the next time, except what lies below the names in `without`,
        which stand for nothing in the meantime; ours come back as they were.
        """
        ours = _take(self.roots | set(without))
        before = sys.path, Path.cwd(), sys.dont_write_bytecode
        sys.modules.update(self.modules)
        sys.path = [str(self.folder), *(entry for entry in sys.path if Path(entry).resolve() != ROOT)]
        sys.dont_write_bytecode = True  # the checkout stays as it is
        os.chdir(self.folder)
        try:
            yield
        finally:
            _take(without)
            self.modules = _take(self.roots)
            sys.modules.update(ours)
            sys.path, folder, sys.dont_write_bytecode = before
            os.chdir(folder)


class NoDataSets(MetaPathFinder, Loader):
    """Finds an empty module for `datasets` and all below it: a checkout's own data sets are not wanted."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, cls(), is_package=True) if name.partition(".")[0] == "datasets" else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        pass


def _take(roots: Iterable[str]) -> dict[str, ModuleType]:
    """Remove the modules below the top-level names `roots`, and return them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in roots}


_checkout = lru_cache(Checkout)


def checkout_at(folder: str | Path) -> Checkout:
    """The checkout in `folder`, whose trainers are in the registry from the first call on."""
    return _checkout(Path(folder).expanduser().resolve())
