"""Measure what PhantomCLIP can do without prompt learning: `python -m scripts.phantomclip.evaluate`.

Per phantom data set: zero-shot with "a photo of a {}.", the ensemble of an LLM's prompts, and logistic regression on
the image features of K training pictures per class.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from datasets.phantoms import PHANTOMS, prepare

from .tower import FOLDER
from .vocabulary import PROMPTS

DRAWS = 3


class Towers:
    """PhantomCLIP from its folder, through open_clip alone."""

    def __init__(self, folder: Path):
        """Load the weights, the picture transform and the tokenizer."""
        self.model, self.transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}", pretrained_hf=False)
        self.tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
        self.model.eval()

    @torch.no_grad()
    def images(self, files: Sequence[Path], title: str) -> torch.Tensor:
        """Unit features [N, D] of pictures."""
        found = []
        for i in tqdm(range(0, len(files), 128), desc=title, leave=False):
            batch = torch.stack([self.transform(Image.open(file).convert("RGB")) for file in files[i : i + 128]])
            found.append(self.model.encode_image(batch, normalize=True))
        return torch.cat(found)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit features [N, D] of texts."""
        ids = self.tokenize(list(texts))
        return self.model.encode_text(ids[:, : int((ids != 0).sum(1).max())], normalize=True)


def measure(towers: Towers, key: str, root: Path, shots: Sequence[int] = (1, 4, 16)) -> dict[str, float]:
    """Test accuracies in percent on one data set below `root`: zero-shot, LLM ensemble (if a bank exists), probes."""
    name, classes = PHANTOMS[key].name, list(PHANTOMS[key].classes)
    split = json.loads((root / name / f"split_{name}.json").read_text())
    features, labels = {}, {}
    for part in ("train", "test"):
        files = [root / name / name / path for path, _, _ in split[part]]
        features[part] = towers.images(files, f"{name} {part}")
        labels[part] = np.array([label for _, label, _ in split[part]])

    def accuracy(weights: torch.Tensor) -> float:
        return 100 * float(((features["test"] @ weights.T).argmax(1).numpy() == labels["test"]).mean())

    found = {"zero-shot": accuracy(towers.texts([f"a photo of a {name}." for name in classes]))}
    bank = PROMPTS / f"{key}.json"
    if bank.is_file():
        prompts = json.loads(bank.read_text())["prompts"]
        means = torch.stack([towers.texts(prompts[name]).mean(0) for name in classes])
        found["ensemble"] = accuracy(F.normalize(means, dim=-1))
    for k in shots:
        found[f"probe {k}"] = float(np.mean([_probe(features, labels, k, draw) for draw in range(DRAWS)]))
    return found


def _probe(features: dict[str, torch.Tensor], labels: dict[str, np.ndarray], shots: int, draw: int) -> float:
    """Test accuracy of a logistic regression on `shots` training pictures per class."""
    rng = np.random.default_rng(draw)
    classes = range(labels["train"].max() + 1)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(labels["train"] == c))[:shots] for c in classes])
    probe = LogisticRegression(C=30.0, max_iter=200).fit(features["train"][chosen], labels["train"][chosen])
    return 100 * float(probe.score(features["test"], labels["test"]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--datasets", nargs="+", default=list(PHANTOMS), choices=list(PHANTOMS))
    parser.add_argument("--root", type=Path, default=Path("data/phantoms"), help="where the phantoms are rendered")
    args = parser.parse_args()
    towers = Towers(args.folder)
    table = {}
    for key in args.datasets:
        prepare(key, args.root)
        table[key] = measure(towers, key, args.root)
    columns = list(dict.fromkeys(column for row in table.values() for column in row))
    print(f"{'phantom':12s}" + "".join(f"{column:>10s}" for column in columns))
    for key, row in table.items():
        print(f"{key:12s}" + "".join(f"{row.get(column, float('nan')):10.1f}" for column in columns))
    means = [np.mean([row[column] for row in table.values() if column in row]) for column in columns]
    print(f"{'mean':12s}" + "".join(f"{mean:10.1f}" for mean in means))


if __name__ == "__main__":
    main()
