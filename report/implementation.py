"""The paragraph "Implementation details" of a paper, written from the records of runs: a clause for what they tell."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dassl.console import printable
from dassl.writing import atomic_write
from report import paper
from report.collect import FoundRun
from report.groups import Group
from report.render import latex_comment, markdown
from runs.methods import SEEDLESS
from runs.revision import short
from runs.versions import MAIN

NAME = "implementation"  # of its files
UNTOLD = "not recorded"
LONGEST = 100  # characters of a setting; records may hold anything there
TITLE = "Implementation details"
VIEWS = {"none": "as they are", "one": "as one random crop each", "many": "as a new random crop in each epoch"}
PARTS = {"base": "base classes", "new": "novel classes"}
PHANTOM = (
    "Phantom: the images are rendered, or the backbone was trained on such; this says nothing about medical images."
)
TEX = {character: f"\\{character}" for character in "{}$&#_%"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
}
Rows = Mapping[str, Sequence[FoundRun]]


def write(group: Group, folder: Path, within: Path) -> str:
    """Write the paragraph about a group of runs as implementation.md and implementation.tex, and return it.

    Args:
        group: the runs.
        folder: that it is written to.
        within: folder that nothing is written outside of.
    """
    text = paragraph(group)
    for suffix, words in {
        "md": f"## {TITLE}: {markdown(group.title)}\n\n{markdown(text, begins=True)}\n",
        "tex": f"{latex_comment(f'{TITLE}: {group.title}')}\n{latex(text)}\n",
    }.items():
        with atomic_write(folder / f"{NAME}.{suffix}", within=within) as file:
            file.write(words)
    return text


def paragraph(group: Group) -> str:
    """Return the paragraph about the finished runs of a group, in plain text; values that differ name their methods."""
    few = _by_row(run for run in group.few_shot() if run.finished)
    novel = _by_row(run for part in PARTS for run in group.base2new(part) if run.finished)
    rows = _by_row(run for each in (few, novel) for runs in each.values() for run in runs)
    if not rows:
        return ""
    sentences = [PHANTOM] if group.phantom else []
    sentences.append(f"{_names(rows)} {'were' if len(rows) > 1 else 'was'} run with {_backbone(group, rows)}.")
    sentences += _experiment("Few-shot", few, _tested(few)) if few else []
    sentences += _experiment("Base to novel", novel, _tested_novel(novel)) if novel else []
    sentences += [
        _said("Sentences about the classes: {}.", each(rows, _sentences)),
        _said("The towers computed in {}.", each(rows, _device)),
        _said("Versions: {}.", each(rows, _versions)),
        _said("Commit of the code: {}.", each(rows, lambda run: run.record.commit and short(run.record.commit))),
        "± is the population standard deviation over seeds of each data set, averaged over data sets.",
    ]
    return " ".join(filter(None, sentences))


def each(rows: Rows, value_of: Callable[[FoundRun], Any]) -> str:
    """Return the value that all methods have, or else each value with its methods; "" if no run tells one.

    Args:
        rows: runs by the name of their method.
        value_of: returns the value of a run, None or "" where its record does not tell it.
    """
    found: dict[str, list[str]] = {}
    for row, runs in rows.items():
        values = [value_of(run) for run in runs]
        if told := sorted({value for value in values if value not in (None, "")}):
            missing = [UNTOLD] if any(value in (None, "") for value in values) else []
            found.setdefault(_list([*told, *missing]), []).append(row)
    if len(found) == 1 and len(next(iter(found.values()))) == len(rows):
        return next(iter(found))
    return "; ".join(f"{value} for {_names(names)}" for value, names in found.items())


def latex(text: str) -> str:
    r"""Return plain text as LaTeX that shows it.

    >>> latex("ctx_init at 50 %")
    'ctx\\_init at 50 \\%'
    """
    return "".join(TEX.get(character, character) for character in printable(text))


def _by_row(runs: Iterable[FoundRun]) -> dict[str, list[FoundRun]]:
    """Return runs by the name of their method, in the order of the paper's tables."""
    found: dict[str, list[FoundRun]] = {}
    for run in runs:
        found.setdefault(run.row, []).append(run)
    return {row: found[row] for row in paper.in_order(found)}


def _experiment(kind: str, rows: Rows, tested: str) -> list[str]:
    """Return the sentences about the runs of one setting: data sets, draws, training."""
    drawing = {row: runs for row, runs in rows.items() if runs[0].trainer not in SEEDLESS}
    idle = _names(row for row in rows if row not in drawing)
    shots, seeds = each(drawing, lambda run: run.shots), each(drawing, lambda run: run.seed)
    return [
        f"{kind}: {tested}.",
        _said("Training images per class: {}.", shots),
        _said("Seeds of draw and training: {}.", seeds),
        _said("Without training images: {}.", idle),
        _said("Training: {}.", each(drawing, _training)),
        _said("Learned context: {}.", each(drawing, _context)),
        _said("Training images were seen {}.", each(drawing, lambda run: VIEWS.get(run.record.views or ""))),
    ]


def _tested(rows: Rows) -> str:
    return _list(f"{_data(name)} ({_counts(runs)})" for name, runs in _by_dataset(rows).items())


def _tested_novel(rows: Rows) -> str:
    def parts(runs: Sequence[FoundRun]) -> str:
        kinds = {words: [run for run in runs if run.subsample == part] for part, words in PARTS.items()}
        return "; ".join(f"{words}: {_counts(some)}" for words, some in kinds.items() if some)

    return _list(f"{_data(name)} ({parts(runs)})" for name, runs in _by_dataset(rows).items())


def _by_dataset(rows: Rows) -> dict[str, list[FoundRun]]:
    found: dict[str, list[FoundRun]] = {}
    for run in (run for runs in rows.values() for run in runs):
        found.setdefault(run.dataset, []).append(run)
    return dict(sorted(found.items()))


def _data(key: str) -> str:
    return paper.DATASETS.get(key, key)


def _counts(runs: Sequence[FoundRun]) -> str:
    """Return the numbers of classes and of test images."""
    counts: dict[str, set[int | None]] = {
        "classes": {len(run.record.classes) for run in runs},
        "test images": {run.record.tested for run in runs},
    }
    told = ((what, sorted(number for number in numbers if number)) for what, numbers in counts.items())
    words = [f"{_list(f'{number:,}' for number in numbers)} {what}" for what, numbers in told if numbers]
    return ", ".join(words) or f"numbers {UNTOLD}"


def _backbone(group: Group, rows: Rows) -> str:
    revision = each(rows, lambda run: run.record.revision)
    return f"{group.backbone} as the frozen backbone" + (f", revision {revision}" if revision else "")


def _training(run: FoundRun) -> str:
    """Return epochs, optimiser, rate and batch, as far as the record has the settings; "" for what has no epochs."""
    settings: Mapping[str, Any] = getattr(run.record, "settings", None) or {}
    epochs = _short(settings.get("OPTIM.MAX_EPOCH"))
    if epochs in ("", "0"):
        return ""
    clauses = {
        "of {}": _short(settings.get("OPTIM.NAME")).upper(),
        "with learning rate {}": _short(settings.get("OPTIM.LR")),
        "on a {} schedule": _short(settings.get("OPTIM.LR_SCHEDULER")),
        "in batches of {}": _short(settings.get("DATALOADER.TRAIN_X.BATCH_SIZE")),
    }
    first = f"{epochs} epoch{'s' if epochs != '1' else ''}"
    return " ".join([first, *(_said(clause, words) for clause, words in clauses.items() if words)])


def _context(run: FoundRun) -> str:
    """Return the number of learned tokens of a prompt, and the words that they start from."""
    number, start = (_short((run.record.method or {}).get(key)) for key in ("N_CTX", "CTX_INIT"))
    return f"{number} tokens" + (f' from "{start}"' if start else "") if number else ""


def _sentences(run: FoundRun) -> str:
    """Return how many sentences of whose were read, and when these were written."""
    count, by = run.record.sentences_per_class, run.record.prompts
    if not count:
        return ""
    details = ", ".join(by[key] for key in ("model", "date") if key in by)
    return f"{count} per class by {by.get('llm') or run.llm or UNTOLD}" + (f" ({details})" if details else "")


def _device(run: FoundRun) -> str:
    found = run.record.device
    precision, name, cuda = (found.get(key) for key in ("precision", "name", "cuda"))
    return " ".join(
        filter(None, [precision, name and f"on {re.sub('^cpu$', 'a CPU', name)}", cuda and f"with CUDA {cuda}"])
    )


def _versions(run: FoundRun) -> str:
    found = run.record.versions
    return ", ".join(f"{name} {found[name]}" for name in ("python", *MAIN, "numpy", "scikit-learn") if found.get(name))


def _names(rows: Iterable[str]) -> str:
    """Return the names of methods as a list; what follows a comma in one is its LLM, and settings stand in brackets.

    >>> _names(["CoOp", "vMFCoOp, gpt4 [N_CTX 8, CSC True]"])
    'CoOp and vMFCoOp with gpt4 [N_CTX 8, CSC True]'
    """
    parts = (row.partition(" [") for row in rows)
    return _list(name.replace(", ", " with ") + bracket + settings for name, bracket, settings in parts)


def _short(value: Any) -> str:
    """Return a setting as text, "" for None and for what is no number and no few words."""
    return str(value) if isinstance(value, (str, int, float)) and len(str(value)) <= LONGEST else ""


def _said(sentence: str, words: str) -> str:
    return sentence.format(words) if words else ""


def _list(words: Iterable[Any]) -> str:
    """Return words as a list in a sentence.

    >>> _list([1, 4, 16])
    '1, 4 and 16'
    """
    found = list(map(str, words))
    return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))
