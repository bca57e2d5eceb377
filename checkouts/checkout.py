"""Another CoOp-style checkout: its modules, which have the names of ours, its trainers, and their settings."""

import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from yacs.config import CfgNode

import dassl.engine
from checkouts.inputs import empty_input
from checkouts.settings import Settings, find_settings
from checkouts.trainer import CheckoutTrainer, wrap_trainer
from checkouts.workplace import copy_code, data_and_results
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from dassl.utils import Registry

ROOT = Path(__file__).resolve().parent.parent


class Checkout:
    """A checkout whose trainers are added to the registry.

    Its code runs in copies: it writes nothing into the checkout, and finds no data or results there.

    Args:
        folder: an absolute path; it must hold `trainers/` and a `train.py` with `extend_cfg`.

    Attributes:
        code: a copy of the checkout's code, from which its modules are imported.
        left_out: folders of data and results in the checkout, which the copy does not have.
        names: names of the added trainers.
        clashes: names of its trainers that are not added, because ours have them.
        digest: 16 hex digits that identify the imported code.
        modules: its imported modules.

    Raises:
        UserError: `trainers/`, `train.py` or `extend_cfg` is missing, or the code cannot be imported.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for part in ("trainers", "train.py"):
            if not (self.folder / part).exists():
                raise UserError(
                    f"Expected a CoOp-style checkout with trainers/ and train.py in {self.folder}, but there is no "
                    f"{part}: give --with the folder that holds both."
                )
        self.code, self.left_out = copy_code(self.folder, self), data_and_results(self.folder)
        self.roots = {path.stem for path in self.code.iterdir() if path.is_dir() or path.suffix == ".py"}
        self.roots -= {"dassl", "datasets"}  # it uses our toolbox and data sets
        self.modules: dict[str, ModuleType] = {}
        registry = Registry("TRAINER")
        self._extend_cfg = self._load(registry)
        files = sorted({module.__file__ for module in self.modules.values() if module.__file__})
        self.digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]
        known = {name: TRAINER_REGISTRY.get(name) for name in TRAINER_REGISTRY.registered_names()}
        ours = [name for name, trainer in known.items() if not issubclass(trainer, CheckoutTrainer)]
        self.names = [name for name in registry.registered_names() if name not in ours]
        self.clashes = [name for name in registry.registered_names() if name in ours]
        for name in self.names:
            # Another checkout may have registered a trainer of this name before.
            TRAINER_REGISTRY.register(wrap_trainer(registry.get(name), self), force=True)

    def __str__(self) -> str:
        clashes = f"; ours stay for {', '.join(self.clashes)}, which it has too" if self.clashes else ""
        names = ", ".join(self.names) or "none"
        without = f" without {', '.join(self.left_out)}" if self.left_out else ""
        return (
            f"Running the code of {self.folder}, as --with asks; its trainers: {names}{clashes}; it works in a copy"
            f"{without}, and nothing is written into {self.folder}"
        )

    # --------------------------------------------------------------------------------------------------- settings

    def extend_cfg(self, cfg: CfgNode, trainer: str) -> None:
        """Replace the default settings of our methods by those of the checkout, if `trainer` is one of its trainers.

        Size and pixel statistics of images have no default then: see `checkouts.inputs.fill_input`.

        `cfg.CHECKOUT` becomes "<folder>@<digest>". Only `cfg.TRAINER.<NAME>` is hashed: a trainer without such a node
        gets one that contains all nodes of its checkout.
        """
        if trainer not in self.names:
            return
        cfg.CHECKOUT = f"{self.folder.name}@{self.digest}"
        empty_input(cfg)
        for node, key in (
            (cfg.DATALOADER.TRAIN_X, "DROP_LAST"),
            (cfg.OPTIM, "SCHEDULE_STEP"),
            (cfg.OPTIM, "SCHEDULE_LENGTH"),
        ):
            del node[key]  # only our trainers read them
        cfg.TRAINER = CfgNode({"NAME": ""})
        self._extend_cfg(cfg)
        if trainer.upper() not in cfg.TRAINER:
            nodes = {name: node for name, node in cfg.TRAINER.items() if isinstance(node, CfgNode)}
            cfg.TRAINER[trainer.upper()] = CfgNode()
            cfg.TRAINER[trainer.upper()].update(nodes)  # the nodes, not copies: a change shows in both places

    def settings(self, trainer: str, setting: str, dataset: str, shots: int | None) -> Settings | None:
        """Return the settings with which the checkout runs `trainer`; None if it is none of its trainers.

        Args:
            trainer, setting, dataset, shots: as for `find_settings`, which says what is raised.
        """
        return find_settings(self.folder, trainer, setting, dataset, shots) if trainer in self.names else None

    # ---------------------------------------------------------------------------------------------------- imports

    def _load(self, registry: Registry) -> Callable[[CfgNode], None]:
        """Import the checkout's `train.py`, whose trainers register themselves in `registry`; return `extend_cfg`."""
        engine = dassl.engine
        patches = [patch.object(module, "TRAINER_REGISTRY", registry) for module in (engine, engine.build)]
        with patches[0], patches[1], self.checkout_modules({"datasets"}):
            sys.meta_path.insert(0, EmptyDatasets)
            try:
                return importlib.import_module("train").extend_cfg
            except (Exception, SystemExit) as error:
                raise UserError(
                    f"Expected to import trainers and extend_cfg from {self.folder}/train.py, but "
                    f"{type(error).__name__}: {error}; install what it needs, or mend it."
                ) from error
            finally:
                sys.meta_path.remove(EmptyDatasets)

    @contextlib.contextmanager
    def checkout_modules(self, forgotten: Iterable[str] = (), workplace: Path | None = None) -> Iterator[None]:
        """Make `import` find the checkout's modules instead of ours, and a copy of its folder the working directory.

        Modules imported meanwhile are kept for the next call. Our modules are restored at the end.

        Args:
            forgotten: further top-level names whose modules are removed at the beginning, and not kept at the end.
            workplace: the working directory; `code` if None.
        """
        ours = _pop_modules(self.roots | set(forgotten))
        before = sys.path, Path.cwd(), sys.dont_write_bytecode
        sys.modules.update(self.modules)
        sys.path = [str(self.code), *(entry for entry in sys.path if Path(entry).resolve() != ROOT)]
        sys.dont_write_bytecode = True  # of a copy that is not kept
        os.chdir(workplace or self.code)
        try:
            yield
        finally:
            _pop_modules(forgotten)
            self.modules = _pop_modules(self.roots)
            sys.modules.update(ours)
            sys.path, folder, sys.dont_write_bytecode = before
            os.chdir(folder)


class EmptyDatasets(MetaPathFinder, Loader):
    """An importer that gives an empty module for `datasets` and all its submodules: the data sets are ours."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, cls(), is_package=True) if name.partition(".")[0] == "datasets" else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        pass


def _pop_modules(roots: Iterable[str]) -> dict[str, ModuleType]:
    """Remove the modules with the top-level names `roots` from `sys.modules`, and return them by name."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in roots}


_checkout = lru_cache(Checkout)


def checkout_at(folder: str | Path) -> Checkout:
    """Return the checkout in `folder`; the first call adds its trainers to the registry."""
    return _checkout(Path(folder).expanduser().resolve())
