"""Measure a few-shot run with BiomedCLIP's architecture: the padded way, and ours with a cold and a filled store.

    python benchmarks/few_shot_cost.py [--device cuda] [--classes 2 4 8 40] [--original CHECKOUT]

Random weights, random images, no network. Seconds of the parts (start-up, training step, image, test image), peak
memory and bytes written are measured, each in a process of its own; from them follow the seconds of whole runs for
every number of classes and shots (batch 4, 100 epochs, a new view of each image every epoch), and their ratios. With
--original, the published code is measured too, at 4 classes. Writes few_shot_cost.json and few_shot_cost.png.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import toolbox  # noqa: E402, F401, its dassl comes first
from benchmarks.cost_tables import draw_runs, pace, print_tables, seconds_of_runs  # noqa: E402
from dassl.writing import write_json  # noqa: E402

WORDS = ["bright", "dark", "normal", "brain", "lung", "kidney", "glioma", "meningioma", "pituitary", "mass", "tumor"]
ORIGINAL_CLASSES = 4  # of the data set in original_way


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    p.add_argument("--classes", type=int, nargs="+", default=[2, 4, 8, 40])
    p.add_argument("--shots", type=int, nargs="+", default=[1, 16, 64])
    p.add_argument("--repeats", type=int, default=5, help="timings whose median counts (the padded way has fewer)")
    p.add_argument("--views", type=int, default=16, help="views of four files that are encoded for the timing")
    p.add_argument("--out", type=Path, default=ROOT / "build/benchmarks", help="folder of weights, store and results")
    p.add_argument("--original", type=Path, help="a checkout of the published BiomedCoOp code, to time it as well")
    p.add_argument("--part", nargs=2, metavar=("WAY", "CLASSES"), help=argparse.SUPPRESS)
    return p


def class_names(count: int) -> list[str]:
    """Return names of five words that the random tokenizer knows; in "a photo of a ...", they make 12 tokens."""
    return [" ".join(words) for words in itertools.islice(itertools.permutations(WORDS, 5), count)]


def write_images(root: Path, count: int) -> Path:
    """Write a folder of noise: four images per class, and sentences for each class."""
    import numpy as np
    from PIL import Image

    rng, sentences = np.random.default_rng(count), {}  # other images for every count
    for name in class_names(count):
        folder = root / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        sentences[name] = [f"an image showing {'the ' * (i % 25)}{name} of {i}" for i in range(50)]
    write_json({"prompts": sentences}, root / "prompts.json")
    return root


def measure_part(args: argparse.Namespace) -> dict[str, float]:
    """Measure one way at one number of classes, in this process."""
    way, count, source = args.part[0], int(args.part[1]), f"local-dir:{args.out / 'BiomedCLIP'}"
    if way == "padded":
        from benchmarks import padded_way

        repeats = max(1, args.repeats // 2) if count <= 8 else 1
        return padded_way.measure(source, class_names(count), args.device, repeats)
    if way == "original":
        from benchmarks import original_way

        return original_way.measure(args.original, source, args.device, max(1, args.repeats // 2))
    from benchmarks import our_way

    store = args.out / "store"
    if way == "vocabulary":
        return our_way.vocabulary(source, store, args.device)
    images = write_images(args.out / f"images_{count}", count)
    return our_way.measure(source, images, store, args.device, args.repeats, args.views)


def measure_apart(args: argparse.Namespace, way: str, count: int) -> dict[str, float]:
    """Call `measure_part` in a fresh process, so that its memory and start-up are its own."""
    line = [sys.executable, __file__, "--device", args.device, "--repeats", args.repeats, "--views", args.views]
    line += ["--out", args.out, "--part", way, count]
    line += ["--original", args.original] if args.original else []
    done = subprocess.run(list(map(str, line)), stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=os.environ)
    return json.loads(done.stdout.splitlines()[-1])


def machine(device: str) -> dict[str, Any]:
    """Return what the figures depend on: date, machine, versions."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores"
    return {
        "date": date.today().isoformat(),
        "machine": name,
        "processor": platform.processor() or platform.machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def measure_all(args: argparse.Namespace) -> dict[str, Any]:
    """Measure every part, and write the results after each number of classes."""
    results = machine(args.device) | {"parts": {}, "runs": []}
    results["vocabulary"] = measure_apart(args, "vocabulary", 0)["seconds"]
    for count in args.classes:
        found = results["parts"][count] = {}
        ways = ["padded", "cold", "warm", *(["original"] if args.original and count == ORIGINAL_CLASSES else [])]
        for way in ways:
            print(f"measuring: {way}, {count} classes ...", file=sys.stderr, flush=True)
            found[way] = measure_apart(args, way, count)
        for shots in args.shots:
            seconds = seconds_of_runs(found, results["vocabulary"], count, shots)
            results["runs"].append({"classes": count, "shots": shots, "seconds": seconds})
        write_json(results, args.out / "few_shot_cost.json")
    return results


def main() -> None:
    args = parser().parse_args()
    if args.part:
        print(json.dumps(measure_part(args)))
        return
    if args.original and ORIGINAL_CLASSES not in args.classes:
        parser().error(f"--original is measured at {ORIGINAL_CLASSES} classes, but --classes has {args.classes}.")
    from clip.testing import write_biomedclip

    if not (args.out / "BiomedCLIP/open_clip_model.safetensors").is_file():
        write_biomedclip(args.out / "BiomedCLIP")
    shutil.rmtree(args.out / "store", ignore_errors=True)  # cold means cold
    results = measure_all(args)
    print(f"{results['machine']}, {pace(results):.0f} GFLOP/s in a float32 matrix product")
    print(f"vocabulary field, once for a backbone: {results['vocabulary']:.0f} s\n")
    print_tables(results)
    draw_runs(results, args.out / "few_shot_cost.png")


if __name__ == "__main__":
    main()
