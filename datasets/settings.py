"""Settings of the data sets, below `cfg.DATASET`, with their defaults."""

from yacs.config import CfgNode

DEFAULTS = CfgNode(
    {
        "SUBSAMPLE_CLASSES": "all",  # "all", "base" or "new"
        "DRAWS": "nested",  # of K shots: "nested", ours; or "biomedcoop", as BiomedCoOp's code draws them
        "LINKS": "inside",  # "inside": links among the images must stay in the data folder; "anywhere"
        "LEAKS": "warn",  # "warn" or "error": what the same image, or patient, on two sides is
        "NESTED": False,  # of folders: also read the images in folders below that of a class
        "GROUP_PATTERN": None,  # regular expression on paths with one group in brackets, which is the patient
        "TABLE": {  # of tables: file and columns that do not have their usual names
            "FILE": None,
            "PATH": None,
            "LABEL": None,  # one column, or several with a 1 in one of them, separated by commas
            "SPLIT": None,
            "GROUP": None,
            "TEST_FOLD": None,  # of a split that is numbered: the fold for testing
        },
    }
)


def extend_cfg(cfg: CfgNode) -> None:
    """Add the settings to a configuration that is not merged yet."""
    for key, value in DEFAULTS.clone().items():
        cfg.DATASET[key] = value


def settings_of(cfg: CfgNode) -> CfgNode:
    """Return the settings of a configuration, and the defaults of those that it lacks."""
    found = DEFAULTS.clone()
    found.merge_from_other_cfg(CfgNode({key: cfg.DATASET[key] for key in DEFAULTS if key in cfg.DATASET}))
    return found
