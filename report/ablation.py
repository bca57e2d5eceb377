"""Which of vMFCoOp's three terms a run was trained with: the rows of the paper's Table 2."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from dassl.errors import UserError
from report.collect import Run
from runs.layout import ABLATION

METHOD = "vMFCoOp"
LARGEST = 64 * 1024  # bytes of a config.yaml; ours have about 5,000, and a megabyte of yaml takes a minute to read


class Terms(NamedTuple):
    """L_SCE (else plain cross-entropy), L_anc and L_sc: used or not."""

    sce: bool
    anc: bool
    sc: bool

    def __str__(self) -> str:
        return " + ".join(["SCE" if self.sce else "CE", *(["anc"] if self.anc else []), *(["sc"] if self.sc else [])])


FULL = Terms(True, True, True)


def terms(run: Run) -> Terms | None:
    """Return the terms that the settings in a run's config.yaml switch on; None where they are needed and not recorded.

    All methods but vMFCoOp have nothing to switch off, and count as full; so does a run of vMFCoOp that left no
    settings, as those of other code bases do, unless it lies where ablations do.
    """
    return _recorded(run.path)[0] if run.trainer == METHOD else FULL


def problem(run: Run) -> str:
    """Return why a run's config.yaml cannot be read; "" where it can, is not there, or is not needed."""
    return _recorded(run.path)[1] if run.trainer == METHOD else ""


@cache
def _recorded(folder: Path) -> tuple[Terms | None, str]:
    from dassl.reading import read_yaml

    unknown = None if ABLATION in folder.absolute().parts else FULL
    try:
        settings = read_yaml(folder / "config.yaml", links=False, limit=LARGEST)["TRAINER"][METHOD.upper()]
        return Terms(bool(settings["SCE"]), bool(settings["LAMBDA_ANC"]), bool(settings["LAMBDA_SC"])), ""
    except UserError as error:
        return unknown, str(error)
    except (FileNotFoundError, KeyError, TypeError):
        return unknown, ""
