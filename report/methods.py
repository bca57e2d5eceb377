"""The methods of trainers/, and where their runs lie.

A method is a class of trainers/ that registers itself. It is read from the source, so that a table of results does not
wait for PyTorch.
"""

import ast
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from dassl.console import IN_NAME
from dassl.errors import UserError
from dassl.names import OWN_FOLDER, file_name
from report import paper

SETTING = "nctx4_cscFalse_ctpend"
OWN = ("folder", "table")  # the data sets of a user's own images: those of datasets/ whose class says `own`
ROOT = Path(__file__).parents[1]
CLOSED = "ClosedSet"  # the base class of methods that cannot meet novel classes


class Method(NamedTuple):
    """A registered trainer, as its class says of itself.

    Attributes:
        trainer: name of the class.
        short: on command lines and of its folder of scripts/; the name in lower case unless the class sets `short`.
        seedless: draws no images and trains nothing, so that one run stands for every seed.
        novel: can be tested on classes that it never saw.
    """

    trainer: str
    short: str
    seedless: bool
    novel: bool


def read_methods(folder: Path) -> list[Method]:
    """The methods that the modules in `folder` register: those of the paper in its order, then others by name.

    Raises:
        UserError: two of them have one short name.
    """
    nodes = [node for path in sorted(folder.glob("*.py")) for node in ast.parse(path.read_text(encoding="utf-8")).body]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}

    def closed(name: str) -> bool:
        bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)] if name in classes else []
        return name == CLOSED or any(map(closed, bases))

    found: list[Method] = []
    for name, node in classes.items():
        if any("TRAINER_REGISTRY.register" in ast.unparse(decorator) for decorator in node.decorator_list):
            own = _constants(node)
            found.append(Method(name, own.get("short", name.lower()), own.get("seedless", False), not closed(name)))
    names = {method.short: method.trainer for method in found}
    for method in found:
        if names[method.short] != method.trainer:
            raise UserError(
                f"Expected a short name for each method, but {method.trainer} and {names[method.short]} are both "
                f'"{method.short}": set another `short` in one of the classes.'
            )
    order = {name: place for place, name in enumerate(paper.TABLE1["rows"])}
    return sorted(found, key=lambda method: (order.get(method.trainer, len(order)), method.trainer))


def _constants(node: ast.ClassDef) -> dict:
    """The class attributes that are set to a constant in the body of the class itself."""
    pairs = [
        (target.id, statement.value.value)
        for statement in node.body
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Constant)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    ]
    return dict(pairs)


ALL = read_methods(ROOT / "trainers")
METHODS = {method.short: method.trainer for method in ALL}
SEEDLESS = {method.trainer for method in ALL if method.seedless}
ZERO_SHOT = "ZeroshotCLIP"


def with_setting(setting: str) -> list[str]:
    """Short names of the methods that can be run in a setting, "few_shot" or "base2new"."""
    return [method.short for method in ALL if method.novel or setting != "base2new"]


def default_seeds(method: str) -> list[int]:
    """The seeds that are run unless others are asked for."""
    return [1] if trainer_name(method) in SEEDLESS else [1, 2, 3]


def trainer_name(method: str) -> str:
    """Trainer behind a short name; any other name is taken as a trainer's own."""
    return METHODS.get(method, method)


def short_name(trainer: str) -> str:
    """Short name of a trainer; one of another code base keeps its name."""
    return next((folder for folder, name in METHODS.items() if name == trainer), trainer)


def in_order(trainers: Iterable[str]) -> list[str]:
    """Trainers once each: known ones in the order of METHODS, then others by name."""
    names = set(trainers)
    known = [name for name in METHODS.values() if name in names]
    return known + sorted(names - set(known))


def data_name(dataset: str, root: str | Path) -> str:
    """The name under which runs of a data set are kept: that of a user's own images bears their folder's name."""
    return file_name(f"{dataset}-{Path(root).expanduser().resolve().name}" if dataset in OWN else dataset)


def seeds_folder(
    output: str | Path, dataset: str, shots: int, method: str, backbone: str, setting: str = SETTING
) -> Path:
    """Folder that holds seed1/, seed2/, ... of one method; names that already end in the backbone are kept."""
    name, suffix = file_name(trainer_name(method)), "_" + file_name(backbone)
    parts = file_name(dataset), f"shots_{shots}", file_name(name.removesuffix(suffix) + suffix), file_name(setting)
    return Path(output).joinpath(*parts)


def fill_command(
    method: str,
    dataset: str,
    shots: int | Sequence[int],
    backbone: str,
    *,
    data: str,
    output: str | Path = "output",
    seeds: Sequence[int] = (),
    script: str = "few_shot",
) -> str:
    """Shell line that makes the runs of a gap, or a sentence where there is none.

    A backbone of which only the folder's last part is known has `<folder>` before it.
    """
    if method not in METHODS:
        return f"train {shlex.quote(method)} (its runs are read, but trainers/ has no such method)"
    output = Path(output)
    if output.parent.name == "base2new":  # .../base2new/train_base and test_new come from one script
        output, script = output.parent.parent, "base2new"
    several = str(shots) if isinstance(shots, int) else " ".join(map(str, shots))
    settings = {
        "DATA": data,
        "SEEDS": " ".join(map(str, seeds)),
        "OUTPUT": "" if output == Path("output") else str(output),
    }
    words = [f"{name}={shlex.quote(value)}" for name, value in settings.items() if value]
    dataset = next((own for own in OWN if dataset.startswith(f"{own}-")), dataset)
    file = f"scripts/{method}/{script}.sh"
    call = ["bash", file] if (ROOT / file).is_file() else ["bash", f"scripts/{script}.sh", method]
    if backbone.startswith(OWN_FOLDER) and "/" not in backbone and "<" not in backbone:
        backbone = f"{OWN_FOLDER}<folder>/{backbone.removeprefix(OWN_FOLDER)}"
    line = " ".join([*words, shlex.join([*call, dataset, several, backbone])])
    if IN_NAME.search(line):  # a shell may obey it while it is pasted, whatever stands around it
        return "no command: a name in it has control characters"
    return line
