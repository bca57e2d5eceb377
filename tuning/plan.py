"""One study: its configurations, its search, and the objective that scores settings."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from yacs.config import CfgNode

from dassl.errors import UserError
from dassl.names import shared_name
from report.render import without_places
from runs.config import configure
from runs.finished import build_data
from runs.spec import RunSpec
from trainers.base.digests import config_digest, digest, training_digests
from tuning.objective import evaluate, fingerprint
from tuning.space import options, space
from tuning.study import Search, Settings

DIGITS = 3  # significant digits of a setting; more would be noise in a config file


@dataclass(frozen=True)
class Task:
    """The runs that a setting is scored by.

    Attributes:
        template: method, seeds, root, backbone and options of all of them.
        datasets: keys of data sets.
        shots: images per class; of several, the mean counts.
        whole: score on the whole validation split, instead of each run's draw.
    """

    template: RunSpec
    datasets: tuple[str, ...]
    shots: tuple[int, ...]
    whole: bool = True


def configs(task: Task, dataset: str, shots: int, settings: Settings) -> list[CfgNode]:
    """Return a run's configuration for each seed; settings that are left out are those of the config files."""
    template = task.template
    both = (*template.options, *options(template.trainer, settings))
    spec = replace(template, dataset=dataset, shots=shots, options=both)
    return [configure(spec, seed) for seed in spec.seeds]


def default_settings(task: Task, dataset: str) -> Settings:
    """Return the values that the config files have for a data set's searched settings."""
    trainer = task.template.trainer
    node = configs(task, dataset, task.shots[0], {})[0].TRAINER[trainer.upper()]
    return {name: float(node[name]) for name in space(trainer, dict(task.template.options))}


def search(task: Task, trials: int, sampler_seed: int) -> Search:
    """Return the search of a task; the default settings of each data set come first.

    Raises:
        UserError: a default setting lies outside its range.
    """
    template, first = task.template, []
    ranges = space(template.trainer, dict(template.options))
    for dataset in task.datasets:
        settings = default_settings(task, dataset)
        first += [settings] if settings not in first else []
        for name, value in settings.items():
            if not ranges[name].low <= value <= ranges[name].high:
                raise UserError(
                    f"Expected the default {name} of {dataset} to lie within {ranges[name].low:g} and "
                    f"{ranges[name].high:g}, but it is {value:g}: widen its range in tuning/space.py."
                )
    cfgs = [cfg for dataset in task.datasets for k in task.shots for cfg in configs(task, dataset, k, {})]
    weights = fingerprint(cfgs[0])  # first: it may bring files of the backbone, which have digests too
    data = [build_data(cfg) for cfg in cfgs]
    about = {
        "trainer": template.trainer,
        "backbone": shared_name(template.backbone),
        "phantom": any(getattr(dataset, "phantom", False) for dataset in data),
        "datasets": list(task.datasets),
        "shots": list(task.shots),
        "seeds": list(template.seeds),
        "validation": "whole" if task.whole else "drawn",
        "settings": without_places(template.words),
        "weights": weights,
        "images": digest([training_digests(cfg, dataset) for cfg, dataset in zip(cfgs, data, strict=True)]),
        "config": [config_digest(cfg) for cfg in cfgs],
    }
    return Search(ranges, first, trials, sampler_seed, about)


def objective(task: Task) -> Callable[[Settings], tuple[float, dict[str, Any]]]:
    """Return a function from settings to their mean validation accuracy (percent) and what a trial remembers."""

    def value(drawn: Settings) -> tuple[float, dict[str, Any]]:
        began = time.perf_counter()
        settings = {name: float(f"{each:.{DIGITS}g}") for name, each in drawn.items()}
        scores = {d: [evaluate(configs(task, d, k, settings), task.whole) for k in task.shots] for d in task.datasets}
        accuracy = {dataset: fmean(score.accuracy for score in each) for dataset, each in scores.items()}
        return fmean(accuracy.values()), {
            "settings": settings,
            "accuracy": accuracy,
            "log_likelihood": fmean(score.log_likelihood for each in scores.values() for score in each),
            "images": {dataset: each[-1].images for dataset, each in scores.items()},
            "seconds": time.perf_counter() - began,
        }

    return value
