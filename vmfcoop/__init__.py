"""vMFCoOp from Python: `from vmfcoop import RunSpec, build_backbone, FeatureStore, load_dataset, run, Predictor, vmf`.

The packages of this repository (`clip`, `datasets`, `trainers`, ...) are imported from its root, as in CoOp. Importing
`vmfcoop` puts that root first on the import path, so that a notebook can lie in any folder. Each name is imported when
it is first used: `vmfcoop.vmf` loads PyTorch, and no model library.

Raises:
    ImportError: another package of one of these names has been imported already; says where it lies.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAMES = {
    "FeatureStore": "clip",
    "Predictor": "runs.predictor",
    "RunSpec": "runs.spec",
    "build_backbone": "clip",
    "load_dataset": "datasets",
    "losses": "trainers.losses",
    "posterior": "trainers.posterior",
    "read_record": "runs.record",
    "run": "runs.run",
    "vmf": "trainers.vmf",
}
MODULES = ("losses", "posterior", "vmf")  # the names that stand for the module itself
PACKAGES = ("checkouts", "clip", "datasets", "explain", "grid", "report", "reproduce", "runs", "toolbox", "trainers")
PACKAGES += ("tuning",)

__all__ = sorted(NAMES)


def _check_packages() -> None:
    for name in PACKAGES:
        module = sys.modules.get(name)
        places = [Path(place).resolve() for place in getattr(module, "__path__", [])]
        if module is not None and places != [ROOT / name]:
            raise ImportError(
                f"Expected the package {name} of {ROOT}, but another one has been imported from "
                f"{', '.join(map(str, places)) or 'a single file'}: import vmfcoop before it, or in another process."
            )


_check_packages()
if str(ROOT) not in sys.path[:1]:
    sys.path.insert(0, str(ROOT))


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"Expected one of {', '.join(__all__)}, but got vmfcoop.{name}.")
    module = importlib.import_module(NAMES[name])
    value = module if name in MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *globals()]
