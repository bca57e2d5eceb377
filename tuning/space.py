"""What is searched: the settings of each method, and how far they may go."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dassl.console import shown
from dassl.errors import UserError

LARGEST = 1e9  # of a setting: beyond it is no range of any search


class Range(NamedTuple):
    """A setting's lowest and highest value; `log`: drawn evenly in its logarithm."""

    low: float
    high: float
    log: bool = True


# The published weights of every data set lie inside. SCCM is a mean over C x D entries, so that the same pull needs D
# times the weight of L_anc: its range goes as much further up. TAU is a number of standard deviations.
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
    """A setting's key in the configuration."""
    return f"TRAINER.{trainer.upper()}.{name}"


def space(trainer: str, fixed: Sequence[str] = ()) -> dict[str, Range]:
    """What is searched for a method; what the KEY VALUE pairs `fixed` set is not.

    Raises:
        UserError: a method without a search space, or nothing left to search.
    """
    if trainer not in SPACE:
        raise UserError(f'Expected --trainer to be one of {", ".join(SPACE)} (tuning/space.py), but got "{trainer}".')
    left = {name: span for name, span in SPACE[trainer].items() if key(trainer, name) not in fixed[::2]}
    if not left:
        raise UserError(
            f"Expected a setting to search, but {' '.join(fixed)} fixes all of them: leave out one of "
            f"{', '.join(SPACE[trainer])}."
        )
    return left


def options(trainer: str, settings: dict[str, float]) -> list[str]:
    """Settings as KEY VALUE words, which train.py takes last."""
    return [word for name, value in settings.items() for word in (key(trainer, name), repr(value))]
