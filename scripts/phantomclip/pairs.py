"""The pictures and captions that PhantomCLIP is trained on."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from tqdm import tqdm

from dassl.writing import atomic_write
from datasets.phantoms import PHANTOMS, VERSION, sample, write_caption
from datasets.phantoms.canvas import SIZE

# The data sets use seeds that begin with 0, 1 and 2 (train, val, test).
SEED = 1000


class Pairs:
    """`per_class` pictures in atlas style of every class of the phantoms `keys`, and any number of captions of each."""

    def __init__(self, cache: Path, keys: Sequence[str], per_class: int, workers: int = 2):
        """Read the pictures from the folder `cache`, or render them there with `workers` processes."""
        self.cases = [
            (key, classname, i) for key in keys for classname in PHANTOMS[key].classes for i in range(per_class)
        ]
        content = crc32(json.dumps(self.cases).encode())
        file = cache / f"pairs_v{VERSION}_{content:08x}.npz"
        if not file.is_file():
            images, attributes = self._render(workers)
            with atomic_write(file, "wb") as target:
                np.savez(target, images=images, attributes=json.dumps(attributes))
        with np.load(file) as stored:
            self.images: np.ndarray = stored["images"]
            self.attributes: list[list[str]] = json.loads(str(stored["attributes"]))

    def __len__(self) -> int:
        return len(self.cases)

    def captions(self, epoch: int, name_rate: float) -> list[str]:
        """Return one caption per picture, other words in every epoch; a share `name_rate` of them names the class."""
        rng = np.random.Generator(np.random.PCG64([SEED, 1, epoch]))
        return [
            write_caption(rng, PHANTOMS[key], attributes, classname, name_rate)
            for (key, classname, _), attributes in zip(self.cases, self.attributes, strict=True)
        ]

    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the targets of the image tower.

        Returns:
            Two bool arrays [N, A]: which attributes a picture shows, and which its data set has at all.
        """
        known = sorted(
            {(key, name) for (key, _, _), names in zip(self.cases, self.attributes, strict=True) for name in names}
        )
        column = {pair: i for i, pair in enumerate(known)}
        shown = np.zeros((len(self), len(known)), bool)
        for row, (key, _, _), names in zip(shown, self.cases, self.attributes, strict=True):
            row[[column[key, name] for name in names]] = True
        keys = np.array([key for key, _, _ in self.cases])
        return shown, keys[:, None] == np.array([key for key, _ in known])

    def _render(self, workers: int) -> tuple[np.ndarray, list[list[str]]]:
        images = np.empty((len(self.cases), SIZE, SIZE, 3), np.uint8)
        attributes = []
        fork = workers > 1 and sys.platform == "linux"
        pool = multiprocessing.get_context("fork").Pool(workers) if fork else None
        drawn = pool.imap(_draw, self.cases, chunksize=64) if pool else map(_draw, self.cases)
        for i, (image, names) in enumerate(tqdm(drawn, total=len(self.cases), desc="Rendering", mininterval=2)):
            images[i] = image
            attributes.append(names)
        if pool:
            pool.close()
        return images, attributes


def _draw(case: tuple[str, str, int]) -> tuple[np.ndarray, list[str]]:
    key, classname, i = case
    image, attributes = sample(key, classname, (SEED, i), "atlas")
    return image, sorted(attributes)
