"""Settings files below configs/ that a run passes over although their names are those of its method or data set."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from dassl.console import printable
from dassl.errors import UserError
from datasets.catalogue import find_facts, names
from runs.methods import METHODS, PUBLISHED, ROOT, short_name
from runs.spec import SETTINGS, RunSpec

SUFFIXES = (".yaml", ".yml")
TUNED = "tuned"  # of a method: files that are named when they are wanted
MISSPELT = 0.9  # from 0 to 1, of a folder's name and a method's
ALIKE = 0.75  # from 0 to 1, of a file's name and a data set's


def shown(path: Path) -> str:
    """Return a path as seen from the repository, if it lies in there."""
    return printable(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))


def files_line(trainer: str, files: Sequence[Path]) -> str:
    """Return the line of a log that lists the merged files, and says where a method has none.

    >>> files_line("CoOp", [ROOT / "configs/common.yaml", ROOT / "configs/trainers/CoOp/few_shot.yaml"])
    'Settings from configs/common.yaml, configs/trainers/CoOp/few_shot.yaml'
    >>> files_line("Mine", [ROOT / "configs/common.yaml"])
    'Settings from configs/common.yaml; none of the method in configs/trainers/Mine/'
    """
    line = f"Settings from {', '.join(map(shown, files)) or 'no file'}"
    own = any(path.parent.name == trainer and path.parent.parent.name == "trainers" for path in files)
    return line if own or not trainer else f"{line}; none of the method in configs/trainers/{printable(trainer)}/"


def check_read(configs: Path, spec: RunSpec, files: Sequence[Path], named: Iterable[Path]) -> None:
    """Raise a UserError if a file of this run's method, data set or shots is not read.

    Files of other methods and data sets are passed over, and so are those in the folder of one that is named.

    Args:
        configs: the folder configs/.
        spec: the run.
        files: that are merged.
        named: those of them that `--config-file` and `--dataset-config-file` name.
    """
    exempt = {path.resolve().parent for path in named}
    for path, place in stray(configs, spec):
        if path not in files and path.resolve().parent not in exempt:
            raise UserError(
                f"Expected settings in {shown(configs / place)}, but got {shown(path)}, which no run reads (this one "
                f"reads {', '.join(map(shown, files)) or 'none'}): rename it, or name it by --config-file."
            )


def stray(configs: Path, spec: RunSpec) -> Iterator[tuple[Path, str]]:
    """Yield the files of this run that are in no place where any run looks, each with the place that is meant."""
    if spec.trainer:
        yield from _of_method(configs, spec.trainer, spec.setting)
    if spec.dataset:
        for path in (*_yaml(configs), *_yaml(configs / "datasets")):
            if (path.parent == configs or path.name != f"{spec.dataset}.yaml") and _is_of(path.stem, spec.dataset):
                yield path, f"datasets/{spec.dataset}.yaml"
    for path in _yaml(configs / "shots"):
        if not re.fullmatch(r"[1-9]\d*\.yaml", path.name):
            yield path, f"shots/{spec.shots or 16}.yaml"
    for path in _yaml(configs):
        if path.stem.lower() == "common" and path.name != "common.yaml":
            yield path, "common.yaml"
        elif path.stem in (*SETTINGS, PUBLISHED):
            yield path, f"trainers/{spec.trainer or '<method>'}/{path.stem}.yaml"


def _of_method(configs: Path, trainer: str, setting: str) -> Iterator[tuple[Path, str]]:
    mine = {_letters(trainer), _letters(short_name(trainer))}
    place = f"trainers/{trainer}/{setting}.yaml"
    for path in (*_yaml(configs), *_yaml(configs / "trainers")):
        if _letters(path.stem) in mine:
            yield path, place
    for path in _yaml(configs / "datasets"):
        if _letters(path.stem) in mine:
            yield path, place
    for folder in (*sorted(configs.glob("*/")), *sorted((configs / "trainers").glob("*/"))):
        known = folder.parent.name == "trainers" and folder.name in METHODS.values()
        if not known and folder.name != trainer and get_close_matches(_letters(folder.name), mine, cutoff=MISSPELT):
            yield from ((path, place) for path in _yaml(folder))
    folder = configs / "trainers" / trainer
    for path in _yaml(folder):
        if path.suffix != ".yaml" or path.stem not in (*SETTINGS, PUBLISHED):
            yield path, place
    for inner in sorted(folder.glob("*/")):
        for path in _yaml(inner) if inner.name != TUNED else ():
            with_file = inner.name == SETTINGS[0] or inner.with_suffix(".yaml").is_file()
            if inner.name in SETTINGS and not with_file:
                yield path, f"trainers/{trainer}/{SETTINGS[0]}/{path.stem}.yaml"
            elif inner.name not in SETTINGS or path.suffix != ".yaml" or path.stem not in names():
                yield path, f"trainers/{trainer}/{setting}/<data set>.yaml"


def _yaml(folder: Path) -> list[Path]:
    """Return the yaml files in a folder; hidden ones are left out."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_of(stem: str, dataset: str) -> bool:
    """Return whether a file's name is meant to be a data set's: its key, its class, or a key that is like no other."""
    if stem in names():
        return stem == dataset
    word = stem.lower()
    meant = {dataset, find_facts(dataset).name.lower()} if dataset in names() else {dataset}
    first = re.split(r"[-_. ]", word)[0]
    return word in meant or first == dataset or get_close_matches(word, names(), 1, ALIKE) == [dataset]
