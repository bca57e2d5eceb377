"""The text of docs/RESULTS.md: tables of the runs with default and with tuned settings."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import MB, read_json
from report import paper
from report.ablation_table import METHOD
from report.assemble import Request, assemble, few_shot
from report.collect import find_all
from report.groups import Group, group_runs, usable
from report.render import GAP, Figure, Gap, Table, document, markdown, relative, render
from report.scores import Wanted
from reproduce.provenance import facts
from runs.layout import SETTING
from runs.methods import trainer_name
from runs.record import number, whole
from tuning.space import SPACE, checked

WARNING = (
    "**These are phantom results.** The images are drawings, and the backbone is a PhantomCLIP of 3 million parameters "
    "([PHANTOMS.md](PHANTOMS.md)): they show how methods behave in this code, and say nothing about medical images, "
    "patients or BiomedCLIP. Rows of source *paper* are what the paper prints for real images; they are there for "
    "orientation, and are not to be compared with the rows beside them."
)
NOTHING = "Nothing has been run yet."
Shown = tuple[list[str], list[str]]  # blocks of Markdown, and a line for each thing that is missing


def text(args: argparse.Namespace) -> Shown:
    """The document below its first part; `args` as reproduce.results has them."""
    finished = [run for run in find_all(args.output) if run.finished]
    parts = {"Tables 1 to 3, with the settings of configs/": _tables(args)}
    if args.pair:
        against = f"{' and '.join(map(trainer_name, args.pair))}, {len(args.paired_seeds)} seeds"
        blocks, lines = _pair(args, "tuned", args.chosen)
        parts[f"{against}, with the settings of configs/"] = _pair(args, "default", args.datasets)
        chosen, problems = _chosen(Path(args.tuning))
        parts[f"{against}, with settings chosen on validation images"] = [*chosen, *blocks], [*problems, *lines]
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
    spanned = Wanted(trainers, args.datasets, args.shots, args.seeds), novel, ablation
    asked = Request(args.default, Path(args.output), "accuracy", METHOD, *spanned)
    blocks, missing = [], []
    for group in _groups(args.default):
        found = assemble(group, asked, _pictures(args, "tables", group))
        blocks += _markdown(found.parts)
        missing += [*_lines(found.gaps), *(markdown(relative(line, args.output)) for line in found.unfinished)]
    return (blocks, missing) if blocks else ([NOTHING], [_all_runs("default")])


def _pair(args: argparse.Namespace, name: str, datasets: Sequence[str]) -> Shown:
    """Both tuned methods on more seeds, and their paired difference, from the runs in the folder `name`."""
    folder, nothing = Path(args.output) / name, Wanted()
    wanted = Wanted([trainer_name(method) for method in args.pair], datasets, args.shots, args.paired_seeds)
    blocks, missing = [], []
    for group in _groups(folder) if datasets else ():
        asked = Request(folder, Path(args.output), "accuracy", METHOD, wanted, nothing, nothing)
        parts, gaps = few_shot(group, asked, _pictures(args, f"pair_{name}", group))
        blocks += _markdown(parts)
        missing += _lines(gaps)
    if datasets and not blocks:
        return [NOTHING], [_all_runs(name)]
    return blocks or [
        "Nothing has been tuned yet: `scripts/vmfcoop/tune.sh` and `scripts/biomedcoop/tune.sh` do."
    ], missing


def _all_runs(name: str) -> str:
    return f"all runs of {name}/"


def _groups(folder: Path) -> list[Group]:
    return group_runs(usable(find_all(folder), SETTING)[0])


def _pictures(args: argparse.Namespace, name: str, group: Group) -> Path:
    return Path(args.output) / "report" / name / group.folder


def _markdown(parts: Iterable[Table | Figure]) -> list[str]:
    return [document(part, "markdown", "###") for part in parts if isinstance(part, Table)]


def _lines(gaps: Iterable[Gap]) -> list[str]:
    return [f"{markdown(gap.what)}: `{gap.shared}`" for gap in gaps]


def _chosen(folder: Path) -> Shown:
    """What the studies below `folder` chose, and what default and chosen settings score on validation images."""
    rows, problems = [], []
    for path in sorted(folder.glob("*/*.json")):
        try:
            rows += _study(path)
        except UserError as error:
            problems.append(markdown(relative(str(error), folder)))
        except (KeyError, TypeError, AttributeError) as error:
            problems.append(markdown(f"{path.relative_to(folder)} is no summary of a study ({error!r})"))
    headers = ["method", "data set", "K", "trials", "validation images", "default (%)", "chosen (%)", "settings"]
    return [render(headers, rows, "markdown")] if rows else [], problems


def _study(path: Path) -> list[list[str]]:
    """The rows of one study; raises a UserError, or what Python does, where the file is no summary of one."""
    study, where = read_json(path, MB, links=False), str(path)
    trainer = check_name(study["trainer"], "trainer", where)
    accuracies = [
        GAP if value is None else f"{number(value, 'an accuracy', where):.2f}"
        for value in (study["default"], study["accuracy"])
    ]
    shots = " ".join(str(whole(k, "shots", where)) for k in study["shots"])
    validation = check_name(study["validation"], "choice", where)
    rows = []
    for dataset, settings in study["settings"].items():
        check_name(dataset, "data set", where)
        images = f"{whole(study['images'][dataset], 'images', where)} ({validation})"
        words = ", ".join(
            f"{name} {value:g}" for name, value in checked(settings, SPACE[trainer], where, False).items()
        )
        rows.append([trainer, dataset, shots, str(whole(study["trials"], "trials", where)), images, *accuracies, words])
    return rows
