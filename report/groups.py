"""Which runs may be averaged with each other: those of one backbone, on real images or on phantoms."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dassl.names import OWN_FOLDER, file_name
from report import ablation
from report.collect import PLACE, Run

MOST_NAMED = 50  # folders that cannot be read, each on a line
SETTING_FOLDER = re.compile(r"nctx\d+_csc(True|False)_ctp\w+$")


@dataclass(frozen=True)
class Group:
    """Runs of one backbone on one kind of images (`rendered`: phantoms); `phantom`: images or backbone are."""

    backbone: str
    rendered: bool
    phantom: bool
    runs: tuple[Run, ...]

    @property
    def title(self) -> str:
        images = "phantom images" if self.rendered else "real images"
        return f"{self.backbone} on {images}" + (" (phantom)" if self.phantom else "")

    @property
    def folder(self) -> str:
        return file_name(self.backbone) + ("_phantom_images" if self.rendered else "")

    @property
    def source(self) -> str:
        """What the column "source" says of figures that come from these runs."""
        return "here (phantom)" if self.phantom else "here"

    def few_shot(self) -> list[Run]:
        return [run for run in self.runs if run.subsample == "all" and ablation.terms(run) == ablation.FULL]

    def base2new(self, subsample: str) -> list[Run]:
        """Runs of the full methods tested on the base or the novel classes: `subsample` is "base" or "new"."""
        return [run for run in self.runs if run.subsample == subsample and ablation.terms(run) == ablation.FULL]

    def ablated(self) -> list[Run]:
        """Runs of vMFCoOp with at least one term switched off."""
        return [run for run in self.runs if ablation.terms(run) not in (ablation.FULL, None)]


def usable(runs: Iterable[Run], setting: str) -> tuple[list[Run], list[str]]:
    """Runs that a table has a place for, finished or not, and sentences on those that it has not."""
    kept, unread, unknown, other, unrecorded = [], [], [], [], []
    for run in runs:
        folder = run.path.parent.name
        if run.finished and (problem := ablation.problem(run)):
            run = replace(run, problem=problem)
        nameless = not (run.dataset and run.trainer and run.backbone) or None in (run.shots, run.seed)
        if nameless and not run.finished:
            unread.append(run.problem)
        elif nameless:
            unknown.append(run)
        elif SETTING_FOLDER.match(folder) and folder != setting:
            other.append(run)
        elif ablation.terms(run) is None:
            unrecorded.append(run)
        else:
            kept.append(run)
    reasons = [
        (unknown, "neither path nor metrics.json says data set, method, backbone, shots and seed"),
        (other, f"their settings are not {setting} (--setting names others)"),
        (unrecorded, "an ablation without config.yaml: which terms it had is not recorded"),
    ]
    remarks = [f"{len(left)} run(s) left out, such as {left[0].path}: {why}." for left, why in reasons if left]
    more = [f"{len(unread) - MOST_NAMED} more folders could not be read."] if len(unread) > MOST_NAMED else []
    return kept, remarks + unread[:MOST_NAMED] + more


def split(runs: Iterable[Run]) -> list[Group]:
    """Groups in the order of their names, real images first."""
    groups: dict[tuple[bool, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.rendered, _key(run)), []).append(run)
    return [
        Group(_full_name(each), rendered, any(run.phantom for run in each), tuple(each))
        for (rendered, _), each in sorted(groups.items())
    ]


def _key(run: Run) -> str:
    """What stands for a backbone: its name, and where it lay in a folder, that folder as the run's path has it."""
    return run.named_after if run.named_after and run.backbone.startswith(OWN_FOLDER) else file_name(run.backbone)


def _full_name(runs: list[Run]) -> str:
    """The backbone as it was asked for: a path knows only the folder name of `hf-hub:org/model`."""
    names = [run.backbone for run in runs if run.backbone != PLACE] or [PLACE]
    return next((name for name in names if name != file_name(name)), names[0])
