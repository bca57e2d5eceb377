"""The specification of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dassl.config.words import pairs_of
from dassl.errors import UserError
from runs.methods import check_protocol, split_protocol, trainer_name

SETTINGS = ("few_shot", "base2new")
PHANTOMS = "phantoms"  # the root that stands for the rendered data sets


@dataclass(frozen=True)
class RunSpec:
    """The settings of a run, or of several that differ in their seed only.

    "" and None leave a setting to the config files.

    Attributes:
        trainer: a method's registered name, such as "vMFCoOp", or its short name.
        dataset: key of a data set, such as "btmri"; "folder" or "table" for images of one's own.
        shots: training images per class.
        seeds: of draw and training; none leave a run unseeded.
        root: folder of the data sets, or "phantoms".
        backbone: "BiomedCLIP", "CLIP", "PhantomCLIP", "hf-hub:...", "local-dir:..."; by default BiomedCLIP, and
            PhantomCLIP on phantoms.
        setting: "few_shot" or "base2new": the protocol whose settings of the trainer are taken.
        subsample: the classes that are used: "all", "base" or "new".
        output: root of all runs; the run's own folder follows from the rest.
        protocol: "best" or "published", for a baseline as BiomedCoOp's benchmark ran it; a trainer's name may say it,
            as in "clip_adapter:published", or the option PROTOCOL.
        options: settings that override the config files: a mapping, pairs, or words KEY VALUE KEY=VALUE; lists become
            tuples.
        output_dir: the run's own folder, instead.
        dataset_config_file, config_file: yaml files that are merged after those of configs/.
        checkout: folder of a CoOp-style checkout whose trainers are added.
        resume: folder to resume from, if not the run's own.
        eval_only: test what an earlier run learned, by default that on the base classes.
        model_dir, load_epoch: its folder and epoch, instead.
        no_train: build everything, train nothing.

    >>> spec = RunSpec("vmfcoop", "btmri", 16, seeds=1, root="phantoms", options={"OPTIM.LR": 0.1})
    >>> spec.trainer, spec.seeds, spec.options
    ('vMFCoOp', (1,), (('OPTIM.LR', 0.1),))
    """

    trainer: str = ""
    dataset: str = ""
    shots: int | None = None
    seeds: tuple[int, ...] = ()
    root: str = ""
    backbone: str = ""
    setting: str = "few_shot"
    subsample: str = ""
    output: str = "output"
    protocol: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    output_dir: str = ""
    dataset_config_file: str = ""
    config_file: str = ""
    checkout: str = ""
    resume: str = ""
    eval_only: bool = False
    model_dir: str = ""
    load_epoch: int | None = None
    no_train: bool = False

    def __post_init__(self) -> None:
        if self.setting not in SETTINGS:
            raise UserError(f'Expected a setting of {", ".join(SETTINGS)}, but got "{self.setting}".')
        seeds = (self.seeds,) if isinstance(self.seeds, int) else self.seeds
        options = dict(pairs(self.options))
        method, named = split_protocol(self.trainer)
        protocol = check_protocol(str(options.pop("PROTOCOL", named or self.protocol)))
        for name, value in {
            "trainer": trainer_name(method),
            "protocol": protocol,
            "seeds": tuple(dict.fromkeys(seeds)),
            "root": str(self.root),
            "output": str(self.output),
            "output_dir": str(self.output_dir),
            "resume": str(self.resume),
            "options": tuple((key, hashable(value)) for key, value in options.items()),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def words(self) -> list[Any]:
        """The options as KEY VALUE KEY VALUE."""
        return [word for pair in self.options for word in pair]


def pairs(options: Mapping[str, Any] | Iterable[Any]) -> tuple[tuple[str, Any], ...]:
    """Return settings as pairs of key and value.

    >>> pairs(["OPTIM.LR", "0.1"])
    (('OPTIM.LR', '0.1'),)

    Raises:
        UserError: a key has no value.
    """
    if isinstance(options, Mapping):
        return tuple(options.items())
    found = list(options)
    if all(isinstance(each, tuple) and len(each) == 2 for each in found):
        return tuple(found)
    return tuple(pairs_of(found))


def hashable(value: Any) -> Any:
    """Return a value with tuples in the place of lists.

    >>> hashable([1, [2, "a"]])
    (1, (2, 'a'))
    """
    return tuple(map(hashable, value)) if isinstance(value, (list, tuple)) else value


def default_backbone(root: str | Path) -> str:
    """Return the backbone that is taken unless another one is named.

    >>> default_backbone("data"), default_backbone("phantoms")
    ('BiomedCLIP', 'PhantomCLIP')
    """
    return "PhantomCLIP" if str(root) == PHANTOMS else "BiomedCLIP"
