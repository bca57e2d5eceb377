"""The files that a test leaves in a run's folder: `predictions.csv`, then `metrics.json`."""

import platform
from importlib import metadata
from pathlib import Path

from yacs.config import CfgNode

from dassl.sheet import csv_lines
from dassl.writing import atomic_write
from runs.config import data_key
from runs.record import write_record
from runs.spec import RunSpec
from trainers.base.digests import method_settings
from trainers.base.results import Results, relative_path

PACKAGES = ("torch", "torchvision", "open_clip_torch", "transformers", "timm", "vmfcoop")


def write_results(spec: RunSpec, cfg: CfgNode, trainer, results: Results) -> None:
    """Write both files into the folder of one seed's run; metrics.json comes last, and marks it as finished."""
    folder = Path(cfg.OUTPUT_DIR)
    _write_predictions(folder / "predictions.csv", trainer.dm.dataset, results)
    record = {
        "key": data_key(spec, cfg),
        "dataset": cfg.DATASET.NAME,
        "setting": spec.setting,
        "protocol": cfg.PROTOCOL,
        "trainer": cfg.TRAINER.NAME,
        "shots": cfg.DATASET.NUM_SHOTS,
        "seed": cfg.SEED,
        "subsample": cfg.DATASET.SUBSAMPLE_CLASSES,
        "metrics": results.figures,
        "total": len(results.labels),
        "correct": int((results.logits.argmax(dim=1) == results.labels).sum()),
        "method": plain(method_settings(cfg)),
        **trainer.facts(list(results.items)),
        "versions": versions(),
    }
    write_record(record, folder)


def plain(node: CfgNode) -> dict:
    """Return settings as a mapping that JSON can hold.

    >>> plain(CfgNode({"TAU": 1.5, "GRID": CfgNode({"STEPS": [1, 2]})}))
    {'TAU': 1.5, 'GRID': {'STEPS': [1, 2]}}
    """
    return {key: plain(value) if isinstance(value, CfgNode) else value for key, value in node.items()}


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that figures depend on."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    """Return None for a package that is importable but not installed: no reason to lose a run that is done."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _write_predictions(path: Path, dataset, results: Results) -> None:
    names = results.classnames
    best, shares = results.logits.argmax(dim=1).tolist(), results.logits.softmax(dim=1).tolist()
    rows = [
        [relative_path(item.impath, dataset), item.classname, names[guess], *(f"{p:.6g}" for p in share)]
        for item, guess, share in zip(results.items, best, shares, strict=True)
    ]
    with atomic_write(path, newline="") as file:
        file.writelines(csv_lines([["path", "label", "predicted", *names], *rows], end="\r\n"))
