"""Measure what PhantomCLIP can do without prompt learning: `python -m scripts.phantomclip.evaluate`.

Per phantom data set: zero-shot with "a photo of a {}.", the ensemble of an LLM's prompts, and logistic regression on
the image features of K training pictures per class.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from clip import FeatureStore, build_backbone
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from dassl.reading import read_json
from datasets.phantoms import PHANTOMS, prepare
from datasets.prompts import bank_path, load_prompts
from trainers.base.backbones import set_input

from .tower import FOLDER

LLM, N_PROMPTS = "claude", 50
DRAWS = 3  # of the training pictures of a probe


def measure(store: FeatureStore, key: str, root: Path, shots: Sequence[int] = (1, 4, 16)) -> dict[str, float]:
    """Measure test accuracies in percent on one data set.

    Args:
        store: features of the backbone.
        key: key of the data set.
        root: folder in which its phantom is rendered.
        shots: training pictures per class of the probes.

    Returns:
        Accuracies of "zero-shot", "ensemble" (if there is a prompt bank) and "probe K" for each K of `shots`.
    """
    name, classes = PHANTOMS[key].name, list(PHANTOMS[key].classes)
    split = read_json(root / name / f"split_{name}.json")
    cfg = get_cfg_default()
    set_input(cfg, store.backbone)
    cfg.INPUT.TRANSFORMS = ("normalize",)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its settings
        transform = build_transform(cfg, is_train=False)
    features, labels = {}, {}
    for part in ("train", "test"):
        files = [str(root / name / name / path) for path, _, _ in split[part]]
        features[part] = store.images(files, transform)
        labels[part] = np.array([label for _, label, _ in split[part]])

    def accuracy(weights: torch.Tensor) -> float:
        return 100 * float(((features["test"] @ weights.T).argmax(1).numpy() == labels["test"]).mean())

    found = {"zero-shot": accuracy(store.texts([f"a photo of a {name}." for name in classes]))}
    if bank_path(LLM, key).is_file():
        means = torch.stack([store.texts(prompts).mean(0) for prompts in load_prompts(key, LLM, classes, N_PROMPTS)])
        found["ensemble"] = accuracy(F.normalize(means, dim=-1))
    for k in shots:
        found[f"probe {k}"] = float(np.mean([_probe(features, labels, k, draw) for draw in range(DRAWS)]))
    return found


def _probe(features: dict[str, torch.Tensor], labels: dict[str, np.ndarray], shots: int, draw: int) -> float:
    """Return the test accuracy of a logistic regression on `shots` training pictures per class."""
    rng = np.random.default_rng(draw)
    classes = range(labels["train"].max() + 1)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(labels["train"] == c))[:shots] for c in classes])
    probe = LogisticRegression(C=30.0, max_iter=200).fit(features["train"][chosen], labels["train"][chosen])
    return 100 * float(probe.score(features["test"], labels["test"]))


def main() -> None:
    """Measure every data set and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--datasets", nargs="+", default=list(PHANTOMS), choices=list(PHANTOMS))
    parser.add_argument("--root", type=Path, default=Path("data/phantoms"), help="where the phantoms are rendered")
    args = parser.parse_args()
    store, table = FeatureStore(build_backbone(f"local-dir:{args.folder}")), {}
    for key in args.datasets:
        prepare(key, args.root)
        table[key] = measure(store, key, args.root)
    columns = list(dict.fromkeys(column for row in table.values() for column in row))
    print(f"{'phantom':12s}" + "".join(f"{column:>10s}" for column in columns))
    for key, row in table.items():
        print(f"{key:12s}" + "".join(f"{row.get(column, float('nan')):10.1f}" for column in columns))
    means = [np.mean([row[column] for row in table.values() if column in row]) for column in columns]
    print(f"{'mean':12s}" + "".join(f"{mean:10.1f}" for mean in means))


if __name__ == "__main__":
    main()
