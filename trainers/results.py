"""What a finished run leaves behind: `predictions.csv`, then `metrics.json`, which marks it as finished."""

import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from clip.build import is_phantom
from clip.digests import Digests
from dassl.errors import UserError
from dassl.evaluation import group_accuracy, metrics
from dassl.names import shared_name
from dassl.reading import MB, read_json
from dassl.sheet import csv_lines
from dassl.utils import device_name
from dassl.writing import atomic_write, write_json
from datasets.settings import DEFAULTS
from trainers.digests import of_images

# Keys that change where or how fast a run works, not what it computes.
INCIDENTAL = ("OUTPUT_DIR", "RESUME", "USE_CUDA", "VERBOSE", "DATASET.ROOT", "DATALOADER.NUM_WORKERS")
INCIDENTAL += ("FEATURES.ROOT", "TRAIN.PRINT_FREQ", "INPUT.SIZE", "INPUT.PIXEL_MEAN", "INPUT.PIXEL_STD")
INCIDENTAL += ("INPUT.INTERPOLATION",)  # as the backbone says
INCIDENTAL += ("PROMPTS.TOO_LONG",)  # whether there are figures at all
# Which images, labels and patients follow from these is in the digests of the split and the images.
INCIDENTAL += ("DATASET.LINKS", "DATASET.LEAKS", "DATASET.NESTED", "DATASET.GROUP_PATTERN")
INCIDENTAL += tuple(f"DATASET.TABLE.{key}" for key in DEFAULTS.TABLE)
RESULTS_LIMIT = 16 * MB
PACKAGES = ("torch", "torchvision", "open_clip_torch", "transformers", "timm", "vmfcoop")


def method_settings(cfg: CfgNode) -> CfgNode:
    """The settings of the method that `cfg.TRAINER.NAME` names: the node that bears its name in capitals."""
    return cfg.TRAINER[cfg.TRAINER.NAME.upper()]


def config_digest(cfg: CfgNode, without: tuple[str, ...] = ()) -> str:
    """A digest of every setting that changes a run's numbers, but for the keys `without`.

    INPUT is the backbone's where the trainer is ours, and a setting where it is another checkout's.
    """
    foreign = "CHECKOUT" in cfg
    left_out = {key for key in INCIDENTAL if not (foreign and key.startswith("INPUT."))} | set(without)
    kept = {k: v for k, v in _flat(cfg) if k not in left_out and not k.startswith("TRAINER.")}
    kept["TRAINER"] = [cfg.TRAINER.NAME, _flat(method_settings(cfg))]  # not the other methods' settings
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _flat(node: CfgNode, prefix: str = "") -> list[tuple[str, object]]:
    pairs = []
    for key, value in sorted(node.items()):
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else [(prefix + key, value)]
    return pairs


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that figures depend on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    """None of one that is on the path and not installed: no reason to lose a run that is done."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def device_record(trainer) -> dict[str, str | None]:
    """Name of the processor, precision of the towers (None where they are not ours), and the CUDA version of a GPU."""
    gpu = trainer.device.type == "cuda"
    return {
        "name": device_name(trainer.device),
        "precision": trainer.backbone.precision,
        "cuda": torch.version.cuda if gpu else None,
    }


def read_results(path: Path) -> dict[str, Any]:
    """Return what `write_results` left in a run's metrics.json.

    Raises:
        UserError: it is no file of its own, too large, or holds something else.
    """
    record = read_json(path, RESULTS_LIMIT, links=False)
    if isinstance(record, dict):
        record = {"hashes": {}, "sentences_per_class": 0, "loaded": False} | record  # of earlier versions
        counted = isinstance(record["sentences_per_class"], int) and 0 <= record["sentences_per_class"] < 10**6
        if counted and isinstance(record["hashes"], dict):
            return record
    raise UserError(f"Expected the results of a run in {path}, but it holds something else: remove it to run again.")


def write_results(trainer, items: list, logits: Tensor, labels: Tensor, extra: dict[str, float]) -> None:
    """Print the figures that Dassl's evaluator does not have, and write both files into the run's folder."""
    cfg, dataset, folder = trainer.cfg, trainer.dm.dataset, Path(trainer.output_dir)
    figures = metrics(logits, labels, dataset.classnames) | extra
    if groups := dataset.groups_of(items) if hasattr(dataset, "groups_of") else None:
        figures["group_accuracy"], one, several = group_accuracy(logits, labels, groups)
        mixed = f"; {several} with images of several classes are left out" if several else ""
        print(f"Groups (patients) tested: {one}, each by the mean probability of its images{mixed}")
    for name in ("balanced_accuracy", "auroc", "ece", "group_accuracy", *extra):
        if figures.get(name) is not None:  # AUROC, where all images are of one class
            print(f"* {name}: {figures[name]:.2f}%")
    paths = [relative_path(item.impath, dataset) for item in items]
    _write_predictions(folder / "predictions.csv", paths, items, logits, dataset.classnames)
    record = {
        "dataset": cfg.DATASET.NAME,
        "phantom": getattr(dataset, "phantom", False),
        "phantom_backbone": is_phantom(trainer.backbone.name),
        "trainer": cfg.TRAINER.NAME,
        "backbone_revision": trainer.backbone.revision,
        "backbone": shared_name(trainer.backbone.name),
        "shots": cfg.DATASET.NUM_SHOTS,
        "seed": cfg.SEED,
        "subsample": cfg.DATASET.SUBSAMPLE_CLASSES,
        "metrics": figures,
        "total": len(labels),
        "correct": int((logits.argmax(dim=1) == labels).sum()),
        "sentences_per_class": trainer.sentences[0],
        "loaded": trainer.loaded,
        "hashes": {
            **trainer.hashes,
            "settings": config_digest(cfg, without=("SEED",)),  # of all seeds of an experiment
            "test": of_images(items, Digests(cfg.FEATURES.ROOT or None)),
            "learned": trainer.learned,
            "backbone": trainer.backbone.fingerprint(),
        },
        "device": device_record(trainer),
        "versions": versions(),
        "seconds": {name: round(value, 2) for name, value in trainer.seconds.items()},
    }
    write_json(record, str(folder / "metrics.json"))  # last: it marks the run as finished


def relative_path(impath: str, dataset) -> str:
    """Return an image's path as the split has it; of one that lies elsewhere its name alone."""
    try:
        return PurePath(impath).relative_to(dataset.images).as_posix()
    except (AttributeError, ValueError):  # a data set of another checkout may have no folder of images
        return PurePath(impath).name


def _write_predictions(path: Path, paths: list[str], items: list, logits: Tensor, classnames: list[str]) -> None:
    best, shares = logits.argmax(dim=1).tolist(), logits.softmax(dim=1).tolist()
    rows = [
        [image, item.classname, classnames[guess], *(f"{p:.6g}" for p in share)]
        for image, item, guess, share in zip(paths, items, best, shares, strict=True)
    ]
    with atomic_write(path, newline="") as file:
        file.writelines(csv_lines([["path", "label", "predicted", *classnames], *rows], end="\r\n"))
