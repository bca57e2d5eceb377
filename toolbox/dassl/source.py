"""Read which classes the modules of a folder register, from their source and without importing them."""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class SourceClass(NamedTuple):
    """A class as its source has it.

    Attributes:
        name: of the class.
        module: name of its file without ".py".
        own: attributes that its own body sets to plain values.
        constants: these, and those of its base classes as far as they were read.
    """

    name: str
    module: str
    own: Mapping[str, Any]
    constants: Mapping[str, Any]


def read_registered(folder: Path, registry: str, bases: Iterable[Path] = ()) -> list[SourceClass]:
    """Return the classes that the modules of a folder register by `@<registry>.register()`, by module and place.

    Args:
        folder: whose *.py files are read.
        registry: name of the registry, such as "DATASET_REGISTRY".
        bases: further folders, whose classes are base classes of those in `folder`.
    """
    files = [path for each in (folder, *bases) for path in sorted(each.glob("*.py"))]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    nodes = {node.name: node for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}

    def lineage(node: ast.ClassDef) -> list[ast.ClassDef]:
        """The class and its bases, the class itself last."""
        bases = [nodes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in nodes]
        return [*(one for base in reversed(bases) for one in lineage(base)), node]

    return [
        SourceClass(
            node.name,
            path.stem,
            _constants(node),
            {name: value for one in lineage(node) for name, value in _constants(one).items()},
        )
        for path, tree in trees.items()
        if path.parent == folder
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        if any(f"{registry}.register" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def _constants(node: ast.ClassDef) -> dict[str, Any]:
    """Return the attributes that the body of a class sets to plain values."""
    found: dict[str, Any] = {}
    for statement in node.body:
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign):
            targets, value = [statement.target], statement.value
        if value is None:
            continue
        try:
            constant = ast.literal_eval(value)
        except (ValueError, TypeError):
            continue  # an expression
        found |= {target.id: constant for target in targets if isinstance(target, ast.Name)}
    return found
