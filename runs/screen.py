"""The few lines that the runs of one specification show on the console; all that they print is in their logs."""

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from dassl.console import printable
from dassl.errors import sentence
from dassl.progress import Progress, print_above
from trainers.base.results import Results

FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "auroc": "AUROC", "ece": "ECE"}
BESIDE = ("balanced_accuracy", "per_class")  # figures of a test that are in the log and the record alone


class Voice:
    """The console of one run of several: each line of `write` goes to `say`.

    Args:
        stream: answers whatever else the console is asked for.
        say: takes a line.
    """

    def __init__(self, stream: TextIO, say: Callable[[str], None]):
        self.stream, self.say = stream, say

    def write(self, text: str) -> int:
        """Say each line of `text`."""
        for line in text.splitlines():
            self.say(line)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Screen:
    """Collect the lines of several runs, and print each once, with the seeds that say it unless all do.

    Args:
        title: of the runs, for their progress bar.
        seeds: of the runs.
        silent: print errors alone, where the runs print everything on the console themselves.
        known: lines that are not repeated.
    """

    def __init__(self, title: str, seeds: Sequence[int], silent: bool = False, known: Iterable[str] = ()):
        self.title, self.seeds, self.silent = title, seeds, silent
        self._process = os.getpid()
        self.stream = sys.stdout  # while a run prints, that is its log
        self._said, self._known, self._errors = dict[str, list[int]](), set(known), set[str]()
        self._results: dict[int, str] = {}
        self._losses: dict[int, float] = {}
        self._epochs = (0, 0)
        self._progress: Progress | None = None

    def voice(self, seed: int) -> Voice:
        """Return the console of the run of a seed."""
        return Voice(self.stream, lambda line: self.say(seed, line))

    def say(self, seed: int, line: str) -> None:
        """Keep a line of one run for the next `flush`; a process that loads its images prints it at once."""
        if os.getpid() != self._process:
            self._print(line)
        elif line not in self._known:
            self._said.setdefault(line, []).append(seed)

    def flush(self) -> None:
        """End the progress bar, and print what was said."""
        self._end_progress()
        for line, seeds in self._said.items():
            said_by_all = set(seeds) == set(self.seeds)
            self._print(line if said_by_all else f"{seeds_in_words(dict.fromkeys(seeds))}: {line}")
            self._known.add(line)
        for line in self._results.values():
            self._print(line)
        self._said.clear()
        self._results.clear()

    def error(self, error: BaseException) -> None:
        """Print an error that a user can mend on stderr, unless another run ended with the same."""
        words = sentence(error)
        if words and words not in self._errors:
            self._errors.add(words)
            self.flush()
            print_error(words)

    def step(self, seed: int, trainer: Any, trainers: Iterable[Any]) -> None:
        """Show a step of training.

        Args:
            seed: of the run that has taken it.
            trainer: of this run.
            trainers: of all runs that are trained side by side.
        """
        if self.silent:
            return
        if not self._progress:
            self.flush()
            steps = sum((each.max_epoch - each.start_epoch) * trainer.num_batches for each in trainers)
            self._progress = Progress(steps, self.title, "step")
        if loss := trainer.loss_meters.meters.get("loss"):
            self._losses[seed] = loss.avg
        self._epochs = trainer.epoch + 1, trainer.max_epoch
        self._progress.update(1, self._figures())
        if self._progress.done == self._progress.total:
            self._end_progress()

    def result(self, seed: int, results: Results) -> None:
        """Say the figures of a test."""
        known = {name: value for name, value in results.figures.items() if value is not None and name not in BESIDE}
        names = FIGURES | {name: name for name in known if name not in FIGURES}
        told = [f"{words} {known[name]:.2f}" for name, words in names.items() if name in known]
        self._results[seed] = f"{seeds_in_words([seed])}: {', '.join(told)}"

    def _figures(self) -> str:
        loss = [f"loss {sum(self._losses.values()) / len(self._losses):.3f}"] if self._losses else []
        return ", ".join(["epoch {} of {}".format(*self._epochs), *loss])

    def _end_progress(self) -> None:
        """Replace the bar by a line."""
        if progress := self._progress:
            self._progress = None
            progress.close()
            self._print(f"trained in {progress.seconds:.0f} s: {self._figures()}")
            self._losses.clear()

    def _print(self, line: str) -> None:
        if not self.silent:
            print_above(line, self.stream)


def seeds_in_words(seeds: Iterable[int]) -> str:
    """Return the seeds of runs as a few words.

    >>> seeds_in_words([1]), seeds_in_words([1, 2]), seeds_in_words([-1])
    ('seed 1', 'seeds 1 2', 'no seed')
    """
    found = [seed for seed in seeds if seed >= 0]
    return f"seed{'s' * (len(found) > 1)} {' '.join(map(str, found))}" if found else "no seed"


def print_error(words: str) -> None:
    """Print an error on one line of stderr; names in it cannot steer a terminal."""
    print(f"error: {printable(words)}", file=sys.stderr)


def print_failure(error: Exception, logs: Sequence[Path] = ()) -> None:
    """Print an error: in a sentence what a user can mend, and the traceback of a bug."""
    if words := sentence(error):
        print_error(words)
        return
    traceback.print_exception(error)
    where = f"; the traceback is in {', '.join(map(str, logs))} too" if logs else ""
    print_error(f"a bug ({type(error).__name__}), not your input{where}.")
