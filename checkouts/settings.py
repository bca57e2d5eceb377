"""The settings with which a checkout runs one of its trainers: those that its own scripts name."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from yacs.config import CfgNode

from checkouts.scripts import VARIABLE, Call, read_calls, solve
from dassl.config import merge_file, merge_pairs
from dassl.errors import UserError
from dassl.reading import MB, read_text

SHOTS, CLASSES = "DATASET.NUM_SHOTS", "DATASET.SUBSAMPLE_CLASSES"  # each run has its own
TRAINED_ON = {"few_shot": "all", "base2new": "base"}  # setting -> classes that a script trains on
FOLDERS = {
    "few_shot": ("few_shot",),
    "base2new": ("base2new", "base_to_novel"),
}  # setting -> names in configs/trainers/
NEEDED = ("OPTIM.LR", "OPTIM.MAX_EPOCH", "DATALOADER.TRAIN_X.BATCH_SIZE")  # who gives them has chosen settings
# Flags of a script's call that are read here, or that each run has of its own.
FLAGS = {"--trainer", "--config-file", "--dataset-config-file", "--eval-only", "--root", "--seed", "--output-dir"}
FLAGS |= {"--resume", "--model-dir", "--load-epoch", "--no-train"}


@dataclass(frozen=True)
class Settings:
    """What a checkout merges into Dassl's defaults before it runs a trainer, as far as its files tell.

    Attributes:
        trainer: its name.
        folder: of the checkout.
        script: path in the checkout of the script that names them; "" if none does.
        files: yaml files in the order of merging: of the data set, then of the trainer.
        options: KEY VALUE pairs, merged after the files.
        open: keys of further pairs, whose values the script takes from elsewhere.
        left_out: words of the script's call that have no effect here.
        problem: why no settings were found; "" if they were.
    """

    trainer: str
    folder: Path
    script: str = ""
    files: tuple[Path, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    open: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"Settings of {self.trainer}: defaults and what this command names alone, because {self.problem}"
        source = f"as {self.script} has them" if self.script else "which no script names"
        words = [str(file.relative_to(self.folder)) for file in self.files] or ["no yaml"]
        words += [f"{key} {value}" for key, value in self.options]
        line = f"Settings of {self.trainer}, {source}: {', '.join(words)}"
        if self.open:
            line += f"; it takes from elsewhere: {', '.join(self.open)}"
        return line + (f"; not taken over: {', '.join(self.left_out)}" if self.left_out else "")

    def merge_into(self, cfg: CfgNode) -> None:
        """Merge the files and then the pairs into `cfg`; raises as `dassl.config.merge_file`."""
        for file in self.files:
            merge_file(cfg, file)
        merge_pairs(cfg, [word for pair in self.options for word in pair], str(self.folder / self.script))
        cfg.DATASET.NAME = cfg.DATASET.ROOT = cfg.RESUME = ""  # data and runs are ours
        if cfg.MODEL.INIT_WEIGHTS:  # relative to the checkout; the user's are relative to where the command is given
            cfg.MODEL.INIT_WEIGHTS = str(self.folder / cfg.MODEL.INIT_WEIGHTS)

    def check(self, given: Collection[str]) -> None:
        """Check that no setting on which training depends is left to Dassl's defaults.

        Args:
            given: keys of settings that the user gives.

        Raises:
            UserError: no settings were found, or a pair has no value, and the user does not give them.
        """
        needed = [key for key in (*(NEEDED if self.problem else ()), *self.open) if key not in given]
        if needed:
            reason = self.problem or f"{self.script} takes {', '.join(self.open)} from elsewhere"
            raise UserError(
                f"Expected the settings of {self.trainer} in {self.folder}, but {reason}: give its yaml by "
                f"--config-file, or {', '.join(needed)} at the end of the command line."
            )


def find_settings(folder: Path, trainer: str, setting: str, dataset: str = "", shots: int | None = None) -> Settings:
    """Return the settings of a trainer of the checkout in `folder`.

    They are those of the script that trains it in this setting or, if none trains it, tests it. Of a trainer that no
    script runs they are `configs/trainers/<method>/<setting>.yaml` and then `.../<setting>/<dataset>.yaml`, where the
    method is its name with or without what follows the first "_".

    Args:
        folder: an absolute path without links.
        trainer: its name.
        setting: "few_shot" or "base2new".
        dataset: key of the data set; "" if it has none.
        shots: training images per class, if they are given.

    Raises:
        UserError: a script cannot be read, or one that runs the trainer names a file outside the checkout.
    """
    calls = list(_calls(folder, trainer, setting, dataset, shots))
    if not calls:
        return _by_convention(folder, trainer, setting, dataset)
    calls = [each for each in calls if "--eval-only" not in each[1].flags] or calls
    most = max(own for _, _, own in calls)
    found = [_of_call(folder, trainer, script, call) for script, call, own in calls if own == most]
    good = [each for each in found if not each.problem]
    if len({(each.files, each.options, each.open) for each in good}) > 1:
        scripts = " and ".join(dict.fromkeys(each.script for each in good))
        return Settings(trainer, folder, problem=f"it is run in several ways by {scripts}")
    return (good or found)[0]


def _calls(
    folder: Path, trainer: str, setting: str, dataset: str, shots: int | None
) -> Iterator[tuple[str, Call, int]]:
    """Yield the path of a script, its call that runs the trainer, and how many letters of the name the script has."""
    for path in sorted(folder.glob("scripts/**/*.sh")):
        for call in read_calls(read_text(path, MB, strict=False)):
            name, options = call.flags.get("--trainer", ""), dict(call.options)
            wanted = {name: trainer}
            if dataset and (file := call.flags.get("--dataset-config-file")):
                wanted[PurePosixPath(file).stem] = dataset
            if setting != "few_shot" or CLASSES in options:
                wanted[options.get(CLASSES, "")] = TRAINED_ON[setting]
            values = solve(wanted)
            if values is not None:
                if shots:  # a script that fixes another number is right too: each run has its own
                    values = solve(wanted | {options.get(SHOTS, ""): str(shots)}) or values
                yield str(path.relative_to(folder)), call.with_values(values), len(VARIABLE.sub("", name))


def _of_call(folder: Path, trainer: str, script: str, call: Call) -> Settings:
    """Return the settings that a call in a script names."""
    file, dataset_file = call.flags.get("--config-file", ""), call.flags.get("--dataset-config-file", "")
    if "$" in file:
        return Settings(trainer, folder, problem=f"{script} takes a part of {file} from elsewhere")
    path = _inside(folder, file, script)
    if file and not path.is_file():
        return Settings(trainer, folder, problem=f"{file}, which {script} names, is not there")
    files = [path] if file else []
    if dataset_file and "$" not in dataset_file and (path := _inside(folder, dataset_file, script)).is_file():
        files.insert(0, path)
    options = [pair for pair in call.options if pair[0] not in (SHOTS, CLASSES)]
    others = [f"{flag} {value}".strip() for flag, value in call.flags.items() if flag not in FLAGS]
    return Settings(
        trainer,
        folder,
        script,
        tuple(files),
        tuple(pair for pair in options if "$" not in pair[1]),
        tuple(key for key, value in options if "$" in value),
        (*others, *call.others),
    )


def _inside(folder: Path, name: str, script: str) -> Path:
    """Return the path of a file that a script names; raise a UserError if it lies outside the checkout."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise UserError(
            f"Expected {folder / script} to name files inside its checkout, but it names {name}: correct the script."
        )
    return path


def _by_convention(folder: Path, trainer: str, setting: str, dataset: str) -> Settings:
    """Return the settings in configs/trainers/ that are named as ours are."""
    names = [f"{name}/{part}" for name in (trainer.partition("_")[0], trainer) for part in FOLDERS[setting]]
    paths = [f"configs/trainers/{name}{end}" for name in names for end in (".yaml", f"/{dataset}.yaml")]
    files = tuple(path for name in dict.fromkeys(paths) if (path := _inside(folder, name, "configs")).is_file())
    problem = "" if files else f"no script in scripts/ runs it, and there is none of {', '.join(dict.fromkeys(paths))}"
    return Settings(trainer, folder, files=files, problem=problem)
