"""Say what to look at where a zero-shot figure differs from the paper's, from the records of the runs."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dassl.errors import UserError
from dassl.reading import read_yaml
from datasets.catalogue import find_class
from datasets.splits import base_classes
from runs.outcome import Outcome
from runs.record import Record

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("splits.json").read_text(encoding="utf-8"))["sets"]
UNKNOWN = "not recorded"
OF_CLASS = "per_class/"  # begins the names of metrics of a class
INPUT = {  # of BiomedCoOp's benchmark, in its configs/trainers/Zeroshot/
    "SIZE": [224, 224],
    "INTERPOLATION": "bicubic",
    "PIXEL_MEAN": [0.48145466, 0.4578275, 0.40821073],
    "PIXEL_STD": [0.26862954, 0.26130258, 0.27577711],
}
Sides = Mapping[str, tuple[Outcome, Record]]  # "base" and "novel", as far as there are


def advice(dataset: str, sides: Sides, root: str) -> list[str]:
    """Return a line on each cause, the likeliest first: weights, split, preprocessing, class names, test images.

    Args:
        dataset: key of the data set.
        sides: outcome and record of the run on its base and on its novel classes.
        root: folder of the data sets.
    """
    outcome, record = next(iter(sides.values()))
    return [
        weights_line(record),
        split_line(dataset, record, root),
        preprocessing_line(outcome),
        names_line(sides),
        images_line(dataset, sides),
    ]


def weights_line(record: Record) -> str:
    """Return which weights were used."""
    name = record.names.get("backbone", UNKNOWN)
    revision = f"revision {record.revision}" if record.revision else "no revision, as it is a folder or not recorded"
    fingerprint = record.hashes.get("backbone") or UNKNOWN
    return (
        f"weights: {name}, {revision}, fingerprint {fingerprint}; the paper names no revision: `python -m clip check "
        "BiomedCLIP` shows what is known of a healthy copy; take the files anew, and compare the fingerprints"
    )


def split_line(dataset: str, record: Record, root: str) -> str:
    """Return whether the split is the one that BiomedCoOp publishes, as far as its digest is known."""
    name, known = find_class(dataset).dataset_dir, PUBLISHED[dataset]
    found = record.hashes.get("split") or UNKNOWN
    counts = "/".join(f"{count:,}" for count in known["images"])
    line = f"split file: {Path(root) / name / f'split_{name}.json'}, digest {found}"
    if "digest" not in known:
        return f"{line}; that of the published one is not known here, which lists {counts} images (train/val/test)"
    if found == known["digest"]:
        return f"{line}, which is the published one's ({counts} images for train/val/test)"
    return f"{line}; the published one has {known['digest']} without groups, and {counts} images (train/val/test)"


def preprocessing_line(outcome: Outcome) -> str:
    """Return how images were prepared, and what of it differs from BiomedCoOp's benchmark."""
    try:
        found = read_yaml(Path(str(outcome.folder)) / "config.yaml", links=False)["INPUT"]
        values = {key: found[key] for key in INPUT}
    except (UserError, OSError, KeyError, TypeError):
        return f"preprocessing: {UNKNOWN}"
    other = [key for key, value in INPUT.items() if values[key] != value]
    shown = ", ".join(f"{key} {value}" for key, value in values.items())
    if not other:
        return f"preprocessing: {shown}, as in BiomedCoOp's benchmark"
    return f"preprocessing: {shown}; in BiomedCoOp's benchmark {', '.join(f'{key} {INPUT[key]}' for key in other)}"


def names_line(sides: Sides) -> str:
    """Return the class names as they stood in the prompts."""
    templates = {str((record.method or {}).get("TEMPLATE", UNKNOWN)) for _, record in sides.values()}
    names = (f"{side}: {', '.join(class_names(record))}" for side, (_, record) in sides.items())
    return f'class names: in the prompt "{" and ".join(templates)}", {"; ".join(names)}'


def class_names(record: Record) -> list[str]:
    """Return the names of the tested classes, in the order of labels."""
    return [name.removeprefix(OF_CLASS) for name in record.metrics if name.startswith(OF_CLASS)]


def images_line(dataset: str, sides: Sides) -> str:
    """Return how many images were tested, of each class too, and how many the published split has."""
    known, half = PUBLISHED[dataset].get("test"), base_classes(len(find_class(dataset).classes))
    parts = []
    for side, (outcome, record) in sides.items():
        line = f"{side} {_tested(outcome, record)}"
        if known:
            expected = _sum(known[:half] if side == "base" else known[half:])
            line += ", as published" if line.endswith(f" {expected}") else f" where the published split has {expected}"
        parts.append(line)
    more = "" if known else f"; the published split has {PUBLISHED[dataset]['images'][2]:,} of all classes"
    return f"test images found: {'; '.join(parts)}{more}"


def _tested(outcome: Outcome, record: Record) -> str:
    try:
        counts = Counter(row["label"] for row in outcome.predictions)
    except (OSError, KeyError):  # results that were passed on without predictions.csv
        return UNKNOWN if record.tested is None else f"{record.tested:,}"
    return _sum([counts[name] for name in class_names(record)])


def _sum(counts: Sequence[int]) -> str:
    """Return a number of images, and those of each class.

    >>> _sum([397, 403])
    '800 (397 + 403)'
    """
    return f"{sum(counts):,} ({' + '.join(map(str, counts))})"
