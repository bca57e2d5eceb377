"""What a configuration has otherwise than the defaults: all that a person wants to read of it."""

from yacs.config import CfgNode


def difference(cfg: CfgNode, default: CfgNode) -> CfgNode:
    """Return the settings of `cfg` that `default` has otherwise, or not at all.

    >>> difference(CfgNode({"A": 1, "B": {"C": 2, "D": 3}}), CfgNode({"A": 1, "B": {"C": 0, "D": 3}}))
    CfgNode({'B': CfgNode({'C': 2})})
    """
    found = CfgNode()
    for key, value in cfg.items():
        if isinstance(value, CfgNode) and isinstance(default.get(key), CfgNode):
            if within := difference(value, default[key]):
                found[key] = within
        elif key not in default or value != default[key]:
            found[key] = value
    return found
