"""Measure what bounds a prediction: the image tower, or all that is around it.

    python benchmarks/predict.py [--pictures 1000] [--backbone PhantomCLIP | random] [--device cuda] [--workers 2]

Makes pictures (PNG of 64 pixels, JPEG of 224) and a zero-shot run in a temporary folder, predicts the pictures with an
empty feature store, and again with the filled one, and prints the shares of the time: in the tower, in decoding and
scaling, in digests of files, in the store, and the rest. Without worker processes a CPU's shares are of CPU time, which
the load of a machine does not change; else of elapsed time. The backbone `random` has BiomedCLIP's architecture and
random weights.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

import toolbox  # noqa: E402, F401, its dassl comes first
from clip import encoding  # noqa: E402
from clip.digests import Digests  # noqa: E402
from clip.row_store import RowStore  # noqa: E402
from clip.testing import write_biomedclip  # noqa: E402
from dassl.writing import atomic_write  # noqa: E402
from runs.predictor import Predictor  # noqa: E402
from runs.run import run  # noqa: E402

KINDS = {"PNG, 64 px": (64, "png"), "JPEG, 224 px": (224, "jpg")}
RANDOM = "random"
PARTS = ("tower", "pixels", "digests", "store")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pictures", type=int, default=1000)
    p.add_argument("--backbone", default="PhantomCLIP")
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    p.add_argument("--workers", type=int, default=0, help="processes that decode")
    return p


def write_pictures(folder: Path, count: int, side: int, kind: str, seed: int) -> list[Path]:
    """Write different smooth pictures with some noise, which compress about as pictures do."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    paths = [folder / f"{i}.{kind}" for i in range(count)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((side, side), 3)
        pixels = np.asarray(coarse, np.int16) + rng.normal(0, 4, (side, side, 3)).astype(np.int16)
        with atomic_write(path, "wb") as file:
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, {"jpg": "JPEG"}.get(kind, kind))
    return paths


def zero_shot(folder: Path, backbone: str) -> Path:
    """Return the folder of a zero-shot run on a few pictures."""
    for i, name in enumerate(("bright", "dark")):
        write_pictures(folder / "images" / name, 8, 64, "png", seed=i)
    (found,) = run(
        trainer="zeroshot",
        dataset="folder",
        shots=1,
        seeds=1,
        root=folder / "images",
        backbone=backbone,
        output=folder / "output",
    )
    assert found.folder
    return found.folder


class Shares:
    """Seconds by part, of work that is timed where it is done.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float]):
        self.clock, self.seconds = clock, dict.fromkeys(PARTS, 0.0)

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work`, whose seconds are added to a part."""

        def with_clock(*args: Any, **kwargs: Any) -> Any:
            began = self.clock()
            found = work(*args, **kwargs)
            if part == "tower" and torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds[part] += self.clock() - began
            return found

        return with_clock

    @contextlib.contextmanager
    def watching(self, predictor: Predictor) -> Iterator[None]:
        """Time the parts of all that is predicted meanwhile."""
        shares = self

        class Timed(encoding.Waiting):
            def __iter__(self) -> Iterator:
                items = iter(self.items)
                while (item := shares.timed("pixels", lambda: next(items, None))()) is not None:
                    yield item

        backbone = predictor.backbone
        with (
            patch.object(backbone, "encode_image", self.timed("tower", backbone.encode_image)),
            patch.object(Digests, "of_all", self.timed("digests", Digests.of_all)),
            patch.object(RowStore, "put", self.timed("store", RowStore.put)),
            patch.object(RowStore, "get", self.timed("store", RowStore.get)),
            patch("clip.features.Waiting", Timed),
        ):
            yield


def row(name: str, predictor: Predictor, paths: list[Path], clock: Callable[[], float]) -> str:
    """Return a row of the table: milliseconds a picture, and the share of each part."""
    shares = Shares(clock)
    with shares.watching(predictor):
        began = clock()
        found = predictor.predict(paths)
        whole = clock() - began
    assert not any(each.error for each in found)
    rest = whole - sum(shares.seconds.values())
    cells = [f"{1000 * whole / len(paths):.2f} ms", *(f"{100 * s / whole:.0f} %" for s in shares.seconds.values())]
    return f"| {name} | {' | '.join(cells)} | {100 * rest / whole:.0f} % |"


def main(argv: Sequence[str] | None = None) -> None:
    args = parser().parse_args(argv)
    clock = time.perf_counter if args.workers or args.device == "cuda" else time.process_time
    with tempfile.TemporaryDirectory() as where, patch.dict(os.environ, VMFCOOP_CACHE=f"{where}/store"):
        folder = Path(where)
        backbone = args.backbone
        if backbone == RANDOM:
            write_biomedclip(folder / "BiomedCLIP")
            backbone = f"local-dir:{folder / 'BiomedCLIP'}"
        with Path(os.devnull).open("w") as silence, contextlib.redirect_stdout(silence):
            predictor = Predictor.from_run(zero_shot(folder, backbone), args.device)
        predictor.trainer.store.workers = args.workers
        print(f"{args.pictures} pictures, {args.backbone}, {args.device}, {args.workers} workers, {clock.__name__}\n")
        print("| pictures | each | tower | pixels | digests | store | rest |\n|---|---:|---:|---:|---:|---:|---:|")
        predictor.predict(write_pictures(folder / "warm", 8, 64, "png", seed=9))  # what is imported when first needed
        for i, (name, (side, kind)) in enumerate(KINDS.items()):
            paths = write_pictures(folder / kind, args.pictures, side, kind, seed=10 + i)
            print(row(name, predictor, paths, clock), flush=True)
            print(row(f"{name}, again", predictor, paths, clock), flush=True)


if __name__ == "__main__":
    main()
