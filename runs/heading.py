"""The lines with which the runs of one specification begin on the console: what they are, and what is special."""

from collections.abc import Sequence
from pathlib import Path

from yacs.config import CfgNode

from dassl.config import difference, flat, merge_file
from dassl.utils import choose_device, describe_device
from runs.files import checkout_of, defaults
from runs.folder import data_key
from runs.methods import CONFIGS, row_name
from runs.outcome import Outcome
from runs.screen import seeds_in_words
from runs.spec import PHANTOMS, RunSpec

# Settings that the first line tells, or that follow from what it tells.
TOLD = {"CHECKOUT", "OUTPUT_DIR", "PROTOCOL", "RESUME", "SEED", "VERBOSE", "DATASET.NAME", "DATASET.NUM_SHOTS"}
TOLD |= {"DATASET.ROOT", "DATASET.SUBSAMPLE_CLASSES", "MODEL.BACKBONE.NAME", "TRAINER.NAME"}
CLASSES = {"base": ", base classes", "new": ", novel classes"}


def title(spec: RunSpec, cfg: CfgNode) -> str:
    """Return the method and the data set of a run, such as "CoOp on btmri"."""
    row = row_name(f"{cfg.TRAINER.NAME}:{cfg.PROTOCOL}")
    whose = f" of {name}" if (name := cfg.get("CHECKOUT", "").partition("@")[0]) else ""
    return f"{row}{whose} on {data_key(spec, cfg)}"


def heading(spec: RunSpec, cfg: CfgNode, seeds: Sequence[int], folders: Sequence[Path]) -> list[str]:
    """Return the lines about runs that begin: what they are, which settings are special, and where their logs lie.

    Args:
        spec: the runs.
        cfg: configuration of one of them.
        seeds: of all.
        folders: of all.
    """
    phantom = " (phantoms: rendered, no medical data)" if cfg.DATASET.ROOT == PHANTOMS else ""
    count = cfg.DATASET.NUM_SHOTS
    shots = f"{count} shot{'s' * (count > 1)}" if count > 0 else "all training images"
    classes = CLASSES.get(cfg.DATASET.SUBSAMPLE_CLASSES, "")
    device = describe_device(choose_device(cfg.USE_CUDA))
    given = seeds if max(seeds) >= 0 else [cfg.SEED]  # a yaml file may say it
    what = [f"{shots}{classes}", seeds_in_words(given), cfg.MODEL.BACKBONE.NAME, device]
    special = [f"{key} {value}" for key, value in special_settings(spec, cfg)]
    return [
        f"{title(spec, cfg)}{phantom}, {', '.join(what)}",
        f"  {', '.join(special) or 'settings: those that all methods share'}",
        f"  log.txt, config.yaml and results: {places(folders)}",
    ]


def special_settings(spec: RunSpec, cfg: CfgNode) -> list[tuple[str, object]]:
    """Return the settings of a run that are neither defaults nor common to all methods, as pairs of key and value."""
    common = defaults(spec)
    checkout = checkout_of(spec)
    if not (checkout and spec.trainer in checkout.names):
        merge_file(common, CONFIGS / "common.yaml")
    found = [(key, value) for key, value in flat(difference(cfg, common)) if key not in TOLD]
    others = tuple(f"TRAINER.{name}." for name in cfg.TRAINER if name not in ("NAME", cfg.TRAINER.NAME.upper()))
    if "CHECKOUT" not in cfg:  # whose trainers read each other's settings
        found = [(key, value) for key, value in found if not key.startswith(others)]
    return [pair for pair in found if pair != ("OPTIM.MAX_EPOCH", 0)]  # of a method that has no epochs


def finished_line(outcomes: Sequence[Outcome]) -> str:
    """Return a line about runs that are done already; "" if there are none."""
    folders = [outcome.folder for outcome in outcomes if outcome.folder]
    seeds = seeds_in_words(outcome.seed for outcome in outcomes)
    return f"Finished already, nothing to do: {seeds} in {places(folders)}" if folders else ""


def places(folders: Sequence[Path]) -> str:
    """Return the paths of folders as a shell reads them.

    >>> places([Path("output/seed1")]), places([Path("output/seed1"), Path("output/seed2")])
    ('output/seed1', 'output/seed{1,2}')
    """
    parents, names = {folder.parent for folder in folders}, [folder.name for folder in folders]
    if len(folders) == 1 or len(parents) > 1:
        return " ".join(map(str, folders))
    begin = "seed" if all(name.startswith("seed") for name in names) else ""
    return f"{parents.pop()}/{begin}{{{','.join(name.removeprefix(begin) for name in names)}}}"
