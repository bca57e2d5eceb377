"""Measure whether the sentences that explain a prediction name what is drawn in the picture, and write the tables.

    python -m reproduce sentences                       # all phantoms, into docs/EXPLANATION.md
    python -m reproduce sentences --development btmri --confirmation retina --pictures 40 --to build/sentences.md

Nothing is trained, and each seed has its own draw of support images and its own captions. The way to score was chosen
on the development half, and is reported on the confirmation half. In --to what stands outside the two marks is kept.
--sample 60 prints so many of the attributes that the LLM's sentences name by the rule of `datasets.phantoms.naming`,
to be read and judged, and measures nothing.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np

from clip import FeatureStore, build_backbone
from dassl.errors import UserError, command
from dassl.progress import bar
from dassl.reading import read_text
from dassl.writing import atomic_write
from datasets.phantoms import PHANTOMS, VERSION
from report.render import GAP, render, without_places
from reproduce.posterior import CONFIRMATION
from reproduce.provenance import commit, today
from reproduce.sensitivity import DEVELOPMENT
from reproduce.sentence_figures import (
    Decided,
    Ranked,
    Sentences,
    bank_sentences,
    captions,
    decide,
    named_lines,
    rank,
    rank_classes,
)
from reproduce.sentence_scores import CHOSEN, SCORES
from runs.options import positive

ROOT = Path(__file__).parents[1]
BEGIN = "<!-- What follows is written by python -m reproduce sentences. -->"
END = "<!-- Here ends what python -m reproduce sentences writes. -->"
KINDS = {"captions": "captions in the phantom's own phrases", "bank": "the LLM's sentences"}
RESAMPLES = 2000  # of the pictures, for an interval
HEADERS = [
    *("phantom", "right (%)", "pictures", "AUROC", "other pictures' ranking", "gain [95 %]"),
    *("AUROC, speaks", "first is drawn (%)", "other pictures' first (%)", "any (%)", "AUROC, classes"),
]
Figures = Mapping[str, Sequence[Ranked]]  # of the pictures, by data set


class Measured(NamedTuple):
    """What a data set shows on one seed: pictures that were decided on, and sentences of both kinds."""

    made: Decided
    kinds: dict[str, Sentences]


def measure(store: FeatureStore, dataset: str, pictures: int, shots: int, seed: int) -> Measured:
    """Return the pictures of a data set, as a method on a draw of a seed sees them, and the sentences."""
    made = decide(store, dataset, pictures, shots, seed)
    return Measured(made, {"captions": captions(store, made, seed), "bank": bank_sentences(store, made)})


Half = Mapping[str, Sequence[Measured]]  # the seeds of each data set


def averaged(seeds: Sequence[Sequence[Ranked]]) -> list[Ranked]:
    """Return the figures of each picture as means over the seeds that have them.

    >>> nan = float("nan")
    >>> averaged([[Ranked(0.5, 0.5, nan, 1.0, 0.5, nan)], [Ranked(1.0, 0.5, 0.8, 1.0, 0.5, nan)]])
    [Ranked(drawn=0.75, other=0.5, speaks=0.8, first=1.0, other_first=0.5, chance=nan)]
    """
    values = np.array(seeds)
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return [Ranked(*some) for some in np.where(count, total / count.clip(min=1), np.nan).tolist()]


def figures_of(half: Half, kind: str, score: str) -> Figures:
    """Return how the pictures of each data set rank sentences of a kind by a score."""
    return {
        name: averaged([rank(each.made, each.kinds[kind], SCORES[score]) for each in seeds])
        for name, seeds in half.items()
    }


def column(ranked: Sequence[Ranked], name: str) -> np.ndarray:
    """Return a figure of all pictures that have it [n]."""
    values = np.array([getattr(each, name) for each in ranked])
    return values[~np.isnan(values)]


def gains(ranked: Sequence[Ranked]) -> np.ndarray:
    """Return how much a picture's own ranking is better than those of others, of the pictures that have both [n]."""
    values = np.array([each.drawn - each.other for each in ranked])
    return values[~np.isnan(values)]


def interval(samples: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return the mean over data sets of their mean gains, and the ends of its 95 % interval (bootstrap of pictures)."""
    rng = np.random.default_rng(0)
    means = [some[rng.integers(len(some), size=(RESAMPLES, len(some)))].mean(axis=1) for some in samples]
    low, high = np.percentile(np.mean(means, axis=0), [2.5, 97.5])
    return float(np.mean([some.mean() for some in samples])), float(low), float(high)


def averages(figures: Figures, name: str) -> float:
    """Return the mean over data sets of a figure's mean over pictures."""
    return float(np.mean([column(ranked, name).mean() for ranked in figures.values()]))


def row(name: str, right: float, classes: float, figures: Figures) -> list[str]:
    """Return a row of the table of one data set, or of the mean of several.

    Args:
        name: in the first column.
        right: predictions in percent.
        classes: AUROC of what classes moved towards.
        figures: of the pictures of each data set.
    """
    samples = [gains(ranked) for ranked in figures.values()]
    if not all(map(len, samples)):
        return [name, f"{right:.0f}", *[GAP] * (len(HEADERS) - 3), f"{classes:.2f}"]
    gain, low, high = interval(samples)
    cells = [f"{averages(figures, each):.2f}" for each in ("drawn", "other")]
    shares = [f"{100 * averages(figures, each):.0f}" for each in ("first", "other_first", "chance")]
    between = f"{gain:+.2f} [{low:+.2f}, {high:+.2f}]"
    pictures = str(sum(map(len, samples)))
    return [
        name,
        f"{right:.0f}",
        pictures,
        *cells,
        between,
        f"{averages(figures, 'speaks'):.2f}",
        *shares,
        f"{classes:.2f}",
    ]


def right_share(seeds: Sequence[Measured]) -> float:
    """Return the share of right predictions in percent."""
    return fmean((each.made.predicted == each.made.labels).double().mean().item() * 100 for each in seeds)


def confirmation_table(half: Half, kind: str) -> str:
    """Return the table of the chosen score, and a line on the data sets where it gains nothing."""
    figures = figures_of(half, kind, CHOSEN)
    right = {name: right_share(seeds) for name, seeds in half.items()}
    classes = {
        name: float(np.nanmean([rank_classes(each.made, each.kinds[kind]) for each in seeds]))
        for name, seeds in half.items()
    }
    rows = [row(name, right[name], classes[name], {name: ranked}) for name, ranked in figures.items()]
    rows.append(row("mean", fmean(right.values()), fmean(classes.values()), figures))
    none = [name for name, ranked in figures.items() if not len(gains(ranked)) or interval([gains(ranked)])[1] <= 0]
    said = f"No gain beyond chance: {', '.join(none)}." if none else "The gain is beyond chance on every data set."
    return f"{render(HEADERS, rows, 'markdown')}\n\n{said}"


def development_table(half: Half) -> str:
    """Return the table of all scores, averaged over the data sets."""
    headers = ["score", *(f"{what}, {kind}" for kind in KINDS for what in ("drawn", "gain", "speaks", "first (%)"))]
    rows = []
    for score in bar(SCORES, desc="Scores"):
        cells, both = [], []
        for kind in KINDS:
            figures = figures_of(half, kind, score)
            drawn, speaks = averages(figures, "drawn"), averages(figures, "speaks")
            both += [drawn, speaks]
            gain = drawn - averages(figures, "other")
            cells += [f"{drawn:.3f}", f"{gain:+.3f}", f"{speaks:.3f}", f"{100 * averages(figures, 'first'):.1f}"]
        rows.append([score + " (chosen)" * (score == CHOSEN), *cells, f"{np.mean(both):.3f}"])
    return render([*headers, "mean of drawn and speaks"], rows, "markdown")


def text_of(development: Half, confirmation: Half, line: str) -> str:
    """Return the tables, and where they come from."""
    parts = [f"`{line}`, {today()}, commit {commit()}, phantoms version {VERSION}, PhantomCLIP. **Phantom figures.**"]
    if development:
        parts.append(f"**Development half** ({', '.join(development)}), mean over data sets:")
        parts.append(development_table(development))
    for kind, what in KINDS.items() if confirmation else ():
        parts += [f"**Confirmation half, {what}:**", confirmation_table(confirmation, kind)]
    return "\n\n".join(parts)


def written_between(path: Path, text: str) -> None:
    """Write text between the two marks of a file; at its end if they are not there.

    Raises:
        UserError: only one of the marks is there.
    """
    before = read_text(path) if path.exists() else ""
    if (BEGIN in before) != (END in before):
        raise UserError(f'Expected both marks "{BEGIN}" and "{END}" in {path}, but got one: put the other back.')
    kept, _, rest = before.partition(BEGIN)
    with atomic_write(path) as file:
        file.write(f"{kept}{BEGIN}\n\n{text}\n\n{END}" + (rest.partition(END)[2] or "\n"))


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce sentences", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for half, default in (("development", DEVELOPMENT), ("confirmation", CONFIRMATION)):
        p.add_argument(
            f"--{half}",
            nargs="*",
            default=list(default),
            choices=list(PHANTOMS),
            metavar="PHANTOM",
            help=f"default: the {half} half",
        )
    p.add_argument("--pictures", type=positive, default=200, help="test pictures of each data set (default: 200)")
    p.add_argument("--shots", type=positive, default=16, help="support images of each class (default: 16)")
    p.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="of draws and captions (default: 1 2 3)")
    p.add_argument("--sample", type=positive, help="print attributes that sentences name, and measure nothing")
    p.add_argument("--to", default=str(ROOT / "docs" / "EXPLANATION.md"), help="default: docs/EXPLANATION.md")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write the tables."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(words)
    names = dict.fromkeys([*args.development, *args.confirmation])
    if args.sample:
        found = [lines for name in names for lines in named_lines(name)]
        pairs = [pair for lines in found for pair in lines]
        chosen = np.random.default_rng(0).permutation(len(pairs))[: args.sample]
        print(f"{len(pairs)} attributes are named by {sum(map(bool, found))} of {len(found)} sentences; some of them:")
        print(*(pairs[i] for i in sorted(chosen)), sep="\n")
        return 0
    store = FeatureStore(build_backbone("PhantomCLIP"))
    measured = {
        name: [measure(store, name, args.pictures, args.shots, seed) for seed in args.seeds]
        for name in bar(names, desc="Phantoms")
    }
    line = shlex.join(["python", "-m", "reproduce", "sentences", *without_places(words)])
    development, confirmation = (
        {name: measured[name] for name in half} for half in (args.development, args.confirmation)
    )
    text = text_of(development, confirmation, line)
    written_between(Path(args.to), text)
    print(text, f"Written: {args.to}", sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
