"""Registries: classes register themselves under their names, and a configuration chooses one by its name."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from yacs.config import CfgNode

from dassl.names import check_availability, unknown_name

from .logger import print_detail

T = TypeVar("T")


class Registry:
    """A table from names to classes or functions.

    Args:
        name: the kind of object that it holds, in capitals ("TRAINER"), for messages.

    >>> SHAPES = Registry("SHAPE")
    >>> @SHAPES.register()
    ... class Circle: ...
    >>> SHAPES.get("Circle") is Circle
    True
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._objects: dict[str, Any] = {}

    @overload
    def register(self, obj: None = None, force: bool = False) -> Callable[[T], T]: ...

    @overload
    def register(self, obj: T, force: bool = False) -> T: ...

    def register(self, obj: Any = None, force: bool = False) -> Any:
        """Add `obj` under its own name and return it; without `obj`, return a decorator that does so.

        Raises:
            KeyError: the name is taken, and `force` is False.
        """

        def add(item: Any) -> Any:
            if item.__name__ in self._objects and not force:
                raise KeyError(
                    f"Expected a {self._name.lower()} of a new name, but {item.__name__} is registered already: rename "
                    "one of them."
                )
            self._objects[item.__name__] = item
            return item

        return add if obj is None else add(obj)

    def get(self, name: str) -> Any:
        """Return the object of a name; raise a KeyError if there is none."""
        if name not in self._objects:
            raise KeyError(unknown_name(name, self.registered_names(), self._name.lower()))
        return self._objects[name]

    def registered_names(self) -> list[str]:
        """Return all names in order of registration."""
        return list(self._objects)

    def build(self, name: str, cfg: CfgNode, **kwargs: Any) -> Any:
        """Construct the class of a name from a configuration.

        Raises:
            UserError: there is no such name.
        """
        kind = self._name.lower()
        check_availability(name, self.registered_names(), what=kind)
        print_detail(f"Loading {kind}: {name}", cfg.VERBOSE)
        return self.get(name)(cfg, **kwargs)
