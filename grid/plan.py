"""Find the runs that are missing: methods x data sets x shots x seeds, without those that are finished."""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from dassl.names import unknown_name
from datasets.catalogue import named_datasets
from report import paper
from runs.config import configure
from runs.finished import data_of, finished
from runs.methods import (
    METHODS,
    both_protocols,
    check_protocol,
    default_seeds,
    split_protocol,
    trainer_name,
    with_setting,
)
from runs.outcome import KINDS
from runs.spec import RunSpec
from trainers import register_all


@dataclass(frozen=True)
class Grid:
    """The runs that are asked for; ["all"] stands for everything.

    Attributes:
        methods: short names of methods, or trainers' names.
        datasets: keys of data sets.
        shots: images per class.
        seeds: of draw and training; None for each method's own.
        template: what all runs have in common: setting, root, backbone, output, options.
    """

    methods: Sequence[str]
    datasets: Sequence[str]
    shots: Sequence[int | str]
    seeds: Sequence[int] | None
    template: RunSpec

    def __str__(self) -> str:
        """Return a line that names the runs and their folder."""
        template = self.template
        what = f"{_words(self.methods)}{KINDS[template.setting]} on {_words(self.datasets)}"
        seeds = f", seeds {_words(self.seeds)}" if self.seeds else ""
        options = f", with {_words(template.words)}" if template.options else ""
        return f"{what}, K = {_words(self.shots)}{seeds}{options}, into {template.output}"


def _words(values: Sequence) -> str:
    return " ".join(map(str, values))


def parts(spec: RunSpec) -> list[RunSpec]:
    """Return the parts of a run in their order: base to novel learns on base classes, then tests on novel ones."""
    if spec.setting == "few_shot":
        return [spec]
    return [replace(spec, subsample="base"), replace(spec, subsample="new", eval_only=True)]


def plan(grid: Grid) -> tuple[list[RunSpec], int]:
    """Return a specification of each missing run, and the number of finished runs.

    Runs that differ in their seed alone are one specification. Those of one data set are neighbours.

    Raises:
        UserError: a name or a setting that is not known.
    """
    setting = grid.template.setting
    datasets = _several(grid.datasets, named_datasets(novel=setting == "base2new"))
    shots = _several(grid.shots, paper.TABLE1["shots"])
    jobs, done, reader = [], 0, _ReadOnce()
    for dataset, k, trainer in itertools.product(datasets, shots, trainers(grid.methods, grid.template)):
        seeds = tuple(dict.fromkeys(grid.seeds or default_seeds(trainer)))
        spec = replace(grid.template, trainer=trainer, dataset=dataset, shots=k, seeds=seeds)
        missing = tuple(seed for seed in seeds if not _finished(spec, seed, reader))
        done += len(seeds) - len(missing)
        if missing:
            jobs.append(replace(spec, seeds=missing))
    return jobs, done


def trainers(methods: Sequence[str], template: RunSpec) -> list[str]:
    """Return the trainers behind short names of methods that have the template's setting, or trainers' own names.

    A published protocol stays behind its name, as in "CLIPAdapter:published". "all" stands for all methods, in both
    protocols unless the template says which.

    Raises:
        UserError: a name is neither.
    """
    register_all()
    setting = template.setting
    ready = with_setting(setting)
    known = [METHODS[short] for short in ready]
    known += [name for name in TRAINER_REGISTRY.registered_names() if name not in METHODS.values()]
    found = []
    for method in _several(methods, ready if template.protocol else both_protocols(ready, setting)):
        name, protocol = split_protocol(method)
        if trainer_name(name) not in known:
            raise UserError(unknown_name(name, ready, f"a method for {setting}"))
        found.append(f"{trainer_name(name)}:{check_protocol(protocol)}".removesuffix(":"))
    return list(dict.fromkeys(found))


def take(waiting: list[RunSpec], dataset: str = "", elsewhere: Collection[str] = ()) -> RunSpec:
    """Remove the job that suits a worker best from `waiting`, and return it.

    That is one of the data set of the worker's last job, else of a data set that no other worker is on.

    Args:
        waiting: jobs.
        dataset: of the worker's last job.
        elsewhere: data sets of the other workers.
    """
    job = min(waiting, key=lambda job: (job.dataset != dataset, job.dataset in elsewhere))
    waiting.remove(job)
    return job


def _several(words: Sequence, everything: Sequence) -> list:
    """Return `words` once each; the word "all" stands for everything."""
    return list(dict.fromkeys(everything if list(words) == ["all"] else words))


class _ReadOnce:
    """Do as `data_of`, but read the same draw of the same data set, and the same backbone, once."""

    def __init__(self) -> None:
        self.known: dict[str, tuple] = {}

    def __call__(self, cfg: CfgNode) -> tuple:
        key = str((cfg.DATASET, cfg.SEED, cfg.TEST.SPLIT, cfg.MODEL.BACKBONE, cfg.FEATURES.ROOT))
        if key not in self.known:
            self.known[key] = data_of(cfg)
        return self.known[key]


def _finished(spec: RunSpec, seed: int, read: _ReadOnce) -> bool:
    """Return whether all parts of a run are done.

    A run that cannot be continued counts as missing: the worker says why.
    """
    for part in parts(spec):
        cfg = configure(part, seed)
        try:
            if not finished(part, cfg, read):
                return False
        except UserError:
            return False
    return True
