"""Run folders to records: metrics.json in full precision, else the log that Dassl prints."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dassl.errors import UserError
from report.methods import SEEDLESS

TRAINED = re.compile(r"Finish(?:ed)? training")  # Dassl's releases print one or the other
TESTED = re.compile(r"=> result")
EPOCH = re.compile(r"\bepoch \[\d+/\d+\]")
PERCENT = re.compile(r"\* +([\w-]+): +(nan|[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?) *%")
LAYOUT = re.compile(r"/(?P<dataset>[^/]+)/shots_(?P<shots>\d+)/(?P<trainer>[^/_]+)(?:_(?P<backbone>[^/]+))?/")
SEED = re.compile(r"seed_?(\d+)$")
PHANTOMS = re.compile(r"^(?:\*\*\* PHANTOMS: | *ROOT: *phantoms *$)", re.MULTILINE)  # what train.py prints of phantoms
ROOT = re.compile(r"^ *ROOT: ", re.MULTILINE)
PHANTOM_BACKBONE = "PhantomCLIP"
WORDS = {
    "test": "test images",
    "support": "training images",
    "sentences": "sentences",
    "settings": "settings",
    "backbone_files": "files of the backbone",
    "learned": "learned tensors",
}
SUBSAMPLES = {"train_base": "base", "test_new": "new"}


@dataclass(frozen=True)
class Run:
    """One run folder; `metrics` are in percent and empty unless the run finished, `problem` says why it did not.

    `rendered`: its images are phantoms; `phantom`: they are, or its backbone was trained on phantoms. `hashes` are the
    digests of its images and weights, as far as it left any.
    """

    path: Path
    dataset: str = ""
    trainer: str = ""
    backbone: str = ""
    shots: int | None = None
    seed: int | None = None
    subsample: str = "all"
    phantom: bool = False
    rendered: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    problem: str = ""
    hashes: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return not self.problem


def parse_log(text: str, test_log: bool = False) -> dict[str, float]:
    """Percentages of a log's last result, or {} where the log does not show that the run ended.

    A log that trains must reach "Finish training"; with `test_log` one that only tests needs "=> result".
    """
    *trained, tail = TRAINED.split(text)
    *tested, result = TESTED.split(tail)
    if EPOCH.search(tail) or not (trained or (test_log and tested)):
        return {}
    return _finite((name, float(value)) for name, value in PERCENT.findall(result))


def read_run(folder: str | Path, test_log: bool = False) -> Run:
    """Record of one run folder; what is missing, half-written or unfinished becomes a record with a `problem`."""
    folder = Path(folder)
    found = _from_path(folder)
    document = folder / "metrics.json"
    if document.is_file():
        return Run(folder, **_from_document(document, found))
    logs = sorted(folder.glob("log.txt*"), reverse=True)  # Dassl appends the time to the name of a second log
    if not logs:
        problem = f"{folder} holds neither metrics.json nor log.txt: run its script again to fill it."
        return Run(folder, **found, problem=problem)
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        if ROOT.search(text) or PHANTOMS.search(text):
            found["rendered"] = bool(PHANTOMS.search(text))
        found["phantom"] = found["rendered"] or found["backbone"] == PHANTOM_BACKBONE
        if metrics := parse_log(text, test_log):
            return Run(folder, **found, metrics=metrics)
    hint = "read it with --test-log if it only tests" if TESTED.search(text) and not test_log else "resume its run"
    return Run(folder, **found, problem=f"{log} does not reach the result that ends a run: {hint}.")


def find_runs(directory: str | Path, test_log: bool = False) -> list[Run]:
    """Records of the run folders in `directory` (or of itself where it is one), seed 2 before seed 10."""
    directory = Path(directory)
    if _holds_run(directory):
        return [read_run(directory, test_log)]
    folders = [folder for folder in _subfolders(directory) if _holds_run(folder) or SEED.search(folder.name)]
    return [read_run(folder, test_log) for folder in folders]


def find_all(directory: str | Path) -> list[Run]:
    """Records of all run folders below `directory`; logs that only test count, since zero-shot has no others."""
    experiments = find_experiments(directory)
    return [run for folder in experiments for run in find_runs(folder, test_log=True)]


def find_experiments(directory: str | Path) -> list[Path]:
    """Folders below `directory`, at any depth, that hold run folders; a sub-folder without any is listed itself."""
    experiments = []
    for folder in _subfolders(Path(directory)):
        runs = {file.parent for name in ("metrics.json", "log.txt*") for file in folder.rglob(name)}
        runs |= {seed for seed in folder.rglob("seed*") if seed.is_dir() and SEED.search(seed.name)}
        experiments += sorted({run.parent for run in runs if run != folder}, key=_natural) or [folder]
    return experiments


def check_same_data(runs: Iterable[Run]) -> None:
    """Raise a UserError where runs that stand for one data set were made of different ones.

    Those of one data set, backbone and choice of classes must have been tested on the same images with the same
    backbone; and those of one number of shots and one seed must have learned from the same images. Seeds of one
    experiment must have the same settings and sentences, and novel classes the tensors learned on the base classes.
    Runs that left no digests, as other code bases' do, are not asked.
    """
    known: dict[tuple, Run] = {}
    for run in runs:
        place = (run.dataset, run.backbone, run.subsample)
        for what, key in (
            ("test", place),
            ("backbone_files", (run.backbone,)),
            ("support", () if run.trainer in SEEDLESS else (*place, run.shots, run.seed)),
            ("sentences", (run.path.parent,)),
            ("settings", (run.path.parent,)),
            ("learned", (Path(str(run.path).replace("test_new", "train_base")),)),
        ):
            if not (run.finished and key and run.hashes.get(what)):
                continue
            other = known.setdefault((what, *key), run)
            if other.hashes[what] != run.hashes[what]:
                raise UserError(
                    f"Expected runs with the same {WORDS[what]}, but {other.path} and {run.path} have different ones: "
                    "compare them in separate --output folders, or remove the one that is out of date."
                )


def _from_path(folder: Path) -> dict[str, Any]:
    text = folder.resolve().as_posix()
    found = match.groupdict() if (match := LAYOUT.search(text)) else {}
    seed = SEED.search(folder.resolve().name)
    backbone = found.get("backbone") or ""
    return {
        "dataset": found.get("dataset", ""),
        "trainer": found.get("trainer", ""),
        "backbone": backbone,
        "shots": int(found["shots"]) if found else None,
        "seed": int(seed[1]) if seed else None,
        "subsample": next((kind for part, kind in SUBSAMPLES.items() if f"/{part}/" in text), "all"),
        "phantom": backbone == PHANTOM_BACKBONE,
        "rendered": backbone == PHANTOM_BACKBONE,  # a guess, until a log or a document tells
    }


def _from_document(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        metrics, hashes = _finite(_flatten(document["metrics"])), dict(document.get("hashes", {}))
        seconds = sum(document.get("seconds", {}).values()) or None
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = f"{path} is half-written or no result of a run: delete it and run its script again."
        return found | {"problem": problem}
    given = {key: document[key] for key in found if document.get(key) is not None}
    # where a run lies says what it is compared with; the document has the registry's name ("COVID_19" in covid/)
    given |= {key: found[key] for key in ("dataset", "shots", "seed") if found[key] not in ("", None)}
    rendered = bool(document.get("phantom"))
    named = given.get("backbone", found["backbone"]) == PHANTOM_BACKBONE
    given |= {"rendered": rendered, "phantom": rendered or bool(document.get("phantom_backbone", named))}
    return found | given | {"metrics": metrics, "seconds": seconds, "hashes": hashes}


def _flatten(metrics: dict[str, Any]) -> Iterable[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{key}", number) for key, number in _flatten(value))
        elif value is not None:
            yield name, float(value)


def _finite(metrics: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {name: value for name, value in metrics if math.isfinite(value)}


def _holds_run(folder: Path) -> bool:
    return (folder / "metrics.json").is_file() or any(folder.glob("log.txt*"))


def _subfolders(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted((p for p in directory.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(digits or 0), word) for word, digits in re.findall(r"(\D*)(\d*)", path.as_posix())]
