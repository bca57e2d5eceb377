"""The catalogue of methods: the classes of trainers/ that register themselves, and what each says of itself.

They are read from the source, so that a table of results does not wait for PyTorch.
"""

import ast
from pathlib import Path
from typing import Any, NamedTuple

from dassl.errors import UserError

FOLDER = Path(__file__).parents[1] / "trainers"
ZERO_SHOT = "ZeroshotCLIP"


class Method(NamedTuple):
    """A registered trainer.

    Attributes:
        trainer: name of the class.
        short: name on command lines and of its folder in scripts/: what the class sets as `short`, else its name in
            lower case.
        seedless: draws no images and trains nothing, so that one run stands for every seed.
        closed_set: cannot be tested on classes that it never saw.
    """

    trainer: str
    short: str
    seedless: bool
    closed_set: bool


def read_methods(folder: Path = FOLDER) -> list[Method]:
    """Return the methods that the modules in `folder` register, sorted by name.

    `short` and `seedless` hold for the class that sets them alone, `closed_set` for its subclasses too.

    Raises:
        UserError: two methods have one short name.
    """
    files = [*sorted(folder.glob("*.py")), *sorted(folder.glob("base/*.py"))]
    nodes = [node for path in files for node in ast.parse(path.read_text(encoding="utf-8")).body]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}

    def inherited(name: str, attribute: str) -> bool:
        if name not in classes:
            return False
        bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
        own = _constants(classes[name])
        return bool(own[attribute]) if attribute in own else any(inherited(base, attribute) for base in bases)

    found: list[Method] = []
    for name, node in classes.items():
        if any("TRAINER_REGISTRY.register" in ast.unparse(decorator) for decorator in node.decorator_list):
            own = _constants(node)
            short, seedless = own.get("short", name.lower()), bool(own.get("seedless", False))
            found.append(Method(name, short, seedless, inherited(name, "closed_set")))
    names = {method.short: method.trainer for method in found}
    for method in found:
        if names[method.short] != method.trainer:
            raise UserError(
                f"Expected a short name for each method, but {method.trainer} and {names[method.short]} are both "
                f'"{method.short}": set another `short` in one of the classes.'
            )
    return sorted(found, key=lambda method: method.trainer.lower())


def _constants(node: ast.ClassDef) -> dict[str, Any]:
    """Return the class attributes that are set to a constant in the body of the class."""
    pairs = [
        (target.id, statement.value.value)
        for statement in node.body
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Constant)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    ]
    return dict(pairs)


ALL = read_methods()
METHODS = {method.short: method.trainer for method in ALL}
SEEDLESS = {method.trainer for method in ALL if method.seedless}


def with_setting(setting: str) -> list[str]:
    """Return the short names of the methods that can be run in a setting, "few_shot" or "base2new"."""
    return [method.short for method in ALL if not (setting == "base2new" and method.closed_set)]


def default_seeds(method: str) -> tuple[int, ...]:
    """Return the seeds that are run unless others are asked for.

    >>> default_seeds("vmfcoop"), default_seeds("zeroshot")
    ((1, 2, 3), (1,))
    """
    return (1,) if trainer_name(method) in SEEDLESS else (1, 2, 3)


def trainer_name(method: str) -> str:
    """Return the trainer behind a short name; any other name is taken as a trainer's own.

    >>> trainer_name("vmfcoop"), trainer_name("CoOp_BiomedCLIP")
    ('vMFCoOp', 'CoOp_BiomedCLIP')
    """
    return METHODS.get(method, method)


def short_name(trainer: str) -> str:
    """Return the short name of a trainer; one of another code base keeps its name."""
    return next((short for short, name in METHODS.items() if name == trainer), trainer)
