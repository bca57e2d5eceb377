"""Print the lowest versions that setup.py allows, as pins for pip: python scripts/floors.py [EXTRA]..."""

import ast
import re
import sys
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.py"


def requirements() -> dict[str, list[str]]:
    """Return what setup.py asks for, by extra; under "" what everyone needs."""
    (call,) = (node for node in ast.walk(ast.parse(SETUP.read_text())) if _is_setup(node))
    words = {word.arg: word.value for word in call.keywords}
    needed, extras = (ast.literal_eval(words[name]) for name in ("install_requires", "extras_require"))
    return {"": needed, **extras}


def floors(*extras: str) -> dict[str, str]:
    """Return the lower bound of each package, also of those of `extras`.

    Raises:
        ValueError: a requirement is not of the form NAME>=VERSION.
    """
    found = {}
    for requirement in (word for extra in ("", *extras) for word in requirements()[extra]):
        if not (match := re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)):
            raise ValueError(f"Expected NAME>=VERSION in setup.py, but got {requirement!r}.")
        found[match[1]] = match[2]
    return found


def _is_setup(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in floors(*sys.argv[1:]).items()))
