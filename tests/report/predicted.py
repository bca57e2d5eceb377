"""Made-up predictions and pictures of errors of finished runs."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from dassl.sheet import csv_lines
from report.page.calibration import calibration_bins
from runs.error_pictures import ConfidentError, ErrorPictures, digest_of_predictions, picture_paths, write_index
from runs.predictions import HEAD, PREDICTIONS

CLASSES = ("glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain")


def answers(images: int, classes: int, seed: int = 0, right: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and probabilities [N, C] with six digits; `right` of the images have the highest at their label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    shares = rng.dirichlet(np.full(classes, 0.5), images)
    goal = np.where(rng.random(images) < right, labels, rng.integers(0, classes, images))
    best = shares.argmax(axis=1)
    rows = np.arange(images)
    shares[rows, best], shares[rows, goal] = shares[rows, goal], shares[rows, best]
    return labels, np.array([[float(f"{p:.6g}") for p in row] for row in shares])


def write_answers(run: Path, labels: np.ndarray, shares: np.ndarray, classes=CLASSES, agree: bool = True) -> Path:
    """Write a run's predictions.csv, and have its metrics.json agree with it."""
    best = shares.argmax(axis=1)
    rows = [
        [f"image{i}.png", classes[label], classes[guess], *(f"{p:.6g}" for p in row)]
        for i, (label, guess, row) in enumerate(zip(labels, best, shares, strict=True))
    ]
    (run / PREDICTIONS).write_text("".join(csv_lines([[*HEAD, *classes], *rows], end="\r\n")), newline="")
    if agree:
        record = json.loads((run / "metrics.json").read_text())
        ece = calibration_bins(shares.max(axis=1), best == labels).ece
        record["metrics"] |= {"accuracy": 100 * float((best == labels).mean()), "ece": ece}
        (run / "metrics.json").write_text(json.dumps(record))
    return run


def jpeg(side: int = 128, seed: int = 0) -> bytes:
    """A grey picture with as much in it as a scan."""
    noise = np.random.default_rng(seed).normal(110, 30, (side // 4, side // 4)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).convert("RGB").save(file, "JPEG", quality=80)
    return file.getvalue()


def write_pictures(run: Path, count: int = 2, phantom: bool = True, content: bytes | None = None) -> Path:
    """Write a run's folder of errors."""
    errors = tuple(ConfidentError("glioma tumor", "normal brain", 0.99 - i / 1000) for i in range(count))
    write_index(run, ErrorPictures("grad_eclip", phantom, digest_of_predictions(run), errors))
    for number in range(1, count + 1):
        for i, path in enumerate(picture_paths(run, number)):
            path.write_bytes(jpeg(seed=2 * number + i) if content is None else content)
    return run
