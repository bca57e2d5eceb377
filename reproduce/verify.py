"""Compare zero-shot BiomedCLIP with the zero-shot row of the paper's Table 3: the first thing to do with real data.

    python -m datasets.download btmri ctkidney --root data
    python -m reproduce verify --root data

"a photo of a {}." with each class name, on the base and on the novel classes of whichever of the public data sets are
there. Nothing is trained or drawn by chance: a copy of the weights and images that the paper used gives its figures, to
half a point. Where a row differs, what to look at is said below the table. The status is 0 if all rows agree, 1 if one
differs or a run failed, and 2 if nothing can be verified: no data set is there, or phantoms are. KEY VALUE pairs at the
end go to all runs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from clip.build import source_of
from clip.families import known_models
from dassl.console import printable
from dassl.errors import UserError, command
from datasets.catalogue import find_class, find_facts
from grid.plan import parts
from report import paper
from report.render import GAP, render
from reproduce.advice import advice
from runs.config import configure
from runs.methods import ZERO_SHOT
from runs.options import split_options
from runs.outcome import Outcome
from runs.record import Record
from runs.run import perform
from runs.spec import PHANTOMS, RunSpec, default_backbone, pairs
from trainers.base.backbones import shared_backbone

BACKBONE, ROW = "BiomedCLIP", paper.TABLE3["methods"].index(ZERO_SHOT)
TOLERANCE = 0.5  # points
SIDES = {"base": "base", "new": "novel"}  # SUBSAMPLE_CLASSES -> in Table 3
AGREES, DIFFERS, FAILED, PHANTOM = "agrees", "differs", "failed", "phantom"


class Row(NamedTuple):
    """One side of a data set: the run on its base or its novel classes.

    Attributes:
        dataset: key of the data set.
        side: "base" or "novel".
        outcome: of the run.
        record: what it left; None if it failed.
    """

    dataset: str
    side: str
    outcome: Outcome
    record: Record | None

    @property
    def expected(self) -> float:
        """The paper's accuracy in percent."""
        return paper.TABLE3["rows"][self.dataset][self.side][ROW]

    @property
    def found(self) -> float | None:
        """Ours, None without a result."""
        return self.record.metrics.get("accuracy") if self.record else None

    @property
    def verdict(self) -> str:
        """AGREES or DIFFERS; FAILED without a result; PHANTOM if images or backbone are no real ones."""
        if self.record is None or self.found is None:
            return FAILED
        if self.record.phantom_images or self.record.phantom_backbone:
            return PHANTOM
        return AGREES if abs(round(self.found - self.expected, 2)) <= TOLERANCE else DIFFERS

    @property
    def cells(self) -> list[str]:
        """Data set, side, expected, found, difference and verdict."""
        found, known = self.found, self.verdict in (AGREES, DIFFERS)
        return [
            self.dataset,
            self.side,
            f"{self.expected:.2f}",
            GAP if found is None else f"{found:.2f}",
            f"{found - self.expected:+.2f}" if found is not None and known else GAP,
            self.verdict,
        ]


def public() -> list[str]:
    """Return the keys of the data sets of Table 3 that can be downloaded, in its order."""
    return [key for key in paper.TABLE3["rows"] if find_class(key).archive]


def check_datasets(keys: Sequence[str]) -> list[str]:
    """Return `keys` once each; raise a UserError for one that the paper's figures cannot be compared on."""
    for key in keys:
        if find_facts(key).key not in public():
            why = "is not public: its figures depend on who prepared it" if key in paper.TABLE3["rows"] else "is not"
            raise UserError(f"Expected public data sets of Table 3 ({', '.join(public())}), but {key} {why}.")
    return list(dict.fromkeys(keys))


def check_backbone(name: str) -> None:
    """Raise a UserError for a model that is known and is not BiomedCLIP; print one line on a copy from elsewhere."""
    source_of(name)  # an unknown name is refused
    sources = {short: model.source for short, model in known_models().items()}
    place = name.partition("@")[0]
    if name in (BACKBONE, default_backbone(PHANTOMS)) or place == sources[BACKBONE]:
        return
    if name in sources or place in sources.values():
        raise UserError(
            f"Expected {BACKBONE}, or a copy of it (local-dir:, hf-hub:), because the row is of {BACKBONE}, but got "
            f"{name}: leave --backbone out."
        )
    print(f"{name} is taken for a copy of {BACKBONE}, whose row it is compared with.")


def is_there(key: str, root: str) -> bool:
    """Return whether the folder of a data set lies below `root`; phantoms are rendered where they are missing."""
    return root == PHANTOMS or (Path(root).expanduser() / find_class(key).dataset_dir).is_dir()


def run(dataset: str, template: RunSpec) -> list[Row]:
    """Run zero-shot on the base and on the novel classes of a data set; without the first there is no second."""
    rows = []
    for part in parts(replace(template, dataset=dataset)):
        (outcome,) = perform(part)
        rows.append(Row(dataset, SIDES[part.subsample], outcome, outcome.record if outcome.done else None))
        if not outcome.done:
            break
    return rows


def show(rows: Sequence[Row], backbone: str, root: str) -> None:
    """Print the table, and what follows from it."""
    headers = ["data set", "classes", "expected (%)", "found (%)", "difference", "verdict"]
    print(f"\nZero-shot accuracy of {backbone} against {BACKBONE}'s in the paper's Table 3\n")
    print(render(headers, [row.cells for row in rows]), end="\n\n")
    for row in rows:
        if row.verdict == FAILED:
            print(f"failed: {row.dataset}, {row.side} classes: {printable(row.outcome.reason)}")
    if phantom := list(dict.fromkeys(row.dataset for row in rows if row.verdict == PHANTOM)):
        print(
            f"Nothing can be verified on {' '.join(phantom)}: images or backbone are phantoms, and the paper's are not."
        )
    real = [row for row in rows if row.verdict in (AGREES, DIFFERS)]
    differing = list(dict.fromkeys(row.dataset for row in real if row.verdict == DIFFERS))
    agreeing = sum(row.verdict == AGREES for row in real)
    if real:
        print(f"{agreeing} of {len(real)} rows agree within {TOLERANCE} points.")
    if differing:
        few = "weights and preprocessing, which all rows share, are likely right"
        print(f"Look at, in this order{f' (as others agree, {few})' if agreeing else ''}:")
    for dataset in differing:
        print(f"\n{dataset}:")
        sides = {row.side: (row.outcome, row.record) for row in real if row.dataset == dataset and row.record}
        for number, line in enumerate(advice(dataset, sides, root), 1):
            print(f"  {number}. {printable(line)}")


def status(rows: Sequence[Row], absent: Sequence[str]) -> int:
    """Return 1 if a row differs or failed, 2 if one cannot be verified or an expected set is absent, else 0."""
    verdicts = {row.verdict for row in rows}
    if verdicts & {DIFFERS, FAILED}:
        return 1
    return 2 if absent or verdicts != {AGREES} else 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--root", default="data", help="folder of the data sets (default: data)")
    p.add_argument("--backbone", default="", help=f"{BACKBONE} (default), or a copy of it: local-dir:/path, hf-hub:...")
    p.add_argument("--datasets", nargs="+", help=f"of {', '.join(public())} (default: those that are there)")
    p.add_argument("--output", default="output", help="root of all runs (default: output)")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 if all rows agree, 1 if one differs or failed, 2 if nothing can be verified."""
    flags, words = split_options(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(flags)
    keys, backbone = check_datasets(args.datasets or public()), args.backbone or default_backbone(args.root)
    check_backbone(backbone)
    there = [key for key in keys if is_there(key, args.root)]
    absent = [key for key in keys if key not in there]
    for key in absent:
        print(f"{key} is not in {args.root}: python -m datasets.download {key} --root {args.root}")
    if not there:
        print("Nothing can be verified: no data set is there.")
        return 2
    template = RunSpec(
        trainer=ZERO_SHOT,
        shots=1,  # drawn, as every run does, and not looked at: a set with few images can be verified too
        seeds=(1,),
        root=args.root,
        backbone=backbone,
        setting="base2new",
        output=args.output,
        options=pairs(words),
    )
    shared_backbone(configure(replace(template, dataset=there[0]), 1))  # what is wrong with it is said once
    rows = [row for key in there for row in run(key, template)]
    show(rows, backbone, args.root)
    return status(rows, absent if args.datasets else [])


if __name__ == "__main__":
    sys.exit(main())
