"""Write the text of docs/RESULTS.md: tables of the runs with default and with tuned settings."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import MB, read_json
from report import paper
from report.assemble import Request, assemble, few_shot
from report.collect import find_all
from report.groups import Group, group_runs, usable
from report.render import GAP, Figure, Gap, Table, document, markdown, relative, render
from report.scores import Wanted
from report.tables.ablation import METHOD
from reproduce.plan import Document
from reproduce.provenance import facts_table
from runs.layout import SETTING
from runs.methods import row_name, trainer_name
from runs.record import number, whole
from tuning.space import SPACE, checked, options

WARNING = (
    "**These are phantom results.** The images are drawings, and the backbone is a PhantomCLIP of 3 million parameters "
    "([PHANTOMS.md](PHANTOMS.md)): they show how methods behave in this code, and say nothing about medical images, "
    "patients or BiomedCLIP. Rows of source *paper* are what the paper prints for real images; they are there for "
    "orientation, and are not to be compared with the rows beside them."
)
NOTHING = "Nothing has been run yet."
Shown = tuple[list[str], list[str]]  # blocks of Markdown, and a line for each thing that is missing


def document_text(document: Document, command: str) -> Shown:
    """Return the document below its first part.

    Args:
        document: what it spans.
        command: the line that writes it.
    """
    finished = [run for run in find_all(document.output) if run.finished]
    parts = {"Tables 1 to 3, with the settings of configs/": _tables(document)}
    if document.pair:
        against = f"{' and '.join(map(trainer_name, document.pair))}, {len(document.paired_seeds)} seeds"
        blocks, lines = _pair(document, "tuned", document.tuned_datasets)
        parts[f"{against}, with the settings of configs/"] = _pair(document, "default", document.datasets)
        chosen, problems = chosen_settings(document.tuning)
        parts[f"{against}, with settings chosen on validation images"] = [*chosen, *blocks], [*problems, *lines]
    missing = list(dict.fromkeys(line for _, lines in parts.values() for line in lines))
    text = [WARNING, facts_table(document.output, finished, command)]
    for title, (blocks, _) in parts.items():
        text += [f"## {title}", *blocks]
    if missing:
        text += ["## Missing", "\n".join(f"* {line}" for line in missing)]
    return text, missing


def _tables(document: Document) -> Shown:
    """Return Tables 1 to 3."""
    trainers, seeds = [row_name(method) for method in document.methods], document.seeds
    novel_trainers = [row_name(method) for method in document.novel_methods]
    novel = Wanted(novel_trainers, document.novel_datasets, [paper.NOVEL_SHOTS], seeds)
    ablation = Wanted(None, document.datasets, document.ablation_shots if METHOD in trainers else None, seeds)
    spanned = Wanted(trainers, document.datasets, document.shots, seeds), novel, ablation
    asked = Request(document.default, document.output, "accuracy", METHOD, *spanned)
    blocks: list[str] = []
    missing: list[str] = []
    for group in _groups(document.default):
        found = assemble(group, asked, _pictures(document, "tables", group))
        blocks += _markdown(found.parts)
        missing += [*_lines(found.gaps), *(markdown(relative(line, document.output)) for line in found.unfinished)]
    return (blocks, missing) if blocks else ([NOTHING], [_all_runs("default")])


def _pair(document: Document, name: str, datasets: Sequence[str]) -> Shown:
    """Return the results of the pair on more seeds, and their paired difference, from the runs in the folder `name`."""
    folder, nothing = document.output / name, Wanted()
    pair = [trainer_name(method) for method in document.pair]
    wanted = Wanted(pair, datasets, document.shots, document.paired_seeds)
    blocks: list[str] = []
    missing: list[str] = []
    for group in _groups(folder, chosen=name == "tuned") if datasets else ():
        asked = Request(folder, document.output, "accuracy", METHOD, wanted, nothing, nothing)
        parts, gaps = few_shot(group, asked, _pictures(document, f"pair_{name}", group))
        blocks += _markdown(parts)
        missing += _lines(gaps)
    if datasets and not blocks:
        return [NOTHING], [_all_runs(name)]
    return blocks or [
        "Nothing has been tuned yet: `scripts/vmfcoop/tune.sh` and `scripts/biomedcoop/tune.sh` do."
    ], missing


def _all_runs(name: str) -> str:
    return f"all runs of {name}/"


def _groups(folder: Path, chosen: bool = False) -> list[Group]:
    """Return the groups of runs in a folder; `chosen` settings, one for each data set, make no row of their own."""
    runs, _ = usable(find_all(folder), SETTING)
    return group_runs([replace(run, changed={}) for run in runs] if chosen else runs)


def _pictures(document: Document, name: str, group: Group) -> Path:
    return document.output / "report" / name / group.folder


def _markdown(parts: Iterable[Table | Figure]) -> list[str]:
    return [document(part, "markdown", "###") for part in parts if isinstance(part, Table)]


def _lines(gaps: Iterable[Gap]) -> list[str]:
    return [f"{markdown(gap.what)}: `{gap.shared}`" for gap in gaps]


def chosen_settings(folder: Path) -> Shown:
    """Return a table of the settings that the studies below `folder` chose, and of their validation accuracy."""
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
    """Return the rows of one study; raise a UserError, or what Python raises, if the file is no summary of one."""
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
        chosen = options(trainer, checked(settings, SPACE[trainer], where, False))
        words = " ".join(f"{name} {value:g}" for name, value in chosen)
        rows.append([trainer, dataset, shots, str(whole(study["trials"], "trials", where)), images, *accuracies, words])
    return rows
