"""The settings of a run in a folder, which may have come from anyone: what names places is not taken from them."""

from collections.abc import Collection
from functools import reduce
from operator import getitem
from pathlib import Path

from yacs.config import CfgNode

from dassl.config import merge_file
from dassl.console import printable
from dassl.errors import UserError
from dassl.names import file_name
from runs.files import defaults
from runs.spec import RunSpec

# The settings that decide a run's numbers, beside those of its method. The others name places, or say how much of a
# machine is used.
TAKEN = (
    "SEED",
    "DETERMINISTIC",
    "INPUT",
    "OPTIM",
    "TRAIN",
    "TRAINER.NAME",
    "PROTOCOL",
    "PROMPTS",
    "DATASET.NAME",
    "DATASET.NUM_SHOTS",
    "DATASET.DRAWS",
    "DATASET.SUBSAMPLE_CLASSES",
    "FEATURES.VIEWS",
    "TEST.SPLIT",
    "DATALOADER.TRAIN_X",
    "DATALOADER.TEST",
    # of own images; no file, pattern or link: these may lead anywhere, or take for ever
    "DATASET.NESTED",
    *(f"DATASET.TABLE.{key}" for key in ("PATH", "LABEL", "SPLIT", "GROUP", "TEST_FOLD")),
)


def read_config(folder: Path) -> CfgNode:
    """Return all settings of a run, from its config.yaml.

    Raises:
        UserError: there is no config.yaml; or it holds what is no setting of this program.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"Expected a run's config.yaml in {folder}, but there is none: name its seed<n> folder.")
    cfg = defaults(RunSpec())
    merge_file(cfg, path, links=False)
    if file_name(cfg.PROMPTS.LLM) != cfg.PROMPTS.LLM:
        raise UserError(f"Expected PROMPTS.LLM in {path} to be a folder of datasets/prompts/, but it is a path.")
    return cfg


def deciding(found: CfgNode) -> CfgNode:
    """Return the defaults with those settings of a run that decide its numbers.

    Args:
        found: all settings of the run, as `read_config` returns them.
    """
    cfg = defaults(RunSpec())
    for key in (*TAKEN, f"TRAINER.{found.TRAINER.NAME.upper()}"):
        *nodes, name = key.split(".")
        reduce(getitem, nodes, cfg)[name] = reduce(getitem, nodes, found)[name]
    cfg.DATALOADER.NUM_WORKERS = max(0, min(cfg.DATALOADER.NUM_WORKERS, found.DATALOADER.NUM_WORKERS))
    return cfg


def known_name(value: str, known: Collection[str], flag: str, folder: Path) -> str:
    """Return `value`, read from a run, if it is one of the names that mean the same on every machine.

    Raises:
        UserError: it is not; asks for `flag`.
    """
    if value in known:
        return value
    raise UserError(
        f'Expected {flag}, because {folder} was made with "{printable(value)}", which need not be what lies there on '
        f"this machine: give {flag} and the one that you trust."
    )
