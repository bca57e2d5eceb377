"""Decide whether a run is done: its folder holds results of the same settings, images, sentences and weights."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from yacs.config import CfgNode

from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError
from runs.changed import equal
from runs.config import configure
from runs.folder import recorded_settings, run_folder
from runs.record import Record, read_record
from runs.spec import RunSpec
from trainers.base import checkpoints
from trainers.base.digests import config_digest, data_digests, differing, sentences_digest

DataOf = Callable[[CfgNode], tuple]


def finished(spec: RunSpec, cfg: CfgNode, read: DataOf | None = None) -> bool:
    """Return whether the run's folder holds its results.

    Args:
        spec: the run.
        cfg: its configuration.
        read: returns data set and digests of a configuration; `data_of` by default.

    Raises:
        UserError: the folder holds results of other settings, images, sentences or weights; names which.
    """
    path = Path(cfg.OUTPUT_DIR) / "metrics.json"
    if not os.path.lexists(path):
        return False
    record = read_record(path)
    expected: dict[str, str | None] = {"config": config_digest(cfg)}
    if record.hashes.get("config") == expected["config"]:
        dataset, digests = (read or data_of)(cfg)
        sentences = sentences_digest(cfg, dataset, record.sentences_per_class)
        expected |= digests | {"sentences": sentences, "learned": _learned(spec, cfg, record)}
    if different := differing(record.hashes, expected):
        raise UserError(
            f"Expected {path} to come from a run like this one, but its run had other {different}: choose another "
            "--output (OUTPUT=...), or remove that folder to run again."
        )
    return True


def check_siblings(spec: RunSpec, cfg: CfgNode) -> None:
    """Raise a UserError if another seed beside a run has other settings: a table would average both.

    That is where a yaml file below configs/ was edited after it was run. A folder that is named is not asked.
    """
    if spec.output_dir:
        return
    own, settings = Path(cfg.OUTPUT_DIR), config_digest(cfg, without=("SEED",))
    for path in sorted(own.parent.glob("seed*/metrics.json")):
        if path.parent == own:
            continue
        try:
            record = read_record(path)
        except UserError:
            continue  # a report says so
        found = record.hashes.get("settings")
        if found and found != settings:
            raise UserError(
                f"Expected a seed like those beside it, but {path.parent} was run with other settings"
                f"{_other_values(record, cfg)}: choose another --output (OUTPUT=...), or remove those runs."
            )


def _other_values(record: Record, cfg: CfgNode) -> str:
    """Return the settings of a record that a configuration has otherwise, in words; "" if it does not tell them."""
    before = record.every_setting(cfg.TRAINER.NAME)
    now = recorded_settings(cfg)
    told = [
        f"{key} {before[key]} there, {now[key]} here"
        for key in now
        if key in before and not equal(before[key], now[key])
    ]
    return f" ({'; '.join(told)})" if told else ""


def build_data(cfg: CfgNode):
    """Return the data set of a configuration."""
    return DATASET_REGISTRY.get(cfg.DATASET.NAME)(cfg)


def data_of(cfg: CfgNode) -> tuple:
    """Return the data set of a configuration, and the digests of its images and weights."""
    dataset = build_data(cfg)
    return dataset, data_digests(cfg, dataset)


def _learned(spec: RunSpec, cfg: CfgNode, record: Record) -> str | None:
    """Return the digest of the checkpoint that this run would test; None if it cannot be compared with the record's."""
    found = record.hashes.get("learned")
    place = model_dir(spec, cfg) if spec.eval_only else Path(cfg.OUTPUT_DIR)
    epoch = spec.load_epoch if spec.eval_only else None
    digests = [checkpoints.digest(checkpoints.newest(folder, epoch)) for folder in place.glob("*/")]
    digests = [digest for digest in digests if digest]
    if not found or found in digests:
        return found
    return "other" if digests or (record.loaded and not spec.eval_only) else None


def model_dir(spec: RunSpec, cfg: CfgNode) -> Path:
    """Return the folder of the run whose learned tensors are tested: that on the base classes unless one is named."""
    return Path(spec.model_dir or run_folder(spec, cfg, subsample="base"))


def check_learned(spec: RunSpec, cfg: CfgNode, trainer, folder: Path) -> None:
    """Raise a UserError if what `trainer` loaded from `folder` was learned with other settings or another split."""
    found = getattr(trainer, "loaded_hashes", {})
    if not found:
        return
    if spec.setting == "base2new":
        base = replace(spec, options=(*spec.options, ("DATASET.SUBSAMPLE_CLASSES", "base")))  # options come last
        cfg = configure(base, cfg.SEED)
    expected = {"config": config_digest(cfg), "split": trainer.hashes["split"]}
    if different := differing(found, expected):
        raise UserError(
            f"Expected {folder} to hold what a run like this one learned, but its run had other {different}: train "
            "the base classes again with these, or name the folder by --model-dir."
        )
