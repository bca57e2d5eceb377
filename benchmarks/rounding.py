"""Measure by how much the same run differs under other kernels and threads: `python benchmarks/rounding.py`.

A few-shot run on phantoms is made again and again, each time in processes of its own with an empty feature store: as it
is, once more, with two threads, with each seed alone, and with the kernels of other processors (PyTorch's, MKL's,
oneDNN's and OpenBLAS's, by their environment variables). Prints the accuracy of the seeds and, beside the first: the
largest difference of a seed's accuracy, how many of the test images are predicted otherwise, and the largest difference
of a probability and of a learned number.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple

import torch
from torch import Tensor

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "toolbox")]

from runs.outcome import DONE, Outcome  # noqa: E402 - found by the line above

OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "AVX2"}
WAYS: dict[str, tuple[dict[str, str], bool]] = {  # name -> environment, and whether each seed has its own process
    "first": ({}, False),
    "again": ({}, False),
    "2 threads": ({"OMP_NUM_THREADS": "2"}, False),
    "each seed alone": ({}, True),
    "OPENBLAS_CORETYPE=Haswell": ({"OPENBLAS_CORETYPE": "Haswell"}, False),
    "OPENBLAS_CORETYPE=SkylakeX": ({"OPENBLAS_CORETYPE": "SkylakeX"}, False),
    "ATEN_CPU_CAPABILITY=avx2": ({"ATEN_CPU_CAPABILITY": "avx2"}, False),
    "an older processor": (OLDER | {"OPENBLAS_CORETYPE": "Haswell"}, False),
    "an older processor, 2 threads, each seed alone": (
        OLDER | {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2"},
        True,
    ),
}
HEADERS = ["way", "accuracy", "of a seed", "images", "probability", "learned"]


class Left(NamedTuple):
    """What the run of a seed left: its accuracy, the predicted classes, their probabilities, the learned tensors."""

    accuracy: float
    predicted: list[str]
    probabilities: Tensor
    learned: dict[str, Tensor]


def read(folder: Path) -> Left:
    """Return what lies in the folder of a seed's run."""
    outcome = Outcome(0, DONE, folder)
    rows = outcome.predictions
    classes = [name for name in rows[0] if name not in ("path", "label", "predicted")]
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*/model.pth.tar-*")):
        state = torch.load(path, weights_only=True)["state_dict"]
        tensors |= {f"{path.parent.name}.{key}": value.double() for key, value in state.items()}
    return Left(
        outcome.record.metrics["accuracy"],
        [row["predicted"] for row in rows],
        torch.tensor([[float(row[name]) for name in classes] for row in rows], dtype=torch.float64),
        tensors,
    )


def make(method: str, dataset: str, shots: int, seeds: list[str], output: Path, way: str) -> list[Left]:
    """Make the runs in one of WAYS, and return what they left."""
    more, alone = WAYS[way]
    own = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "VMFCOOP_CACHE": str(output / "store")}
    environment = os.environ | own | more
    for some in [[seed] for seed in seeds] if alone else [seeds]:
        line = [
            sys.executable,
            f"{ROOT / 'train.py'}",
            "--trainer",
            method,
            "--dataset",
            dataset,
            "--shots",
            f"{shots}",
        ]
        line += ["--root", "phantoms", "--output", f"{output}", "--seed", *some]
        subprocess.run(line, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [read(path) for seed in seeds for path in output.glob(f"**/seed{seed}") if (path / "metrics.json").is_file()]


def row(way: str, found: list[Left], first: list[Left]) -> list[str]:
    """Return what differs from the first runs, as a row under HEADERS."""
    accuracies = [each.accuracy for each in found]
    pairs = list(zip(found, first, strict=True))
    changed = sum(a != b for one, other in pairs for a, b in zip(one.predicted, other.predicted, strict=True))
    learned = [(one.learned[key] - other.learned[key]).abs().max() for one, other in pairs for key in other.learned]
    return [
        way,
        f"{fmean(accuracies):.2f} ± {pstdev(accuracies):.2f}",
        f"{max(abs(one.accuracy - other.accuracy) for one, other in pairs):.2f}",
        f"{changed} of {sum(len(one.predicted) for one in found):,}",
        f"{max(float((one.probabilities - other.probabilities).abs().max()) for one, other in pairs):.1g}",
        f"{max(map(float, learned), default=0.0):.1g}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="vmfcoop")
    parser.add_argument("--dataset", default="btmri")
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--seeds", nargs="+", default=["1", "2", "3"])
    parser.add_argument("--ways", nargs="+", default=list(WAYS)[1:], choices=WAYS, help="(default: all)")
    args = parser.parse_args()
    print(f"{args.method}, {args.dataset} (phantom), {args.shots} shots, torch {torch.__version__}")
    print(f"PyTorch's kernels here: {torch.backends.cpu.get_cpu_capability()}", flush=True)
    print(f"| {' | '.join(HEADERS)} |\n|{'---|' * len(HEADERS)}", flush=True)
    first: list[Left] = []
    for number, way in enumerate(["first", *args.ways]):
        with tempfile.TemporaryDirectory() as folder:
            found = make(args.method, args.dataset, args.shots, args.seeds, Path(folder) / str(number), way)
        first = first or found
        print(f"| {' | '.join(row(way, found, first))} |", flush=True)


if __name__ == "__main__":
    main()
