"""The settings of each method that are searched, and their ranges."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from dassl.console import shown
from dassl.errors import UserError
from dassl.names import check_availability

LARGEST = 1e9  # absolute value of a setting; all ranges lie within


class Range(NamedTuple):
    """The lowest and highest value of a setting; with `log` its logarithm is drawn evenly, instead of its value."""

    low: float
    high: float
    log: bool = True


# The published weights of every data set lie inside. SCCM is a mean over C x D entries: for the same pull its weight
# must be D times that of L_anc, so its range goes further up. TAU is a number of standard deviations.
SPACE: dict[str, dict[str, Range]] = {
    "vMFCoOp": {
        "LAMBDA_ANC": Range(0.01, 30),
        "LAMBDA_SC": Range(0.01, 30),
        "TAU_0": Range(0.1, 5),
        "TAU_MAX": Range(5, 100),
        "ALPHA_0": Range(0.01, 10),
    },
    "BiomedCoOp": {
        "SCCM_LAMBDA": Range(0.1, 10_000),
        "KDSP_LAMBDA": Range(0.1, 100),
        "TAU": Range(1.0, 2.5, log=False),
    },
}


def checked(found: Any, space: Mapping[str, Range], where: str, every: bool = True) -> dict[str, float]:
    """Return `found` if it is settings that a search may have chosen: a finite number for each name of `space`.

    Args:
        found: read from a file.
        space: what is searched.
        where: the file.
        every: all names must be there.

    Raises:
        UserError: it is anything else; names it.
    """
    known = isinstance(found, dict) and all(isinstance(name, str) and name in space for name in found)
    if not (known and found and (len(found) == len(space) or not every)):
        names = list(found) if isinstance(found, dict) else found
        raise UserError(
            f"Expected settings of {', '.join(space)} in {where}, but got {shown(names)}: remove it, and tune again."
        )
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
            raise UserError(
                f"Expected {name} in {where} to be a number, but got {shown(value)}: remove it, and tune again."
            )
    return {name: float(value) for name, value in found.items()}


def key(trainer: str, name: str) -> str:
    """Return a setting's key in the configuration.

    >>> key("vMFCoOp", "TAU_0")
    'TRAINER.VMFCOOP.TAU_0'
    """
    return f"TRAINER.{trainer.upper()}.{name}"


def space(trainer: str, fixed: Collection[str] = ()) -> dict[str, Range]:
    """Return the ranges of a method's settings, without those whose key is in `fixed`.

    Raises:
        UserError: the method has no search space, or all of it is fixed.
    """
    check_availability(trainer, SPACE, "--trainer")
    left = {name: span for name, span in SPACE[trainer].items() if key(trainer, name) not in fixed}
    if not left:
        raise UserError(
            f"Expected a setting to search, but {' '.join(fixed)} are all given: leave out one of "
            f"{', '.join(SPACE[trainer])}."
        )
    return left


def options(trainer: str, settings: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Return settings as options of a RunSpec.

    >>> options("vMFCoOp", {"TAU_0": 1.0})
    (('TRAINER.VMFCOOP.TAU_0', 1.0),)
    """
    return tuple((key(trainer, name), value) for name, value in settings.items())
