"""Tables and picture of few_shot_cost: whole runs from the measured parts."""

import statistics
from pathlib import Path
from typing import Any

from tabulate import tabulate

from dassl.writing import atomic_write

EPOCHS, BATCH, TEST_IMAGES, TOGETHER = 100, 4, 1717, 3  # test images: those of BTMRI
PEAK = "what arithmetic alone would take"
ORIGINAL = "the published code"


def seconds_of_runs(
    found: dict[str, dict[str, float]], vocabulary: float, classes: int, shots: int
) -> dict[str, list[float]]:
    """Return the seconds of one seed's run by way, from the measured parts: of training alone, and of the whole run.

    The whole run adds the test pass and, with a cold store, the vocabulary field, which is made once for a backbone.
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


def pace(results: dict[str, Any]) -> float:
    """Return the GFLOP/s of a wide matrix product: the median over all parts, since machines do not hold their pace."""
    return statistics.median(found[way]["gflops"] for found in results["parts"].values() for way in ("cold", "warm"))


def print_tables(results: dict[str, Any]) -> None:
    """Print the parts, the comparison with the published code if it was measured, and whole runs."""
    print(tabulate(*part_rows(results), floatfmt=".3f"))
    for found in results["parts"].values():
        if original := found.get("original"):
            ours = found["warm"] | {"memory": found["cold"]["memory"], "test image": found["cold"]["image"]}
            rows = [[name, original[name], ours[name], f"{original[name] / ours[name]:.3g}x"] for name in original]
            print("\n" + tabulate(rows, ["4 classes", "published BiomedCoOp", "ours", "ratio"], floatfmt=".3f"))
    print("\n" + tabulate(*run_rows(results), floatfmt=".0f"))


def part_rows(results: dict[str, Any]) -> tuple[list[list[Any]], list[str]]:
    """Return a row for each number of classes, and the headers."""
    rows: list[list[Any]] = []
    for count, found in results["parts"].items():
        padded, warm, image = found["padded"], found["warm"], found["cold"]["image"]
        limits = {name: warm[f"{name} FLOPs"] / 1e9 / pace(results) for name in ("step", "image")}
        as_narrow = warm["step FLOPs"] / 1e9 / warm["gflops, rows"]
        cells = [count, padded["step"], warm["step"], f"{padded['step'] / warm['step']:.1f}x"]
        cells += [f"{warm['step'] / limits['step']:.2f}x", f"{warm['step'] / as_narrow:.2f}x", warm["step, 3 seeds"]]
        cells += [f"{warm['step, 3 seeds'] / limits['step']:.2f}x", image, f"{image / limits['image']:.2f}x"]
        cells += [f"{found['cold']['memory'] / padded['memory']:.0%}"]
        rows.append([*cells, f"{padded['written'] / 1e6:.0f} MB / {warm['written'] / 1e3:.1f} kB"])
    headers = ["classes", "padded step (s)", "our step (s)", "ratio", f"of {PEAK}", "... in products as narrow"]
    headers += ["of 3 seeds, each (s)", f"of {PEAK}", "image (s)", f"of {PEAK}", "memory", "checkpoint"]
    return rows, headers


def run_rows(results: dict[str, Any]) -> tuple[list[list[Any]], list[str]]:
    """Return a row for each run and way, and the headers."""
    rows: list[list[Any]] = []
    for run in results["runs"]:
        bases = [run["seconds"].get(way) for way in ("padded", ORIGINAL)]
        for way, seconds in run["seconds"].items():
            ratios = [[f"{base[i] / seconds[i]:.1f}x" if base else "" for base in bases] for i in range(2)]
            rows.append([run["classes"], run["shots"], way, seconds[0], *ratios[0], seconds[1], *ratios[1]])
    ratio = ["of padded", "of published"]
    return rows, ["classes", "shots", "a run of 100 epochs", "training (s)", *ratio, "with test pass (s)", *ratio]


def draw_runs(results: dict[str, Any], path: Path) -> None:
    """Draw the seconds of a run at 16 shots (or the first number measured), by way and number of classes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shots = 16 if any(t["shots"] == 16 for t in results["runs"]) else results["runs"][0]["shots"]
    runs = [t for t in results["runs"] if t["shots"] == shots]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ways = max((list(run["seconds"]) for run in runs), key=len)
    for i, way in enumerate(ways):
        heights = {n: t["seconds"][way][1] for n, t in enumerate(runs) if way in t["seconds"]}
        places = [n + (i - (len(ways) - 1) / 2) * 0.14 for n in heights]
        bars = axes.bar(places, list(heights.values()), 0.13, label=way)
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
