"""The text of docs/RESULTS.md: tables of the runs with default and with tuned settings."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from report import paper
from report.ablation import METHOD
from report.collect import find_all
from report.gaps import Gap
from report.groups import Group, split, usable
from report.methods import SETTING, trainer_name
from report.page import Figure
from report.provenance import facts
from report.section import Request, few_shot, section
from report.spans import Wanted
from report.tables import GAP, Table, render

WARNING = (
    "**These are phantom results.** The images are drawings, and the backbone is a PhantomCLIP of 3 million parameters "
    "([PHANTOMS.md](PHANTOMS.md)): they show how methods behave in this code, and say nothing about medical images, "
    "patients or BiomedCLIP. Rows of source *paper* are what the paper prints for real images; they are there for "
    "orientation, and are not to be compared with the rows beside them."
)
NOTHING = "Nothing has been run yet."
Shown = tuple[list[str], list[str]]  # blocks of Markdown, and a line for each thing that is missing


def text(args: argparse.Namespace) -> Shown:
    """The document below its first part; `args` as report.results has them."""
    finished = [run for run in find_all(args.output) if run.finished]
    parts = {"Tables 1 to 3, with the settings of configs/": _tables(args)}
    if args.pair:
        against = f"{' and '.join(map(trainer_name, args.pair))}, {len(args.paired_seeds)} seeds"
        blocks, lines = _pair(args, "tuned", args.chosen)
        parts[f"{against}, with the settings of configs/"] = _pair(args, "default", args.datasets)
        parts[f"{against}, with settings chosen on validation images"] = [*_chosen(Path(args.tuning)), *blocks], lines
    missing = list(dict.fromkeys(line for _, lines in parts.values() for line in lines))
    text = [WARNING, facts(Path(args.output), finished, args.command)]
    for title, (blocks, _) in parts.items():
        text += [f"## {title}", *blocks]
    if missing:
        text += ["## Missing", "\n".join(f"* {line}" for line in missing)]
    return text, missing


def _tables(args: argparse.Namespace) -> Shown:
    """Tables 1 to 3."""
    trainers = [trainer_name(method) for method in args.methods]
    novel = Wanted([trainer_name(m) for m in args.with_novel], args.novel, [paper.NOVEL_SHOTS], args.seeds)
    ablation = Wanted(None, args.datasets, args.ablation_shots if METHOD in trainers else None, args.seeds)
    asked = Request(
        args.default, "accuracy", METHOD, Wanted(trainers, args.datasets, args.shots, args.seeds), novel, ablation
    )
    blocks, missing = [], []
    for group in _groups(args.default):
        found = section(group, asked, _pictures(args, "tables", group))
        blocks += _markdown(found.parts)
        missing += [*_lines(found.gaps), *found.unfinished]
    return (blocks, missing) if blocks else ([NOTHING], [f"all runs of {args.default}"])


def _pair(args: argparse.Namespace, name: str, datasets: Sequence[str]) -> Shown:
    """Both tuned methods on more seeds, and their paired difference, from the runs in the folder `name`."""
    folder, nothing = Path(args.output) / name, Wanted()
    wanted = Wanted([trainer_name(method) for method in args.pair], datasets, args.shots, args.paired_seeds)
    blocks, missing = [], []
    for group in _groups(folder) if datasets else ():
        asked = Request(folder, "accuracy", METHOD, wanted, nothing, nothing)
        parts, gaps = few_shot(group, asked, _pictures(args, f"pair_{name}", group))
        blocks += _markdown(parts)
        missing += _lines(gaps)
    if datasets and not blocks:
        return [NOTHING], [f"all runs of {folder}"]
    return blocks or [
        "Nothing has been tuned yet: `scripts/vmfcoop/tune.sh` and `scripts/biomedcoop/tune.sh` do."
    ], missing


def _groups(folder: Path) -> list[Group]:
    return split(usable(find_all(folder), SETTING)[0])


def _pictures(args: argparse.Namespace, name: str, group: Group) -> Path:
    folder = Path(args.output) / "report" / name / group.folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _markdown(parts: Iterable[Table | Figure]) -> list[str]:
    tables = [part for part in parts if isinstance(part, Table)]
    return [f"### {t.title}\n\n{render(t.headers, t.rows, 'markdown')}\n\n{t.note}" for t in tables]


def _lines(gaps: Iterable[Gap]) -> list[str]:
    return [f"{gap.what}: `{gap.command}`" for gap in gaps]


def _chosen(folder: Path) -> list[str]:
    """What the studies below `folder` chose, and what default and chosen settings score on validation images."""
    rows = []
    for path in sorted(folder.glob("*/*.json")):
        study = json.loads(path.read_text(encoding="utf-8"))
        accuracies = [GAP if value is None else f"{value:.2f}" for value in (study["default"], study["accuracy"])]
        for dataset, settings in study["settings"].items():
            about = [study["trainer"], dataset, " ".join(map(str, study["shots"])), str(study["trials"])]
            images = f"{study['images'][dataset]} ({study['validation']})"
            words = ", ".join(f"{name} {value:g}" for name, value in settings.items())
            rows.append([*about, images, *accuracies, words])
    headers = ["method", "data set", "K", "trials", "validation images", "default (%)", "chosen (%)", "settings"]
    return [render(headers, rows, "markdown")] if rows else []
