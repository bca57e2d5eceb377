"""An Optuna study in an SQLite file: it can be resumed, and several processes may work on it at once.

Every process sends heartbeats for its trial. A trial without them belongs to a process that was killed: Optuna gives it
up, and any process does it again with the same settings. No trial is pruned by intermediate values: one data set and
one number of shots give one value, and the mean of several may be best where the first one is not.
"""

import contextlib
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from dassl.console import printable, shown
from dassl.errors import DivergedError, UserError
from dassl.names import shared_name
from report.render import without_places
from tuning import storage
from tuning.space import Range, checked
from tuning.storage import give_up_dead_trials, load_optuna, locked, open_study

ENDED = ("COMPLETE", "PRUNED")  # states of trials that count; a trial whose loss diverged is "pruned"
TAKEN = (*ENDED, "RUNNING")
WORDS = 1000  # of a failed trial's reason, in characters
Settings = dict[str, float]
Objective = Callable[[Settings], tuple[float, dict[str, Any]]]


@dataclass(frozen=True)
class Search:
    """A search space, and what the scores depend on.

    Attributes:
        space: range of each setting.
        first: settings that are tried before the sampler draws any.
        trials: how many are tried in all, by all processes and resumptions together.
        seed: of the sampler.
        about: all else that a score depends on; a study with other values is not continued.
    """

    space: dict[str, Range]
    first: list[Settings]
    trials: int
    seed: int
    about: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        return {**self.about, "space": {name: list(span) for name, span in self.space.items()}, "sampler": self.seed}


class About(NamedTuple):
    """The results of a trial that succeeded; `accuracy` and `images` are of each data set."""

    settings: Settings
    accuracy: dict[str, float]
    images: dict[str, int]
    log_likelihood: float
    seconds: float


class BeyondBudget(Exception):
    """Ends a trial that is one too many: two processes asked at the same moment, when one trial was left."""


class Study:
    """The study in a file, which is begun if there is none.

    The file may come from anyone: all that is read from it is checked.

    Args:
        file: an SQLite file.
        search: the search.
        within: the folder of studies, in which the file lies; by default the file's own.

    Raises:
        UserError: Optuna is not installed.
        UserError: the file holds a study of something else, or none, or fewer trials are asked for than come first.
        UserError: the file, its lock or a folder on the way is a link.
    """

    def __init__(self, file: Path, search: Search, within: Path | None = None):
        if search.trials < len(search.first):
            raise UserError(
                f"Expected --trials {len(search.first)} or more, but got {search.trials}: so many default settings are "
                "tried first."
            )
        self.optuna = load_optuna()
        self.file, self.search, self.within = file, search, within or file.parent
        self.states = self.optuna.trial.TrialState
        with locked(file, self.within):
            self.study = open_study(file, self.search.identity)
            self._check(self.study.user_attrs["identity"])
            self._enqueue_first()

    def _check(self, found: Any) -> None:
        """Raise a UserError unless the study is of the same search."""
        for name, wanted in self.search.identity.items():
            known: Any = found.get(name) if isinstance(found, dict) else None
            with contextlib.suppress(AttributeError, TypeError):  # earlier studies name folders of their machine
                if name == "backbone":
                    known = shared_name(known)
                elif name == "settings":
                    known = without_places(known)
            if known != wanted:
                raise UserError(
                    f"Expected {self.file} to be a study of {name} {wanted}, but it is one of "
                    f"{printable(str(known)[:200])}: choose another --output (OUTPUT=...), or remove the file to begin "
                    "again."
                )

    def _enqueue_first(self) -> None:
        """Let the first settings be tried next, unless they were, are being or will be tried."""
        known = []
        for trial in self._trials(*TAKEN, "WAITING"):
            enqueued = trial.system_attrs.get("fixed_params")
            known.append((enqueued if isinstance(enqueued, dict) else {}) | trial.params)
        for settings in self.search.first:
            if settings not in known:
                self.study.enqueue_trial(settings)

    def run(self, objective: Objective, tell: Callable[[Any], None]) -> None:
        """Try settings until no trial is left; `tell` is called with each one of this process after it.

        Trials of other processes are waited for until it is known whether these are alive.

        Args:
            objective: returns the value of settings, and what to remember of them: "log_likelihood", which decides
                between equal values, "settings" as they were tried, and more. A DivergedError from it fails the trial;
                any other error interrupts the study.
            tell: gets the trial.
        """
        limit = self.optuna.study.MaxTrialsCallback(self.search.trials, states=self._states(*TAKEN))
        callbacks = [limit, lambda study, trial: None if trial.state == self.states.FAIL else tell(trial)]
        waited = 0
        while True:
            give_up_dead_trials(self.study)
            if len(self._trials(*TAKEN)) < self.search.trials:
                self.study.optimize(partial(self._try, objective), catch=BeyondBudget, callbacks=callbacks)
            elif (others := self.running()) and waited <= storage.GRACE:
                if not waited:
                    again = f"one that was killed is done again after {storage.GRACE} seconds"
                    print(f"Waiting for {others} trials of other processes; {again}.", file=sys.stderr)
                time.sleep(1)
                waited += 1
            else:
                return

    def _try(self, objective: Objective, trial: Any) -> float:
        """Return the value of a trial's settings.

        The sampler is seeded by the trial's number: a study that is resumed after a trial goes on as it would have, and
        two processes draw different settings.
        """
        before = self._trials(*TAKEN, "WAITING")
        if sum(other.number < trial.number for other in before) >= self.search.trials:
            raise BeyondBudget
        self.study.sampler = self.optuna.samplers.TPESampler(seed=self.search.seed + trial.number)
        settings = self._draw(trial)
        try:
            value, remembered = objective(settings)
        except DivergedError as error:
            trial.set_user_attr("error", str(error))
            raise self.optuna.TrialPruned from error
        for name, each in remembered.items():
            trial.set_user_attr(name, each)
        return value

    def _draw(self, trial: Any) -> Settings:
        """Return the settings of a trial: those that were enqueued, or drawn by the sampler."""
        where = f"trial {trial.number + 1} of {self.file}"
        try:
            drawn = {
                name: trial.suggest_float(name, *span[:2], log=span.log) for name, span in self.search.space.items()
            }
        except (ValueError, TypeError) as error:
            raise UserError(f"Expected settings of {where}, but got: {printable(str(error)[:100])}.") from error
        for name, value in checked(drawn, self.search.space, where).items():
            low, high, _ = self.search.space[name]
            if not low <= value <= high:
                raise UserError(
                    f"Expected {name} of {where} to lie within {low:g} and {high:g}, but it is {value:g}: remove the "
                    "file to begin again."
                )
        return drawn

    def _states(self, *names: str) -> tuple:
        return tuple(self.states[name] for name in names)

    def _trials(self, *names: str) -> list:
        """Return the trials in these states, by number."""
        return self.study.get_trials(deepcopy=False, states=self._states(*names))

    def trials(self) -> list:
        """Return the trials that came to an end, by number; interrupted ones did not."""
        return self._trials(*ENDED)

    def running(self) -> int:
        """Return the number of trials that other processes work on, or were killed over."""
        return len(self._trials("RUNNING"))

    def succeeded(self) -> list:
        """Return the trials with a value, by number."""
        return self._trials("COMPLETE")

    def best(self) -> Any:
        """Return the trial with the highest value; of equals the likeliest, then the earliest.

        Raises:
            UserError: none succeeded; says why the last one failed.
        """
        succeeded = self.succeeded()
        if not succeeded:
            why = self.error(self.trials()[-1]) if self.trials() else "none has ended"
            raise UserError(f"Expected a trial of {self.file} to succeed, but all failed, the last one so: {why}")
        return max(succeeded, key=lambda trial: (trial.value, self.about(trial).log_likelihood, -trial.number))

    def about(self, trial: Any) -> About:
        """Return the results of a trial that succeeded.

        Raises:
            UserError: they are not what a trial leaves; names it.
        """
        found, where = trial.user_attrs, f"trial {trial.number + 1} of {self.file}"
        settings = checked(found.get("settings"), self.search.space, where)
        try:
            _finite(trial.value)
            return About(
                settings,
                {str(name): _finite(value) for name, value in found["accuracy"].items()},
                {str(name): int(_finite(value)) for name, value in found.get("images", {}).items()},
                _finite(found["log_likelihood"]),
                _finite(found.get("seconds", 0.0)),
            )
        except (KeyError, AttributeError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"Expected the scores of {where}, but got {shown(error)}: remove the file to begin again."
            ) from error

    def params(self, trial: Any) -> Settings:
        """Return the settings that the sampler drew for a trial; raises as `about`."""
        return checked(trial.params, self.search.space, f"trial {trial.number + 1} of {self.file}")

    def error(self, trial: Any) -> str:
        """Return why a trial failed, in words; "" for one that did not."""
        return str(trial.user_attrs.get("error", ""))[:WORDS]


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:50]} where a number should be")
    return float(value)
