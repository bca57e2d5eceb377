"""What a few-shot run costs with BiomedCLIP's architecture: the padded way, and ours with a cold and a filled store.

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
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import toolbox  # noqa: E402, F401, its dassl comes first
from dassl.writing import atomic_write, write_json  # noqa: E402

EPOCHS, BATCH, TEST_IMAGES, TOGETHER = 100, 4, 1717, 3  # BTMRI's test set
WORDS = ["bright", "dark", "normal", "brain", "lung", "kidney", "glioma", "meningioma", "pituitary", "mass", "tumor"]
PEAK = "what arithmetic alone would take"
ORIGINAL, ORIGINAL_CLASSES = "the published code", 4  # of the data set in original_way


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
    """Names of five words that the random tokenizer knows: with "a photo of a" and "." prompts of 12 tokens."""
    return [" ".join(words) for words in itertools.islice(itertools.permutations(WORDS, 5), count)]


def write_images(root: Path, count: int) -> Path:
    """A folder of noise: four images per class, and sentences for each."""
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


def part(args: argparse.Namespace) -> dict[str, float]:
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


def measured(args: argparse.Namespace, way: str, count: int) -> dict[str, float]:
    """`part` in a fresh process, so that its memory and start-up are its own."""
    line = [
        sys.executable,
        __file__,
        "--device",
        args.device,
        "--repeats",
        str(args.repeats),
        "--views",
        str(args.views),
    ]
    line += ["--out", str(args.out), "--part", way, str(count)]
    line += ["--original", str(args.original)] if args.original else []
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=os.environ)
    return json.loads(done.stdout.splitlines()[-1])


def totals(found: dict[str, dict[str, float]], vocabulary: float, classes: int, shots: int) -> dict[str, list[float]]:
    """Seconds of one run of a seed by way, from the measured parts: of training alone, and of the whole run.

    The whole run adds the test pass and, where the store is cold, the vocabulary field, which is once for a backbone.
    """
    images = classes * shots
    steps = EPOCHS * max(1, images // BATCH)
    padded, cold, warm = found["padded"], found["cold"], found["warm"]
    learn, image = steps * warm["step"], cold["image"]
    train = {
        "padded": padded["start"] + steps * padded["step"],
        "ours, cold, a new view every epoch": cold["start"] + EPOCHS * images * image + learn,
        "ours, cold, 16 views": cold["start"] + 16 * images * image + learn,
        "ours, stored": warm["start"] + learn,
        "ours, stored, 3 seeds together": warm["start"] / TOGETHER + steps * warm["step, 3 seeds"],
    }
    more = {"padded": TEST_IMAGES * padded["test image"]}
    if original := found.get("original"):
        train = {ORIGINAL: original["start"] + steps * original["step"]} | train
        more[ORIGINAL] = TEST_IMAGES * original["test image"]
    more |= {
        way: vocabulary + TEST_IMAGES * image if "cold" in way else warm["text"] for way in train if way not in more
    }
    return {way: [seconds, seconds + more[way]] for way, seconds in train.items()}


def pace(results: dict) -> float:
    """GFLOP/s of a wide matrix product: the median over the whole measurement, as machines do not hold their pace."""
    return statistics.median(found[way]["gflops"] for found in results["parts"].values() for way in ("cold", "warm"))


def report(results: dict, say: Callable[[str], None]) -> None:
    """The tables, in words for people."""
    from tabulate import tabulate

    rows = []
    for count, found in results["parts"].items():
        padded, warm, image = found["padded"], found["warm"], found["cold"]["image"]
        limits = {name: warm[f"{name} FLOPs"] / 1e9 / pace(results) for name in ("step", "image")}
        as_narrow = warm["step FLOPs"] / 1e9 / warm["gflops, rows"]
        rows.append(
            [
                count,
                padded["step"],
                warm["step"],
                f"{padded['step'] / warm['step']:.1f}x",
                f"{warm['step'] / limits['step']:.2f}x",
                f"{warm['step'] / as_narrow:.2f}x",
                warm["step, 3 seeds"],
                f"{warm['step, 3 seeds'] / limits['step']:.2f}x",
                image,
                f"{image / limits['image']:.2f}x",
                f"{found['cold']['memory'] / padded['memory']:.0%}",
                f"{padded['written'] / 1e6:.0f} MB / {warm['written'] / 1e3:.1f} kB",
            ]
        )
    heads = ["classes", "padded step (s)", "our step (s)", "ratio", f"of {PEAK}", "... in products as narrow"]
    heads += ["of 3 seeds, each (s)", f"of {PEAK}", "image (s)", f"of {PEAK}", "memory", "checkpoint"]
    say(tabulate(rows, heads, floatfmt=".3f"))
    for found in results["parts"].values():
        if original := found.get("original"):
            ours = found["warm"] | {"memory": found["cold"]["memory"], "test image": found["cold"]["image"]}
            rows = [[name, original[name], ours[name], f"{original[name] / ours[name]:.3g}x"] for name in original]
            say("\n" + tabulate(rows, ["4 classes", "published BiomedCoOp", "ours", "ratio"], floatfmt=".3f"))
    rows = []
    for t in results["runs"]:
        bases = [t["seconds"].get(way) for way in ("padded", ORIGINAL)]
        for way, seconds in t["seconds"].items():
            ratios = [[f"{base[i] / seconds[i]:.1f}x" if base else "" for base in bases] for i in range(2)]
            rows.append([t["classes"], t["shots"], way, seconds[0], *ratios[0], seconds[1], *ratios[1]])
    ratios = ["of padded", "of published"]
    heads = ["classes", "shots", "a run of 100 epochs", "training (s)", *ratios, "with test pass (s)", *ratios]
    say("\n" + tabulate(rows, heads, floatfmt=".0f"))


def picture(results: dict, path: Path) -> None:
    """Seconds of a run at 16 shots (or the first number measured), by way and number of classes, on a log scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shots = 16 if any(t["shots"] == 16 for t in results["runs"]) else results["runs"][0]["shots"]
    runs = [t for t in results["runs"] if t["shots"] == shots]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ways = list(max((t["seconds"] for t in runs), key=len))
    for i, way in enumerate(ways):
        heights = {n: t["seconds"][way][1] for n, t in enumerate(runs) if way in t["seconds"]}
        places = [n + (i - (len(ways) - 1) / 2) * 0.14 for n in heights]
        bars = axes.bar(places, heights.values(), 0.13, label=way)
        axes.bar_label(bars, [f"{height:.0f}" for height in heights.values()], fontsize=6)
    axes.set_yscale("log")
    axes.set_xticks(range(len(runs)), [f"{t['classes']} classes" for t in runs])
    axes.set_ylabel("seconds for one seed, with its test pass")
    axes.set_title(
        f"A run of 100 epochs at {shots} shots, BiomedCLIP's architecture, {results['machine']}",
        fontsize=10,
        loc="left",
    )
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=150)


def main() -> None:
    args = parser().parse_args()
    if args.part:
        print(json.dumps(part(args)))
        return
    if args.original and ORIGINAL_CLASSES not in args.classes:
        parser().error(f"--original is measured at {ORIGINAL_CLASSES} classes, but --classes has {args.classes}.")
    import torch

    from clip.testing import write_biomedclip

    if not (args.out / "BiomedCLIP/open_clip_model.safetensors").is_file():
        write_biomedclip(args.out / "BiomedCLIP")
    shutil.rmtree(args.out / "store", ignore_errors=True)  # cold means cold
    machine = torch.cuda.get_device_name() if args.device == "cuda" else f"{os.cpu_count()} CPU cores"
    results = {
        "date": date.today().isoformat(),
        "machine": machine,
        "processor": platform.processor() or platform.machine(),
    }
    results |= {"versions": {"python": platform.python_version(), "torch": torch.__version__}}
    results |= {"parts": {}, "runs": []}
    results["vocabulary"] = measured(args, "vocabulary", 0)["seconds"]
    for count in args.classes:
        found = results["parts"][count] = {}
        ways = ["padded", "cold", "warm"]
        if args.original and count == ORIGINAL_CLASSES:
            ways.append("original")
        for way in ways:
            print(f"measuring: {way}, {count} classes ...", file=sys.stderr, flush=True)
            found[way] = measured(args, way, count)
        for shots in args.shots:
            results["runs"].append(
                {"classes": count, "shots": shots, "seconds": totals(found, results["vocabulary"], count, shots)}
            )
        write_json(results, args.out / "few_shot_cost.json")
    print(f"{machine}, {pace(results):.0f} GFLOP/s in a float32 matrix product")
    print(f"vocabulary field, once for a backbone: {results['vocabulary']:.0f} s\n")
    report(results, print)
    picture(results, args.out / "few_shot_cost.png")


if __name__ == "__main__":
    main()
