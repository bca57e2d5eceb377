"""Merge yaml files and KEY VALUE pairs into a configuration: each value gets the type of its default, or is refused."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from dassl.config.words import pairs_of
from dassl.console import printable, shown
from dassl.errors import UserError
from dassl.literals import BOOLEANS, literal
from dassl.reading import read_yaml

SHOWN = 4  # keys that an error proposes


def merge_file(cfg: CfgNode, path: str | Path, links: bool = True) -> None:
    """Merge a yaml file into `cfg`.

    The merging of yacs itself would run a file that ends in .py, read the name 2024 as a number, and refuse 1 for 1.0.

    Args:
        cfg: changed in place.
        path: the file.
        links: follow a symbolic link; False for files that others may have written.

    Raises:
        UserError: the file is missing, no yaml, or has an unknown key or a value of another type.
    """
    if Path(path).suffix not in (".yaml", ".yml"):
        raise UserError(f"Expected a file of settings that ends in .yaml or .yml, but got {path}: give it that name.")
    try:
        values = read_yaml(path, links)
    except FileNotFoundError as error:
        raise UserError(f"Expected a file of settings at {path}, but there is none: correct the path.") from error
    _merge(cfg, {} if values is None else values, str(path))


def merge_pairs(cfg: CfgNode, words: Sequence[str], where: str = "the settings of the command line") -> None:
    """Merge the words KEY VALUE KEY VALUE ... into `cfg`.

    Args:
        cfg: changed in place.
        words: the keys and values; KEY=VALUE is taken too.
        where: they come from, in the words of an error.

    Raises:
        UserError: a key has no value, is unknown, or its value has another type.
    """
    for key, value in pairs_of(words, where):
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        _merge(cfg, nested, where)


def _merge(cfg: CfgNode, values: Any, where: str, prefix: str = "", root: CfgNode | None = None) -> None:
    root = cfg if root is None else root
    if not isinstance(values, Mapping):
        place = prefix.rstrip(".") or "it"
        raise UserError(f"Expected settings in {where}, but {place} holds {shown(values)}: write KEY: VALUE there.")
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key in cfg and isinstance(cfg[key], CfgNode):
            _merge(cfg[key], value, where, f"{name}.", root)
        elif key in cfg:
            cfg[key] = _convert(value, cfg[key], name, where)
        elif isinstance(key, str) and cfg.is_new_allowed():
            cfg[key] = CfgNode(dict(value), new_allowed=True) if isinstance(value, Mapping) else value
        else:
            advice = _advice(str(name), list(_keys(root)))
            if prefix.startswith("TRAINER.") and prefix.count(".") == 2:
                advice += " A method declares settings of its own in its defaults()."
            raise UserError(
                f"Expected settings of this program in {where}, but there is no key {printable(name)}: {advice}"
            )


def _keys(cfg: CfgNode, prefix: str = "") -> Iterator[str]:
    """Yield the full names of all settings."""
    for key, value in cfg.items():
        name = f"{prefix}{key}"
        if isinstance(value, CfgNode):
            yield from _keys(value, f"{name}.")
        else:
            yield name


def _advice(name: str, keys: Sequence[str]) -> str:
    """Return what to do about a key that there is not: the full names of one that was shortened, else a similar key."""
    short = name.rpartition(".")[2].upper()
    close = [key for key in keys if key.rpartition(".")[2] == short] or get_close_matches(name.upper(), keys, n=1)
    if close:
        return f"did you mean {' or '.join(close[:SHOWN])}?"
    return "correct it; the config.yaml of a run lists all keys."


def _convert(value: Any, default: Any, name: str, where: str) -> Any:
    """Return `value` in the type of `default`; one value is taken for a list or tuple of at most one.

    Raises:
        UserError: `value` cannot be converted.
    """
    found = literal(value)
    if isinstance(default, str):
        if isinstance(found, str):
            return found
        if isinstance(value, (str, bool, int, float)):
            return str(value)
    kind = type(default)
    if default is None:
        if isinstance(value, str) and not isinstance(found, (str, type(None))) and str(found) != value:
            return value  # "0,1" names two columns, and "1_0" is not 10
        return found
    if isinstance(default, (list, tuple)):
        several = isinstance(found, (list, tuple))
        if several or len(default) < 2:
            return kind(_items(found if several else [found], default, name, where))
    elif type(found) is kind:
        return found
    elif isinstance(default, bool):
        if isinstance(found, str) and found.lower() in BOOLEANS:
            return BOOLEANS[found.lower()]
    elif isinstance(default, float) and type(found) is int:
        with contextlib.suppress(OverflowError):
            return float(found)
    elif isinstance(default, int) and isinstance(found, float) and found.is_integer():
        return int(found)
    raise UserError(
        f"Expected {'an' if kind is int else 'a'} {kind.__name__} such as {default!r} for {name} in {where}, but got "
        f"{shown(value)}: correct it."
    )


def _items(values: Sequence[Any], default: Sequence[Any], name: str, where: str) -> list[Any]:
    """Return values in the type that all items of `default` have; as they are if these differ, or there are none."""
    if len({type(item) for item in default}) != 1:
        return list(values)
    return [_convert(value, default[0], name, where) for value in values]
