"""The settings of a configuration that differ from the defaults."""

from yacs.config import CfgNode


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
