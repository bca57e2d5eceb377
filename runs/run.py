"""Train and test runs: `run(spec)` from Python, `perform(spec)` for commands."""

import contextlib
import io
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dassl.config import difference
from dassl.console import tell
from dassl.engine import build_trainer
from dassl.errors import UserError, sentence
from dassl.utils import Logger, choose_device, collect_env_info, describe_device, set_random_seed
from dassl.writing import atomic_write
from datasets.base import PHANTOM_NOTICE
from runs import lockstep
from runs.config import check_classes, configure, passed_over
from runs.files import checkout_of, checkout_settings, config_files, defaults, protocol_of
from runs.finished import DataOf, check_learned, check_siblings, finished, model_dir
from runs.heading import finished_line, heading, title
from runs.labelled import Labelled
from runs.outcome import BEFORE, DONE, LEFT, Outcome
from runs.results import write_results
from runs.revision import commit
from runs.screen import Screen, print_error, print_failure, seeds_in_words
from runs.spec import PHANTOMS, RunSpec
from runs.starts import make_folder, remove_empty, remove_start
from runs.unread import files_line
from trainers.base.digests import method_settings
from trainers.base.results import Results


class Run:
    """One seed's run: its folder, which is locked while it lasts, its log, its trainer, and its error if it fails.

    Attributes:
        made: the folders that were made for it.
        tested: whether there are results.
        screen: shows on the console what it tells.
    """

    trainer: Any = None
    log: Logger
    tested = False

    def __init__(self, spec: RunSpec, seed: int):
        self.spec, self.seed = spec, seed
        self.cfg = configure(spec, seed)
        self.folder = Path(self.cfg.OUTPUT_DIR)
        self.made: list[Path] = []
        self.screen = Screen("", (seed,), silent=True)
        self.error: Exception | None = None
        self._told: BaseException | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Lock the folder, and keep its log open."""
        lock = FileLock(self.folder / ".lock", timeout=0)
        for tries_left in (2, 1, 0):
            self.made = make_folder(self.folder)
            try:
                lock.acquire()
                break
            except FileNotFoundError:  # another process has just removed the folder, as its start has failed
                if not tries_left:
                    raise
        with lock, Logger(self.folder / "log.txt", self.cfg.VERBOSE) as self.log:
            yield

    @contextlib.contextmanager
    def logged(self) -> Iterator[None]:
        """Print to the log; an error that a user can mend ends this run, with one sentence."""
        try:
            with contextlib.redirect_stdout(self.log):
                yield
        except BaseException as error:
            self.tell(error)
            if isinstance(error, Exception):
                self.error = error
            if not sentence(error):
                raise
            self.screen.error(error)

    def tell(self, error: BaseException) -> None:
        """Write the traceback of an error into the log, once."""
        if error is not self._told:
            self._told = error
            with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
                self.log.write_file("".join(traceback.format_exception(error)))

    def build(self) -> None:
        """Complete the configuration, write it, and make the trainer."""
        print(f"Device: {describe_device(choose_device(self.cfg.USE_CUDA))}")
        print(files_line(self.spec.trainer, config_files(self.spec)))
        if checkout := checkout_of(self.spec):
            tell(str(checkout))
            if settings := checkout_settings(self.spec):
                tell(str(settings))
        self.cfg = cfg = configure(self.spec, self.seed, complete=True)
        if (asked := protocol_of(self.spec)) != cfg.PROTOCOL:
            tell(f"PROTOCOL {asked}: {cfg.TRAINER.NAME} has no settings for it (or no --trainer names it): as ever")
        settings = cfg.dump()
        with atomic_write(self.folder / "config.yaml") as file:
            file.write(settings)
        if over := passed_over(self.spec, cfg):
            tell(f"Passed over, as {cfg.TRAINER.NAME} does not learn in epochs: {', '.join(over)}")
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
        self.tested = True
        write_results(self.spec, self.cfg, self.trainer, results)
        self.screen.result(self.seed, results)

    def clear(self) -> list[Path]:
        """Remove what a run has written that failed before it began; return the folders made for it, if any."""
        trained = getattr(self.trainer, "num_batches", 0) > 0
        if trained or self.tested or not self.made or not (self.error and sentence(self.error)):
            return []
        remove_start(self.folder)
        return self.made

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
                    ended[seed] = Outcome(seed, BEFORE, one.folder)
            except Timeout:
                folder = one.folder if one else None
                ended[seed] = Outcome(seed, LEFT, folder, f"another process is working on {folder}")
                print_error(f"{ended[seed].reason}; wait for it, or end it.")
            except Exception as error:
                ended[seed] = Outcome.failed(seed, one.folder if one else None, error)
                if ended[seed].reason not in told:
                    print_failure(error)
                told.add(ended[seed].reason)
        if ended_before := finished_line([outcome for outcome in ended.values() if outcome.state == BEFORE]):
            print(ended_before)
        screen = _screen(spec, waiting)
        try:
            _work(spec, waiting)
        except Exception as error:
            for one in waiting:  # it may be any run's: none of them goes on
                one.tell(error)
                if not (one.folder / "metrics.json").is_file():
                    one.error = one.error or error
            screen.flush()
            print_failure(error, [one.folder / "log.txt" for one in waiting])
        except BaseException as error:
            for one in waiting:
                one.tell(error)
            raise
        finally:
            screen.flush()
        made = [folder for one in waiting for folder in one.clear()]
    remove_empty(made)
    ended |= {one.seed: one.outcome() for one in waiting}
    return [ended[seed] for seed in seeds]


def _screen(spec: RunSpec, runs: Sequence[Run]) -> Screen:
    """Return what shows the runs on the console, and print what they are."""
    if not runs:
        return Screen("", ())
    cfg, seeds = runs[0].cfg, [one.seed for one in runs]
    known = {PHANTOM_NOTICE} if cfg.DATASET.ROOT == PHANTOMS else ()  # the heading says it
    screen = Screen(f"{title(spec, cfg)}, {seeds_in_words(seeds)}", seeds, cfg.VERBOSE, known)
    for one in runs:
        one.screen = screen
        if not cfg.VERBOSE:
            one.log.console = screen.voice(one.seed)
    if not cfg.VERBOSE:
        print("\n".join(heading(spec, cfg, seeds, [one.folder for one in runs])), flush=True)
    return screen


def _open(one: Run, stack: contextlib.ExitStack, read: DataOf | None) -> bool:
    """Lock the folder of a run that is not done, until `stack` ends; return False for one that is."""
    check_classes(one.spec, one.cfg)
    if _finished(one, read):
        return False
    check_siblings(one.spec, one.cfg)
    choose_device(one.cfg.USE_CUDA)  # a GPU that cannot be used is told before any folder is made
    stack.enter_context(one.open())
    return not _finished(one, read)  # another process may have done it meanwhile


def _finished(one: Run, read: DataOf | None) -> bool:
    """Return whether a run is done; what its data set tells is in its log, or will be."""
    with contextlib.redirect_stdout(io.StringIO()):
        return finished(one.spec, one.cfg, read)


def _work(spec: RunSpec, runs: Sequence[Run]) -> None:
    """Train and test, or test only; runs of trainers that are not ours one after the other."""
    if len(runs) > 1 and "CHECKOUT" in runs[0].cfg:
        for one in runs:
            _work(spec, [one])
            one.screen.flush()
            one.trainer = None  # its towers are not shared
        return
    _build(runs)
    runs = [one for one in runs if not one.failed]
    for one in runs:
        one.screen.flush()
        one.trainer.on_step = partial(_show_step, one, [each.trainer for each in runs])
    if spec.no_train:
        return
    if spec.eval_only:
        _each(runs, Run.test)
    elif len(runs) == 1:
        _each(runs, lambda one: one.trainer.train())
    elif runs:
        lockstep.train(runs)


def _show_step(one: Run, trainers: Sequence[Any], trainer: Any, _: dict[str, float]) -> None:
    """Show a step of a run, of several with these trainers that are trained side by side."""
    one.screen.step(one.seed, trainer, trainers)


def _build(runs: Sequence[Run]) -> None:
    """Build each run. Where several print on the console, lines begin with their seeds, and one build is shown."""
    consoles = []
    for one in runs if len(runs) > 1 and runs[0].log.verbose else ():
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
