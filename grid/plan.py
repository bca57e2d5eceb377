"""What is asked for, less what is there: a list of jobs."""

import argparse
import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from yacs.config import CfgNode

import train
from dassl.errors import UserError
from report import paper
from report.methods import METHODS, default_seeds, trainer_name, with_setting

PARTS = {  # of a run, one after the other: flags of train.py
    "few_shot": ((),),
    "base2new": (("--subsample", "base"), ("--subsample", "new", "--eval-only")),
}


@dataclass(frozen=True)
class Job:
    """Runs that differ in their seed alone, and are therefore trained together."""

    trainer: str
    dataset: str
    shots: int
    seeds: tuple[int, ...]
    setting: str = "few_shot"
    flags: tuple[str, ...] = ()  # of train.py, the same for all jobs
    opts: tuple[str, ...] = ()  # KEY VALUE ...

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        return PARTS[self.setting]

    def args(self, part: Sequence[str], seeds: Sequence[int]) -> argparse.Namespace:
        """The command line of train.py for one part of these seeds."""
        words = ["--trainer", self.trainer, "--dataset", self.dataset, "--shots", self.shots, "--setting", self.setting]
        words += [*self.flags, *part, "--seed", *seeds]
        return train.parse([*map(str, words), *self.opts])

    def title(self, seeds: Sequence[int]) -> str:
        kind = " base to novel" if self.setting == "base2new" else ""
        several = "seeds" if len(seeds) > 1 else "seed"
        return f"{self.trainer}{kind} on {self.dataset}, K = {self.shots}, {several} {' '.join(map(str, seeds))}"


def plan(args: argparse.Namespace) -> tuple[list[Job], int]:
    """Jobs of the runs that are missing, those of one data set side by side; and how many runs are there already.

    Raises:
        UserError: a name or a setting that is not known.
    """
    flags = ("--root", args.root, "--backbone", args.backbone, "--output", args.output)
    without = paper.WITHOUT_NOVEL if args.setting == "base2new" else ()
    datasets = _several(args.datasets, [name for name in paper.DATASETS if name not in without])
    shots = _several(args.shots, paper.TABLE1["shots"])
    jobs, finished, data_of = [], 0, _remembering(train.data_of)
    for dataset, k, trainer in itertools.product(datasets, shots, trainers(args.methods, args.setting)):
        seeds = args.seeds or default_seeds(trainer)
        job = _suited(Job(trainer, dataset, k, tuple(dict.fromkeys(seeds)), args.setting, flags, tuple(args.opts)))
        missing = tuple(seed for seed in job.seeds if not _finished(job, seed, data_of))
        finished += len(job.seeds) - len(missing)
        if missing:
            jobs.append(replace(job, seeds=missing))
    return jobs, finished


def trainers(methods: Sequence[str], setting: str) -> list[str]:
    """Trainers behind folders of scripts/ that have this setting, or trainers' own names.

    Raises:
        UserError: neither of both.
    """
    import trainers  # noqa: F401, registers them
    from dassl.engine import TRAINER_REGISTRY

    ready = with_setting(setting)
    known = [METHODS[folder] for folder in ready]
    known += [name for name in TRAINER_REGISTRY.registered_names() if name not in METHODS.values()]
    names = _several(methods, ready)
    for name in names:
        if trainer_name(name) not in known:
            raise UserError(f'Expected methods of {", ".join(ready)} for {setting}, but got "{name}".')
    return list(dict.fromkeys(map(trainer_name, names)))


def take(waiting: list[Job], dataset: str = "", elsewhere: Collection[str] = ()) -> Job:
    """Remove the job that suits a worker best: of the data set it is on, else of one that no other is on."""
    job = min(waiting, key=lambda job: (job.dataset != dataset, job.dataset in elsewhere))
    waiting.remove(job)
    return job


def _several(words: Sequence[str], everything: Sequence) -> list:
    """`words` once each; the word "all" stands for everything."""
    return list(dict.fromkeys(everything if list(words) == ["all"] else words))


def _suited(job: Job) -> Job:
    """The job without OPTIM.MAX_EPOCH where the method knows no epochs: settings are given once for all methods."""
    if "OPTIM.MAX_EPOCH" in job.opts and not train.setup_cfg(replace(job, opts=()).args((), job.seeds)).OPTIM.MAX_EPOCH:
        pairs = zip(job.opts[::2], job.opts[1::2], strict=True)
        return replace(job, opts=tuple(word for pair in pairs if pair[0] != "OPTIM.MAX_EPOCH" for word in pair))
    return job


def _remembering(data_of: Callable) -> Callable:
    """`data_of` that reads what methods share once: the same draw of the same data set, and the same backbone."""
    known: dict[str, tuple] = {}

    def of(cfg: CfgNode) -> tuple:
        key = str((cfg.DATASET, cfg.SEED, cfg.TEST.SPLIT, cfg.MODEL.BACKBONE, cfg.FEATURES.ROOT))
        if key not in known:
            known[key] = data_of(cfg)
        return known[key]

    return of


def _finished(job: Job, seed: int, data_of: Callable) -> bool:
    """Whether all parts are there; results of other settings are not, and the worker says what is wrong with them."""
    for part in job.parts:
        args = job.args(part, [seed])
        cfg = train.setup_cfg(args, seed)
        try:
            if not train.finished(cfg, args, data_of):
                return False
        except UserError:
            return False
    return True
