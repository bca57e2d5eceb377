"""Which of vMFCoOp's three terms a run was trained with: the rows of the paper's Table 2."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from report.collect import Run

METHOD = "vMFCoOp"
FOLDER = "ablation"  # of an output folder: scripts/vmfcoop/ablation.sh writes below it


class Terms(NamedTuple):
    """L_SCE (else plain cross-entropy), L_anc and L_sc: used or not."""

    sce: bool
    anc: bool
    sc: bool

    def __str__(self) -> str:
        return " + ".join(["SCE" if self.sce else "CE", *(["anc"] if self.anc else []), *(["sc"] if self.sc else [])])


FULL = Terms(True, True, True)


def terms(run: Run) -> Terms | None:
    """Terms that the settings in a run's config.yaml switch on; None where they are needed and not recorded.

    All methods but vMFCoOp have nothing to switch off, and count as full; so does a run of vMFCoOp that left no
    settings, as those of other code bases do, unless it lies where ablations do.
    """
    return _recorded(run.path) if run.trainer == METHOD else FULL


@cache
def _recorded(folder: Path) -> Terms | None:
    import yaml

    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["TRAINER"][METHOD.upper()]
        return Terms(bool(settings["SCE"]), bool(settings["LAMBDA_ANC"]), bool(settings["LAMBDA_SC"]))
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None if FOLDER in folder.resolve().parts else FULL
