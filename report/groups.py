"""Group the runs that may be averaged: those of one backbone, on real images or on phantoms, of the same data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from dassl.errors import UserError
from dassl.names import OWN_FOLDER, file_name
from dassl.reading import read_yaml
from report.collect import PLACE, FoundRun
from report.tables.ablation import FULL, problem_of, terms_of
from runs.changed import equal, in_words, passes_over, value_text, yaml_keys
from runs.layout import of_earlier_settings, of_own_images
from runs.methods import CONFIGS, METHODS, SEEDLESS
from runs.record import DIGESTS, LEARNED_WITH

MOST_NAMED = 50  # folders that cannot be read, each on a line


@dataclass(frozen=True)
class Group:
    """Runs of one backbone on one kind of images.

    Attributes:
        backbone: its name as it was asked for.
        phantom_images: the images are rendered.
        phantom: the images are rendered, or the backbone was trained on such images.
        runs: finished or not.
        common: settings that all runs share, and that are not those of the yaml files, by key.
    """

    backbone: str
    phantom_images: bool
    phantom: bool
    runs: tuple[FoundRun, ...]
    common: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> str:
        """The settings that all runs share, and that are not those of the yaml files, in words."""
        return in_words(self.common)

    @property
    def title(self) -> str:
        """Backbone, kind of images, and what was changed in all runs, in words."""
        images = "phantom" if self.phantom_images else "real"
        mark = " (phantom)" if self.phantom and not self.phantom_images else ""
        changed = f", all with {self.changed}" if self.changed else ""
        return f"{self.backbone} on {images} images{mark}{changed}"

    @property
    def folder(self) -> str:
        """Name of a folder for its tables and pictures."""
        return file_name(self.backbone) + ("_phantom_images" if self.phantom_images else "")

    @property
    def source(self) -> str:
        """The words of the column "source" for figures of these runs."""
        return "here (phantom)" if self.phantom else "here"

    def few_shot(self) -> list[FoundRun]:
        """Return the few-shot runs of the full methods."""
        return [run for run in self.runs if run.subsample == "all" and terms_of(run) == FULL]

    def base2new(self, subsample: str) -> list[FoundRun]:
        """Return the runs of the full methods tested on the base or the novel classes: "base" or "new"."""
        return [run for run in self.runs if run.subsample == subsample and terms_of(run) == FULL]

    def ablated(self) -> list[FoundRun]:
        """Return the runs of vMFCoOp with at least one term switched off."""
        return [run for run in self.runs if terms_of(run) not in (FULL, None)]


def usable(runs: Iterable[FoundRun], setting: str) -> tuple[list[FoundRun], list[str]]:
    """Return the runs that a table has a place for, finished or not, and sentences on those that it has not.

    Args:
        runs: all that were found.
        setting: name of the folder between method and seeds, or the part before protocol and LLM; "" for all.
    """
    kept, unread = [], []
    reasons: dict[str, list[FoundRun]] = {
        "neither path nor metrics.json says data set, method, backbone, shots and seed": (nameless := []),
        f"their settings are not {setting} (--setting names others)": (other := []),
        "an ablation without config.yaml: which terms it had is not recorded": (unrecorded := []),
        "an earlier version kept other numbers of sentences there, and did not record them": (counted := []),
        "settings of base to novel, but tested on all classes: no table is of such runs": (mixed := []),
    }
    for run in runs:
        if run.finished and (problem := problem_of(run)):
            run = replace(run, problem=problem)
        if not (run.dataset and run.trainer and run.backbone) or None in (run.shots, run.seed):
            if run.finished:
                nameless.append(run)
            else:
                unread.append(run.problem)
        elif run.context and setting and setting not in (run.context, run.path.parent.name):
            other.append(run)
        elif of_earlier_settings(run.path).startswith("prompts"):
            counted.append(run)
        elif terms_of(run) is None:
            unrecorded.append(run)
        elif (run.setting, run.subsample) == ("base2new", "all"):
            mixed.append(run)
        else:
            kept.append(run)
    remarks = [f"{len(left)} run(s) left out, such as {left[0].path}: {why}." for why, left in reasons.items() if left]
    loaded = [run for run in kept if run.subsample == "all" and run.record.hashes.get(LEARNED_WITH)]
    if loaded := [run for run in loaded if run.record.hashes[LEARNED_WITH] != run.record.hashes.get("config")]:
        remarks.append(
            f"{len(loaded)} run(s), such as {loaded[0].path}, tested what a run of another method or of other settings "
            "had learned (--model-dir), which their rows do not say."
        )
    if older := [run for run in kept if run.record.hashes and run.record.settings is None]:
        remarks.append(
            f"{len(older)} run(s) of an earlier version, such as {older[0].path}, do not say which of their settings "
            "were changed: they count as runs with those of the yaml files."
        )
    more = [f"{len(unread) - MOST_NAMED} more folders could not be read."] if len(unread) > MOST_NAMED else []
    return kept, remarks + unread[:MOST_NAMED] + more


def group_runs(runs: Iterable[FoundRun]) -> list[Group]:
    """Return the groups of runs in the order of their names, real images first."""
    runs = list(runs)
    groups: dict[tuple[bool, str], list[FoundRun]] = {}
    for run, key in zip(runs, _backbone_keys(runs), strict=True):
        groups.setdefault((run.phantom_images, key), []).append(run)
    found = []
    for (phantom_images, _), each in sorted(groups.items()):
        common = common_changes(each)
        rows = [replace(run, told=_told(run, common)) for run in tell_llms_apart(each)]
        phantom = any(run.phantom for run in each)
        found.append(Group(_full_name(each), phantom_images, phantom, tuple(rows), common))
    names = Counter((group.backbone, group.phantom_images) for group in found)
    alike = {name for name, count in names.items() if count > 1}
    return [
        replace(each, backbone=each.backbone + _files_of(each))
        if (each.backbone, each.phantom_images) in alike
        else each
        for each in found
    ]


def _told(run: FoundRun, common: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of the common settings that a run shares; an unfinished one may have other values."""
    return frozenset(key for key, value in common.items() if equal(run.changed.get(key, value), value))


def common_changes(runs: Iterable[FoundRun]) -> dict[str, Any]:
    """Return the changed settings that all runs share, by key, but those of a method, which its row names.

    A run whose method passes over a setting does not count.
    """
    finished = [run for run in runs if run.finished]
    pairs = {key: value for run in finished for key, value in run.changed.items() if not key.startswith("TRAINER.")}

    def shares(run: FoundRun, key: str, value: Any) -> bool:
        if key in run.changed:
            return run.changed[key] == value
        settings = run.record.settings
        return settings is not None and (key not in settings or passes_over(key, settings))

    return {key: value for key, value in pairs.items() if all(shares(run, key, value) for run in finished)}


def tell_llms_apart(runs: Iterable[FoundRun]) -> list[FoundRun]:
    """Return runs whose rows name the LLM if the sentences of several were read by one method.

    Sentences that lie beside a user's own images are no choice of an LLM, and do not count.
    """
    runs = list(runs)
    llms: dict[str, set[str]] = {}
    for run in runs:
        if not of_own_images(run.dataset):
            llms.setdefault(run.trainer, set()).add(run.llm)
    return [replace(run, several_llms=len(llms.get(run.trainer, ())) > 1) for run in runs]


def mixed_settings(runs: Iterable[FoundRun]) -> list[str]:
    """Return a sentence on each row whose runs differ in a setting that the row does not name.

    That is where a yaml file below configs/ was edited between two runs, or gives one data set or number of shots
    another training. Settings of the method itself may differ from data set to data set, as BiomedCoOp's weights do.
    Runs of another code base have yaml files of their own.
    """
    found: dict[tuple[str, str, str, str], dict[str, str]] = {}  # row, protocol, key, data set -> value -> a run's path
    for run in runs:
        if run.finished and run.record.settings is not None and run.trainer in METHODS.values():
            varying = _varying(run.trainer, run.setting)
            for key, value in run.settings.items():
                place = run.row, run.setting, key, run.dataset if key in varying else ""
                found.setdefault(place, {}).setdefault(value_text(value), str(run.path))
    return [
        f"Runs of {row} ({', '.join(filter(None, [setting, dataset]))}) differ in {key}, as the yaml files were when "
        f"they were made: {', '.join(f'{value} ({path})' for value, path in values.items())}"
        for (row, setting, key, dataset), values in found.items()
        if len(values) > 1
    ]


@cache
def _varying(trainer: str, setting: str) -> frozenset[str]:
    """Return the settings of a method that yaml files set for one data set or one number of shots."""
    folders = [CONFIGS / "shots", CONFIGS / "datasets", CONFIGS / "trainers" / trainer / setting]
    keys = {key for folder in folders for file in folder.glob("*.yaml") for key in yaml_keys(read_yaml(file))}
    return frozenset(key for key in keys if key.startswith("TRAINER."))


def _backbone_keys(runs: Sequence[FoundRun]) -> list[str]:
    """Return a key of the backbone of each run: its name, or for one in a folder the digest of its files.

    An unfinished run has the digest of those whose folders name the backbone as its own does.
    """
    digests: dict[str, str] = {}
    for run in runs:
        if run.backbone.startswith(OWN_FOLDER) and (digest := run.record.hashes.get("backbone_files")):
            digests.setdefault(run.backbone_folder, digest)

    def key(run: FoundRun) -> str:
        if not run.backbone.startswith(OWN_FOLDER):
            return file_name(run.backbone)
        folder = run.backbone_folder or file_name(run.backbone)
        return run.record.hashes.get("backbone_files") or digests.get(run.backbone_folder) or folder

    return [key(run) for run in runs]


def _files_of(group: Group) -> str:
    """Return what tells a backbone in a folder from another one of the same name, as far as it is recorded."""
    digest = next((found for run in group.runs if (found := run.record.hashes.get("backbone_files"))), "")
    return f" (files {digest[:8]})" if digest else ""


def _full_name(runs: list[FoundRun]) -> str:
    """Return the backbone as it was asked for: a path knows only the folder name of `hf-hub:org/model`."""
    names = [run.backbone for run in runs if run.backbone != PLACE] or [PLACE]
    return next((name for name in names if name != file_name(name)), names[0])


def check_same_data(runs: Iterable[FoundRun]) -> None:
    """Check that runs that stand for one data set were made of the same one.

    Those of one data set, backbone and choice of classes must have been tested on the same images with the same
    backbone; and those of one number of shots and one seed must have learned from the same images. Seeds of one
    experiment must have the same settings and sentences, and novel classes the tensors learned on the base classes.
    Runs without digests, such as those of other code bases, are not checked.

    Raises:
        UserError: two runs have different ones; names both.
    """
    known: dict[tuple, FoundRun] = {}
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
            if not (run.finished and key and run.record.hashes.get(what)):
                continue
            other = known.setdefault((what, *key), run)
            if other.record.hashes[what] != run.record.hashes[what]:
                raise UserError(
                    f"Expected runs with the same {DIGESTS[what]}, but {other.path} and {run.path} have different "
                    "ones: compare them in separate --output folders, or remove the one that is out of date."
                )
