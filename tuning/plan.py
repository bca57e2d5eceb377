"""One study as the command line asks for it: configurations, default settings, search, objective."""

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from yacs.config import CfgNode

import train
from dassl.errors import UserError
from dassl.names import shared_name
from report.sharing import without_places
from tuning.space import options, space
from tuning.study import Search, Settings

DIGITS = 3  # significant ones of a setting: more would only be noise in a config file


def configs(args: argparse.Namespace, dataset: str, shots: int, settings: Settings) -> list[CfgNode]:
    """A run's configuration for each seed; what `settings` leaves out is as the config files have it."""
    flags = {"root": args.root, "trainer": args.trainer, "backbone": args.backbone, "dataset": dataset, "shots": shots}
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    run = train.parse([*words, *args.opts, *options(args.trainer, settings)])
    return [train.setup_cfg(run, seed) for seed in args.seeds]


def default_settings(args: argparse.Namespace, dataset: str) -> Settings:
    """What the config files give a data set for each setting that is searched."""
    node = configs(args, dataset, args.shots[0], {})[0].TRAINER[args.trainer.upper()]
    return {name: float(node[name]) for name in space(args.trainer, args.opts)}


def training_data(cfg: CfgNode) -> tuple[bool, dict[str, str | None]]:
    """Whether a configuration's images are phantoms, and the digests of those that are not for test."""
    from dassl.data.datasets import DATASET_REGISTRY
    from trainers.digests import of_training

    dataset = DATASET_REGISTRY.get(cfg.DATASET.NAME)(cfg)
    return getattr(dataset, "phantom", False), of_training(cfg, dataset)


def search(args: argparse.Namespace, datasets: Sequence[str]) -> Search:
    """What is searched on these data sets; the default settings of each come first."""
    from trainers.digests import digest
    from trainers.results import config_digest
    from tuning.objective import fingerprint

    ranges, first = space(args.trainer, args.opts), []
    for dataset in datasets:
        settings = default_settings(args, dataset)
        first += [settings] if settings not in first else []
        for name, value in settings.items():
            if not ranges[name].low <= value <= ranges[name].high:
                raise UserError(
                    f"Expected the default {name} of {dataset} to lie within {ranges[name].low:g} and "
                    f"{ranges[name].high:g}, but it is {value:g}: widen its range in tuning/space.py."
                )
    cfgs = [cfg for dataset in datasets for k in args.shots for cfg in configs(args, dataset, k, {})]
    weights = fingerprint(cfgs[0])  # first: it may bring files of the backbone, which have digests too
    data = [training_data(cfg) for cfg in cfgs]
    about = {
        "trainer": args.trainer,
        "backbone": shared_name(args.backbone),
        "phantom": any(phantom for phantom, _ in data),
        "datasets": list(datasets),
        "shots": list(args.shots),
        "seeds": list(args.seeds),
        "validation": args.validation,
        "settings": without_places(args.opts),
        "weights": weights,
        "images": digest([digests for _, digests in data]),
        "config": [config_digest(cfg) for cfg in cfgs],
    }
    return Search(ranges, first, args.trials, args.sampler_seed, about)


def objective(args: argparse.Namespace, datasets: Sequence[str]) -> Callable[[Settings], tuple[float, dict[str, Any]]]:
    """Maps settings to their mean validation accuracy over the data sets, and to what is remembered of a trial."""
    from tuning.objective import evaluate

    def value(drawn: Settings) -> tuple[float, dict[str, Any]]:
        began = time.perf_counter()
        settings = {name: float(f"{each:.{DIGITS}g}") for name, each in drawn.items()}
        whole = args.validation == "whole"
        scores = {d: [evaluate(configs(args, d, k, settings), whole) for k in args.shots] for d in datasets}
        accuracy = {dataset: fmean(score.accuracy for score in each) for dataset, each in scores.items()}
        return fmean(accuracy.values()), {
            "settings": settings,
            "accuracy": accuracy,
            "log_likelihood": fmean(score.log_likelihood for each in scores.values() for score in each),
            "images": {dataset: each[-1].images for dataset, each in scores.items()},
            "seconds": time.perf_counter() - began,
        }

    return value
