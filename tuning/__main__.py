"""Choose a method's settings on validation images, and write them as config files that train.py reads.

    python -m tuning --trainer vMFCoOp --datasets btmri chmnist --shots 4 --trials 40
    python train.py --trainer vMFCoOp --dataset btmri ... \\
        --config-file output/tuning/vMFCoOp_PhantomCLIP/btmri_shots_4.yaml

The settings lie beside the study that chose them, in a folder of method and backbone below --output, and the last lines
say how to use them. Nothing below configs/ is written, and a study of other settings or data is refused, not replaced.

Each trial trains a few seeds together and scores them on validation images after the last epoch; test images are not
loaded. The default settings are the first trial, so that the chosen ones score no less. A study lies in an SQLite file:
the same command goes on with it, and several at once share the trials. A trial that was killed is done again with its
settings, after a minute; one that was interrupted by Ctrl-C is replaced by another, so that the settings that follow
are not those of a study without interruption. KEY VALUE pairs at the end override any setting, as for train.py; a
setting that they fix is not searched.

The seeds are not those that results are reported for (1, 2, 3, ...): a setting chosen on their draws and first values
would be fitted to the runs that it is judged by.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dassl.errors import command
from dassl.names import check_name, file_name
from runs.changed import value_text
from runs.layout import data_name
from runs.methods import short_name
from runs.options import split_options
from runs.spec import PHANTOMS, RunSpec, default_backbone, pairs
from tuning.outcome import choose_settings, percent, write_outcome
from tuning.plan import Task, default_settings, objective, search
from tuning.space import options as options_of
from tuning.study import Settings, Study

OUTPUT = "output/tuning"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m tuning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--trainer", required=True, help="a method of tuning/space.py, or its folder of scripts/")
    p.add_argument("--datasets", required=True, nargs="+", help="a study for each")
    p.add_argument("--joint", action="store_true", help="one study for all data sets: the mean of their accuracies")
    p.add_argument("--shots", type=int, nargs="+", default=[4], help="images per class; of several, the mean counts")
    p.add_argument("--trials", type=int, default=40, help="in all, failed ones too (default: 40)")
    p.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103], help="default: 101 102 103")
    p.add_argument(
        "--validation",
        choices=("whole", "drawn"),
        default="whole",
        help="score on the whole validation split (default), or on the at most four images per class that a run draws",
    )
    p.add_argument("--root", default="phantoms", help='folder of the data sets, or "phantoms" (default)')
    p.add_argument("--backbone", help="default: PhantomCLIP on phantoms, else BiomedCLIP")
    p.add_argument("--sampler-seed", type=int, default=0, help="of the settings that are drawn (default: 0)")
    p.add_argument("--output", default=OUTPUT, help=f"folder of studies and what they chose (default: {OUTPUT})")
    return p


def parse(argv: Sequence[str]) -> tuple[Task, argparse.Namespace]:
    """Return the runs that a command line describes, and its flags; the first KEY ends the flags."""
    flags, options = split_options(argv)
    args = parser().parse_args(flags)
    for dataset in args.datasets:
        check_name(dataset, "data set", "--datasets")
    backbone = args.backbone or default_backbone(args.root)
    template = RunSpec(args.trainer, root=args.root, backbone=backbone, seeds=tuple(args.seeds), options=pairs(options))
    return Task(template, tuple(args.datasets), tuple(args.shots), args.validation == "whole"), args


def tune(task: Task, trials: int, sampler_seed: int, output: Path) -> None:
    """Do the trials that are missing of one study below `output`, then write what it chose, and how to use it."""
    template, datasets = task.template, task.datasets
    named = "_".join(data_name(dataset, template.root) for dataset in datasets)
    name = file_name(f"{named}_shots_{'_'.join(map(str, task.shots))}")
    file = output / file_name(f"{template.trainer}_{file_name(template.backbone)}") / f"{name}.db"
    study = Study(file, search(task, trials, sampler_seed), output)
    print(f"Tuning {template.trainer} on {', '.join(datasets)}: {len(study.trials())} of {trials} trials are in {file}")
    study.run(objective(task), lambda trial: print(trial_line(study, trial), flush=True))
    if others := study.running():
        print(
            f"Without {others} trials that other processes are at: the same command counts them when they have ended."
        )
    chosen = choose_settings(study, {dataset: default_settings(task, dataset) for dataset in datasets})
    print(f"Validation accuracy {percent(chosen.accuracy)}, of the default settings {percent(chosen.default)}")
    files, tables = write_outcome(study, chosen)
    for path in (*files.values(), *tables):
        print(f"Written: {path}")
    for dataset, path in files.items():
        print(f"To use it: {use_line(task, dataset, chosen.settings[dataset])}")
        given = "".join(f" {shlex.quote(str(word))}" for word in task.template.words)
        print(f"       or: train.py ... --config-file {path}{given}")


def use_line(task: Task, dataset: str, settings: Settings) -> str:
    """Return the shell line that runs a method with settings that were chosen for a data set.

    >>> task = Task(RunSpec("vMFCoOp", root="phantoms", backbone="PhantomCLIP"), ("btmri",), (1, 4))
    >>> use_line(task, "btmri", {"TAU_0": 2.0})
    "OPTS='TRAINER.VMFCOOP.TAU_0 2' bash scripts/vmfcoop/few_shot.sh btmri '1 4' PhantomCLIP"
    """
    template = task.template
    words = [shlex.quote(str(word)) for word in template.words]
    words += [f"{key} {value_text(value)}" for key, value in options_of(template.trainer, settings)]
    data = "" if template.root == PHANTOMS else f"DATA={shlex.quote(template.root)} "
    shots = shlex.quote(" ".join(map(str, task.shots)))
    script = f"bash scripts/{short_name(template.trainer)}/few_shot.sh"
    return f"{data}OPTS={shlex.quote(' '.join(words))} {script} {dataset} {shots} {shlex.quote(template.backbone)}"


def trial_line(study: Study, trial: Any) -> str:
    """Return a line about a trial that ended."""
    place = f"trial {trial.number + 1}, {len(study.trials())} of {study.search.trials} done"
    if trial.value is None:
        return f"{place}: failed: {study.error(trial)}"
    about, best = study.about(trial), study.best()
    words = " ".join(f"{name} {value:g}" for name, value in about.settings.items())
    return (
        f"{place}: {trial.value:.2f} % in {about.seconds:.0f} s with {words} "
        f"(best: {best.value:.2f} %, trial {best.number + 1})"
    )


@command
def main(argv: Sequence[str] | None = None) -> int:
    task, args = parse(sys.argv[1:] if argv is None else argv)
    for datasets in [task.datasets] if args.joint else [(dataset,) for dataset in task.datasets]:
        tune(replace(task, datasets=datasets), args.trials, args.sampler_seed, Path(args.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
