"""What a finished run leaves behind: `predictions.csv`, then `metrics.json`, which marks it as finished."""

import csv
import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor
from yacs.config import CfgNode

from clip.build import is_phantom
from clip.digests import Digests
from dassl.console import printable
from dassl.evaluation import group_accuracy, metrics
from dassl.utils import atomic_write, device_name, write_json
from datasets.settings import DEFAULTS
from trainers.digests import of_images

# Keys that change where or how fast a run works, not what it computes.
INCIDENTAL = ("OUTPUT_DIR", "RESUME", "USE_CUDA", "VERBOSE", "DATASET.ROOT", "DATALOADER.NUM_WORKERS")
INCIDENTAL += ("FEATURES.ROOT", "TRAIN.PRINT_FREQ", "INPUT.SIZE", "INPUT.PIXEL_MEAN", "INPUT.PIXEL_STD")
INCIDENTAL += ("INPUT.INTERPOLATION",)  # as the backbone says
# Which images, labels and patients follow from these is in the digests of the split and the images.
INCIDENTAL += ("DATASET.LINKS", "DATASET.LEAKS", "DATASET.NESTED", "DATASET.GROUP_PATTERN")
INCIDENTAL += tuple(f"DATASET.TABLE.{key}" for key in DEFAULTS.TABLE)
PACKAGES = ("torch", "torchvision", "open_clip_torch", "transformers", "timm", "dassl")


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
    _write_predictions(folder / "predictions.csv", items, logits, dataset.classnames)
    record = {
        "dataset": cfg.DATASET.NAME,
        "phantom": getattr(dataset, "phantom", False),
        "phantom_backbone": is_phantom(trainer.backbone.name),
        "trainer": cfg.TRAINER.NAME,
        "backbone": trainer.backbone.name,
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


def _write_predictions(path: Path, items: list, logits: Tensor, classnames: list[str]) -> None:
    with atomic_write(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "predicted", *classnames])
        for item, best, row in zip(items, logits.argmax(dim=1).tolist(), logits.softmax(dim=1), strict=True):
            predicted = classnames[best]
            writer.writerow([printable(item.impath), item.classname, predicted, *(f"{p:.6g}" for p in row.tolist())])
