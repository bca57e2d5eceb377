"""Group the runs that may be averaged: those of one backbone, on real images or on phantoms, of the same data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from dassl.errors import UserError
from dassl.names import OWN_FOLDER, file_name
from report.ablation_table import FULL, problem_of, terms_of
from report.collect import PLACE, FoundRun
from runs.layout import in_prompts_folder, own_datasets
from runs.methods import SEEDLESS
from runs.record import DIGESTS

MOST_NAMED = 50  # folders that cannot be read, each on a line


@dataclass(frozen=True)
class Group:
    """Runs of one backbone on one kind of images.

    Attributes:
        backbone: its name as it was asked for.
        phantom_images: the images are rendered.
        phantom: the images are rendered, or the backbone was trained on such images.
        runs: finished or not.
    """

    backbone: str
    phantom_images: bool
    phantom: bool
    runs: tuple[FoundRun, ...]

    @property
    def title(self) -> str:
        """Backbone and kind of images in words."""
        if self.phantom_images:
            return f"{self.backbone} on phantom images"
        return f"{self.backbone} on real images" + (" (phantom)" if self.phantom else "")

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
        setting: name of the folder between method and seeds, or the part before protocol and LLM.
    """
    kept, unread = [], []
    reasons: dict[str, list[FoundRun]] = {
        "neither path nor metrics.json says data set, method, backbone, shots and seed": (nameless := []),
        f"their settings are not {setting} (--setting names others)": (other := []),
        "an ablation without config.yaml: which terms it had is not recorded": (unrecorded := []),
        "other numbers of sentences: python -m reproduce prompts shows them": (counted := []),
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
        elif run.context and setting not in (run.context, run.path.parent.name):
            other.append(run)
        elif in_prompts_folder(run.path):
            counted.append(run)
        elif terms_of(run) is None:
            unrecorded.append(run)
        elif (run.setting, run.subsample) == ("base2new", "all"):
            mixed.append(run)
        else:
            kept.append(run)
    remarks = [f"{len(left)} run(s) left out, such as {left[0].path}: {why}." for why, left in reasons.items() if left]
    more = [f"{len(unread) - MOST_NAMED} more folders could not be read."] if len(unread) > MOST_NAMED else []
    return kept, remarks + unread[:MOST_NAMED] + more


def group_runs(runs: Iterable[FoundRun]) -> list[Group]:
    """Return the groups of runs in the order of their names, real images first."""
    groups: dict[tuple[bool, str], list[FoundRun]] = {}
    for run in runs:
        groups.setdefault((run.phantom_images, _backbone_key(run)), []).append(run)
    return [
        Group(_full_name(each), phantom_images, any(run.phantom for run in each), tuple(tell_llms_apart(each)))
        for (phantom_images, _), each in sorted(groups.items())
    ]


def tell_llms_apart(runs: Iterable[FoundRun]) -> list[FoundRun]:
    """Return runs whose rows name the LLM if the sentences of several were read by one method.

    Sentences that lie beside a user's own images are no choice of an LLM, and do not count.
    """
    runs, own = list(runs), tuple(f"{name}-" for name in own_datasets())
    llms: dict[str, set[str]] = {}
    for run in runs:
        if not run.dataset.startswith(own):
            llms.setdefault(run.trainer, set()).add(run.llm)
    return [replace(run, several_llms=len(llms.get(run.trainer, ())) > 1) for run in runs]


def _backbone_key(run: FoundRun) -> str:
    """Return a key of a backbone: its name, or for one in a folder, the name of that folder in the run's path."""
    in_folder = run.backbone_folder and run.backbone.startswith(OWN_FOLDER)
    return run.backbone_folder if in_folder else file_name(run.backbone)


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
