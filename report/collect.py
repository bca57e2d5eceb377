"""Run folders to records: metrics.json in full precision, else the log that Dassl prints."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dassl.errors import UserError
from dassl.names import LONGEST, OWN_FOLDER, file_name
from dassl.reading import MB, read_text
from report.tree import is_run_file, look, natural
from runs.layout import SEED, place_of
from runs.methods import SEEDLESS
from runs.record import LARGEST, read_record

TRAINED = re.compile(r"Finish(?:ed)? training")  # Dassl's releases print one or the other
TESTED = re.compile(r"=> result")
EPOCH = re.compile(r"\bepoch \[\d+/\d+\]")
# Each part is one that no other part can match, so that the time a line takes grows no faster than its length.
PERCENT = re.compile(r"\* +([\w-]+): +(nan|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?) *%")
PHANTOMS = re.compile(r"^(?:\*\*\* PHANTOMS: | *ROOT: *phantoms *$)", re.MULTILINE)  # what train.py prints of phantoms
ROOT = re.compile(r"^ *ROOT: ", re.MULTILINE)
PHANTOM_BACKBONE = "PhantomCLIP"
LOGS = 20  # of one run, the newest
LINE = 500  # characters of a log's line that are looked at
PLACE = f"{OWN_FOLDER}<folder>"  # a backbone of which only the run's folder tells, in a name made from a path
WORDS = {
    "test": "test images",
    "support": "training images",
    "sentences": "sentences",
    "settings": "settings",
    "backbone_files": "files of the backbone",
    "learned": "learned tensors",
}


@dataclass(frozen=True)
class Run:
    """One run folder; `metrics` are in percent and empty unless the run finished, `problem` says why it did not.

    `rendered`: its images are phantoms; `phantom`: they are, or its backbone was trained on phantoms. `hashes` are the
    digests of its images and weights, `versions` those of packages, as far as it left any. `named_after` is the part of
    its path that stands for the backbone: it tells apart two folders that bear one name.
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
    versions: Mapping[str, str | None] = field(default_factory=dict)
    named_after: str = ""

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
    """Record of one run folder; what is missing, half-written, unfinished or strange makes it one with a `problem`."""
    folder = Path(folder)
    found: dict[str, Any] = {}
    try:
        found = _from_path(folder)
        names = [path.name for path in folder.iterdir()]
        if "metrics.json" in names:
            return Run(folder, **found | _from_record(folder / "metrics.json", found))
        return _from_logs(folder, found, sorted(filter(is_run_file, names), reverse=True), test_log)
    except UserError as error:
        return Run(folder, **found, problem=str(error))
    except OSError as error:
        return Run(folder, **found, problem=f"{folder} cannot be read ({error.strerror}): change its rights.")


def _from_logs(folder: Path, found: dict[str, Any], logs: list[str], test_log: bool) -> Run:
    """The newest log that shows a result; raises a UserError where none can be read."""
    if not logs:
        problem = f"{folder} holds neither metrics.json nor log.txt: run its script again to fill it."
        return Run(folder, **found, problem=problem)
    problem = ""
    for log in (folder / name for name in logs[:LOGS]):
        try:
            text = read_log(log)
        except UserError as error:
            problem = problem or str(error)
            continue
        if ROOT.search(text) or PHANTOMS.search(text):
            found["rendered"] = bool(PHANTOMS.search(text))
        found["phantom"] = found["rendered"] or found["backbone"] == PHANTOM_BACKBONE
        if metrics := parse_log(text, test_log):
            return Run(folder, **found, metrics=metrics)
        hint = "read it with --test-log if it only tests" if TESTED.search(text) and not test_log else "resume its run"
        problem = problem or f"{log} does not reach the result that ends a run: {hint}."
    return Run(folder, **found, problem=problem)


def read_log(path: Path) -> str:
    """The first and the last megabyte of a log, and the first characters of each line: where marks and results are."""
    text = read_text(path, MB, links=False, strict=False, last=True)
    if path.stat().st_size > MB:
        text = f"{read_text(path, MB, links=False, strict=False, first=True)}\n{text}"
    return "\n".join(line[:LINE] for line in text.splitlines())


def find_runs(directory: str | Path, test_log: bool = False) -> list[Run]:
    """Records of the run folders in `directory` (or of itself where it is one), seed 2 before seed 10."""
    directory = Path(directory)
    if _holds_run(directory):
        return [read_run(directory, test_log)]
    return [
        _link(folder) if folder.is_symlink() else read_run(folder, test_log)
        for folder in _subfolders(directory)
        if folder.is_symlink() or _holds_run(folder) or SEED.search(folder.name)
    ]


def find_all(directory: str | Path) -> list[Run]:
    """Records of all run folders below `directory`, and of what could not be looked into, which has a `problem`.

    Logs that only test count, since zero-shot has no others.
    """
    experiments, left_out = find_experiments(directory)
    runs = [run for folder in experiments for run in find_runs(folder, test_log=True)]
    known = {run.path for run in runs}
    return runs + [run for run in left_out if run.path not in known]


def find_experiments(directory: str | Path) -> tuple[list[Path], list[Run]]:
    """Folders below `directory`, at any depth, that hold run folders, and what could not be looked into.

    A sub-folder without any is listed itself. The second is a list of records with a `problem`: links, which are not
    followed, and folders that are too deep, too many or may not be read.
    """
    directory = Path(directory)
    tree = look(directory)
    parents: dict[str, set[Path]] = {folder.name: set() for folder in _subfolders(directory) if not folder.is_symlink()}
    for run in tree.runs:
        top, *below = run.relative_to(directory).parts or [""]
        if below:
            parents[top].add(run.parent)
    experiments = [folder for top, each in parents.items() for folder in sorted(each or [directory / top], key=natural)]
    left_out = [_link(path) for path in sorted(tree.links, key=natural)]
    left_out += [Run(path, problem=f"{path} cannot be looked into: too deep, or no right to.") for path in tree.unread]
    if tree.cut:
        words = "holds more files and folders than are looked at: only some of its runs are here; name a folder in it"
        left_out.append(Run(directory, problem=f"{directory} {words}."))
    return experiments, left_out if directory.is_dir() else []


def _link(path: Path) -> Run:
    problem = f"{path} is a symbolic link, which is not followed: put the folder itself there, or report on that one."
    try:
        return Run(path, **_from_path(path), problem=problem)
    except UserError:
        return Run(path, problem=problem)


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
    place = place_of(folder)
    backbone = PLACE if place.backbone.startswith(file_name(OWN_FOLDER)) else place.backbone
    rendered = backbone == PHANTOM_BACKBONE  # a guess, until a log or a document tells
    found = place._replace(backbone=backbone)._asdict()
    return found | {"phantom": rendered, "rendered": rendered, "named_after": place.backbone}


def _from_record(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    record = read_record(path)
    # where a run lies says what it is compared with; the document has the registry's name ("COVID_19" in covid/)
    given = {key: value for key, value in record.names.items() if key not in ("key", "setting")}
    given |= {key: found[key] for key in ("dataset", "shots", "seed") if found[key] not in ("", None)}
    phantom = record.phantom_backbone
    if phantom is None:
        phantom = given.get("backbone", found["backbone"]) == PHANTOM_BACKBONE
    given |= {"rendered": record.phantom_images, "phantom": record.phantom_images or phantom}
    return given | {key: getattr(record, key) for key in ("metrics", "seconds", "hashes", "versions")}


def _finite(metrics: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {name: value for name, value in metrics if abs(value) <= LARGEST and len(name) <= LONGEST}


def _holds_run(folder: Path) -> bool:
    try:
        return any(is_run_file(path.name) for path in folder.iterdir())
    except OSError:
        return False


def _subfolders(directory: Path) -> list[Path]:
    try:
        return sorted((p for p in directory.iterdir() if p.is_dir() and not p.name.startswith(".")), key=natural)
    except OSError:
        return []
