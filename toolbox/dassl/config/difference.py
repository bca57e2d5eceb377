"""The settings of a configuration that differ from the defaults."""

from typing import Any

from yacs.config import CfgNode


def flat(node: CfgNode, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the pairs of key, such as "OPTIM.LR", and value of a node, sorted by key in each node.

    >>> flat(CfgNode({"OPTIM": CfgNode({"NAME": "sgd", "LR": 0.1}), "SEED": 1}))
    [('OPTIM.LR', 0.1), ('OPTIM.NAME', 'sgd'), ('SEED', 1)]
    """
    pairs: list[tuple[str, Any]] = []
    for key, value in sorted(node.items()):
        pairs += flat(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else [(prefix + key, value)]
    return pairs


def difference(cfg: CfgNode, default: CfgNode) -> CfgNode:
    """Return the settings of `cfg` that have another value in `default`, or are not in it.

    >>> difference(CfgNode({"A": 1, "B": {"C": 2, "D": 3}}), CfgNode({"A": 1, "B": {"C": 0, "D": 3}}))
    CfgNode({'B': CfgNode({'C': 2})})
    """
    found = CfgNode()
    for key, value in cfg.items():
        if isinstance(value, CfgNode) and isinstance(default.get(key), CfgNode):
            if nested := difference(value, default[key]):
                found[key] = nested
        elif key not in default or value != default[key]:
            found[key] = value
    return found
