"""Train and test runs: `run(spec)` from Python, `perform(spec)` for commands."""

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dassl.config import difference
from dassl.console import printable
from dassl.engine import build_trainer
from dassl.errors import UserError, sentence
from dassl.utils import Logger, choose_device, collect_env_info, describe_device, set_random_seed
from dassl.writing import atomic_write
from runs import lockstep
from runs.config import check_classes, checkout_of, checkout_settings, configure, defaults, protocol_of
from runs.finished import DataOf, check_learned, finished, model_dir
from runs.labelled import Labelled
from runs.outcome import BEFORE, DONE, LEFT, Outcome
from runs.results import write_results
from runs.revision import commit
from runs.spec import RunSpec
from trainers.base.digests import method_settings
from trainers.base.results import Results


class Run:
    """One seed's run: its folder, which is locked while it lasts, its log, its trainer, and its error if it fails."""

    trainer: Any = None
    log: Logger

    def __init__(self, spec: RunSpec, seed: int):
        self.spec, self.seed = spec, seed
        self.cfg = configure(spec, seed)
        self.folder = Path(self.cfg.OUTPUT_DIR)
        self.error: Exception | None = None
        self._told: BaseException | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Lock the folder, and keep its log open."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock", timeout=0), Logger(self.folder / "log.txt") as self.log:
            yield

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        """Copy what is printed to the log; an error that a user can mend ends this run, with one sentence."""
        try:
            with contextlib.redirect_stdout(self.log):
                yield
        except BaseException as error:
            self.tell(error)
            if isinstance(error, Exception):
                self.error = error
            if not (words := sentence(error)):
                raise
            print_error(words)

    def tell(self, error: BaseException) -> None:
        """Write the traceback of an error into the log, once."""
        if error is not self._told:
            self._told = error
            with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
                self.log.write_file("".join(traceback.format_exception(error)))

    def build(self) -> None:
        """Complete the configuration, write it, and make the trainer."""
        print(f"Device: {describe_device(choose_device(self.cfg.USE_CUDA))}")
        if checkout := checkout_of(self.spec):
            print(checkout)
            if settings := checkout_settings(self.spec):
                print(settings)
        self.cfg = cfg = configure(self.spec, self.seed, complete=True)
        if (asked := protocol_of(self.spec)) != cfg.PROTOCOL:
            print(f"PROTOCOL {asked}: {cfg.TRAINER.NAME} has no settings for it (or no --trainer names it): as ever")
        settings = cfg.dump()
        with atomic_write(self.folder / "config.yaml") as file:
            file.write(settings)
        if cfg.SEED >= 0:
            print(f"Setting fixed seed: {cfg.SEED}")
            set_random_seed(cfg.SEED)
        shown = difference(cfg, defaults(self.spec))
        shown.TRAINER[cfg.TRAINER.NAME.upper()] = method_settings(cfg)
        print(f"** Config ** (the method's, and what is not a default; all of it is in {self.folder / 'config.yaml'})")
        print(f"{shown.dump()}\n** System info **\n{collect_env_info()}\nCommit: {commit() or 'not known'}\n")
        self.trainer = build_trainer(cfg)
        self.trainer.on_test = self.write

    def write(self, results: Results) -> None:
        """Leave the results of a test."""
        write_results(self.spec, self.cfg, self.trainer, results)

    def test(self) -> None:
        """Test what was learned before, on the base classes unless the specification names another run."""
        folder = model_dir(self.spec, self.cfg)
        self.trainer.load_model(str(folder), epoch=self.spec.load_epoch)
        if not self.spec.model_dir:
            check_learned(self.spec, self.cfg, self.trainer, folder)
        self.trainer.test()

    def outcome(self) -> Outcome:
        """Return what became of the run."""
        if self.error:
            return Outcome.failed(self.seed, self.folder, self.error)
        return Outcome(self.seed, DONE, self.folder)


def run(spec: RunSpec | None = None, **what: Any) -> list[Outcome]:
    """Train and test a run of each seed, side by side; finished ones are left alone.

    Args:
        spec: the runs.
        what: fields of a `RunSpec`, in its place or to replace some of its own.

    Raises:
        UserError: a run failed, and the others have ended; or another process is working on one.
        Exception: a bug, with its traceback.
    """
    spec = replace(spec, **what) if spec else RunSpec(**what)
    outcomes = perform(spec)
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
        if outcome.state == LEFT:
            raise UserError(f"Expected to run seed {outcome.seed}, but {outcome.reason}: wait for it, or end it.")
    return outcomes


def perform(spec: RunSpec, read: DataOf | None = None) -> list[Outcome]:
    """Train and test a run of each seed, side by side.

    Errors are printed as they come, and returned: a run that fails does not stop the others, but a bug does.

    Args:
        spec: the runs.
        read: returns data set and digests of a configuration, as `runs.finished.data_of`.
    """
    ended: dict[int, Outcome] = {}
    waiting: list[Run] = []
    told: set[str] = set()  # what is wrong with all seeds is printed once
    seeds = spec.seeds or (-1,)
    with contextlib.ExitStack() as stack:
        for seed in seeds:
            one: Run | None = None
            try:
                one = Run(spec, seed)
                if _open(one, stack, read):
                    waiting.append(one)
                else:
                    print(f"Finished already, nothing to do: {one.folder}")
                    ended[seed] = Outcome(seed, BEFORE, one.folder)
            except Timeout:
                folder = one.folder if one else None
                ended[seed] = Outcome(seed, LEFT, folder, f"another process is working on {folder}")
                print_error(f"{ended[seed].reason}; wait for it, or end it.")
            except Exception as error:
                ended[seed] = Outcome.failed(seed, one.folder if one else None, error)
                if ended[seed].reason not in told:
                    _print(error)
                told.add(ended[seed].reason)
        try:
            _work(spec, waiting)
        except Exception as error:
            for one in waiting:  # it may be any run's: none of them goes on
                one.tell(error)
                if not (one.folder / "metrics.json").is_file():
                    one.error = one.error or error
            _print(error, [one.folder / "log.txt" for one in waiting])
        except BaseException as error:
            for one in waiting:
                one.tell(error)
            raise
    ended |= {one.seed: one.outcome() for one in waiting}
    return [ended[seed] for seed in seeds]


def _open(one: Run, stack: contextlib.ExitStack, read: DataOf | None) -> bool:
    """Lock the folder of a run that is not done, until `stack` ends; return False for one that is."""
    check_classes(one.spec, one.cfg)
    if finished(one.spec, one.cfg, read):
        return False
    choose_device(one.cfg.USE_CUDA)  # a GPU that cannot be used is told before any folder is made
    stack.enter_context(one.open())
    return not finished(one.spec, one.cfg, read)  # another process may have done it meanwhile


def _work(spec: RunSpec, runs: Sequence[Run]) -> None:
    """Train and test, or test only; runs of trainers that are not ours one after the other."""
    if len(runs) > 1 and "CHECKOUT" in runs[0].cfg:
        for one in runs:
            _work(spec, [one])
            one.trainer = None  # its towers are not shared
        return
    _build(runs)
    runs = [one for one in runs if not one.failed]
    if spec.no_train:
        return
    if spec.eval_only:
        _each(runs, Run.test)
    elif len(runs) == 1:
        _each(runs, lambda one: one.trainer.train())
    elif runs:
        lockstep.train(runs)


def _build(runs: Sequence[Run]) -> None:
    """Build each run. Where several share the console, their lines begin with their seeds, and one build is shown."""
    consoles = []
    for one in runs if len(runs) > 1 else ():
        consoles.append(Labelled(one.log.console, f"seed {one.seed} | ", silent=one is not runs[0]))
        one.log.console = consoles[-1]
    _each(runs, Run.build)
    for one, console in list(zip(runs, consoles, strict=bool(consoles)))[1:]:
        console.silent = False
        if not one.failed:
            print(
                f"Built as seed {runs[0].seed}, but for what follows from the seed: {one.folder / 'log.txt'}",
                file=console,
            )


def _each(runs: Sequence[Run], do: Callable[[Run], None]) -> None:
    for one in runs:
        with one.logged():
            do(one)


def _print(error: Exception, logs: Sequence[Path] = ()) -> None:
    """Print an error: in a sentence what a user can mend, and the traceback of a bug."""
    if words := sentence(error):
        print_error(words)
        return
    traceback.print_exception(error)
    where = f"; the traceback is in {', '.join(map(str, logs))} too" if logs else ""
    print_error(f"a bug ({type(error).__name__}), not your input{where}.")


def print_error(words: str) -> None:
    """Print an error on one line of stderr; names in it cannot steer a terminal."""
    print(f"error: {printable(words)}", file=sys.stderr)
