"""The files that a test leaves in a run's folder: `predictions.csv`, `gap.csv`, then `metrics.json`."""

from pathlib import Path

import torch
from yacs.config import CfgNode

from dassl.sheet import csv_lines
from dassl.writing import atomic_write
from runs.folder import changed_settings, data_key, recorded_settings
from runs.predictions import HEAD, PREDICTIONS
from runs.record import LEARNED_WITH, POINTS, POINTS_HEAD, write_record
from runs.revision import commit
from runs.spec import RunSpec
from runs.versions import versions
from trainers.base.digests import method_settings
from trainers.base.results import Results, relative_path
from trainers.gap import Points


def write_results(spec: RunSpec, cfg: CfgNode, trainer, results: Results) -> None:
    """Write the files into the folder of one seed's run; metrics.json comes last, and marks it as finished."""
    folder = Path(cfg.OUTPUT_DIR)
    _write_predictions(folder / PREDICTIONS, trainer.dm.dataset, results)
    if results.gap and results.gap.points:
        _write_points(folder / POINTS, results.gap.points, results.classnames)
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
        "gap": results.gap and results.gap.figures,
        "total": len(results.labels),
        "correct": int((results.logits.argmax(dim=1) == results.labels).sum()),
        "method": plain(method_settings(cfg)),
        "settings": {key: value for key, value in recorded_settings(cfg).items() if not key.startswith("TRAINER.")},
        "changed": changed_settings(spec, cfg),
        **trainer.facts(list(results.items)),
        "versions": versions(),
        "commit": commit(),
    }
    if (learned := getattr(trainer, "loaded_hashes", {}).get("config")) and record["loaded"]:
        record["hashes"] |= {LEARNED_WITH: learned}
    write_record(record, folder)


def plain(node: CfgNode) -> dict:
    """Return settings as a mapping that JSON can hold.

    >>> plain(CfgNode({"TAU": 1.5, "GRID": CfgNode({"STEPS": [1, 2]})}))
    {'TAU': 1.5, 'GRID': {'STEPS': [1, 2]}}
    """
    return {key: plain(value) if isinstance(value, CfgNode) else value for key, value in node.items()}


def _write_predictions(path: Path, dataset, results: Results) -> None:
    names = results.classnames
    best, shares = results.logits.argmax(dim=1).tolist(), results.logits.softmax(dim=1).tolist()
    rows = [
        [relative_path(item.impath, dataset), item.classname, names[guess], *(f"{p:.6g}" for p in share)]
        for item, guess, share in zip(results.items, best, shares, strict=True)
    ]
    with atomic_write(path, newline="") as file:
        file.writelines(csv_lines([[*HEAD, *names], *rows], end="\r\n"))


def _write_points(path: Path, points: Points, names: list[str]) -> None:
    """Write a row per image, without its name, then one per class direction, with the class's name."""
    sides = (points.before, points.after)
    images, directions = (torch.cat([side[i] for side in sides], dim=1).tolist() for i in (0, 1))
    rows = [["image", str(label), "", *place] for label, place in zip(points.labels.tolist(), images, strict=True)]
    rows += [["class", str(i), names[i], *place] for i, place in enumerate(directions)]
    with atomic_write(path, newline="") as file:
        cells = ([*row[:3], *(f"{round(x, 4) + 0.0:.4f}" for x in row[3:])] for row in rows)
        file.writelines(csv_lines([POINTS_HEAD, *cells], end="\r\n"))
