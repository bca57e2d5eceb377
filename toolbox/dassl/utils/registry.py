"""Registries: a class registers itself under its name, a configuration names it."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from yacs.config import CfgNode

from dassl.errors import UserError


class Registry:
    """A table from names to classes or functions.

    Fill it with `@REGISTRY.register()` above a definition, or `REGISTRY.register(obj)`.

    Args:
        name: what it holds, in capitals ("TRAINER"); used in messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._objects: dict[str, Any] = {}

    def register(self, obj: Any = None, force: bool = False) -> Callable | None:
        """Add `obj` under its own name, or return a decorator that does.

        Raises:
            KeyError: the name is taken and `force` is not set.
        """

        def add(item: Any) -> Any:
            if item.__name__ in self._objects and not force:
                raise KeyError(
                    f"A {self._name.lower()} named {item.__name__} is registered already; rename one of them."
                )
            self._objects[item.__name__] = item
            return item

        return add if obj is None else add(obj)

    def get(self, name: str) -> Any:
        """What is registered under `name`; KeyError if nothing is."""
        if name not in self._objects:
            raise KeyError(_unknown(name, self.registered_names(), self._name.lower()))
        return self._objects[name]

    def registered_names(self) -> list[str]:
        """All names, in order of registration."""
        return list(self._objects)

    def build(self, name: str, cfg: CfgNode, **kwargs: Any) -> Any:
        """Construct what is registered under `name` from a configuration.

        Raises:
            UserError: nothing is registered under that name.
        """
        kind = self._name.lower()
        check_availability(name, self.registered_names(), what=kind)
        if cfg.VERBOSE:
            print(f"Loading {kind}: {name}")
        return self.get(name)(cfg, **kwargs)


def check_availability(requested: str, available: Sequence[str], what: str = "name") -> None:
    """Raise a UserError that lists what exists unless `requested` does."""
    if requested not in available:
        raise UserError(_unknown(requested, available, what))


def _unknown(name: str, names: Sequence[str], what: str) -> str:
    if not names:
        return f"Unknown {what} {name!r}: none is registered yet; import the module that defines it first."
    close = get_close_matches(str(name), names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"Unknown {what} {name!r}{hint}; those that exist (their modules are imported) are: {', '.join(names)}."
