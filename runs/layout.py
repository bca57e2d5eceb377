"""Build the path of a run's folder, and read from a path which run it is.

    <output>/<data set>/shots_16/<Trainer>_<Backbone>/nctx4_cscFalse_ctpend/seed1/
    <output>/base2new/{train_base,test_new}/<data set>/...

as in CoOp and BiomedCoOp; runs of another checkout's trainers lie in `<output>/<name of the checkout>/`. To the folder
above the seeds a published protocol adds `_published`, a method that reads sentences the name of their LLM, and
settings that are not those of the yaml files what they are: `nctx4_cscFalse_ctpend_claude__LAMBDA_ANC=10`.
"""

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dassl.names import check_name, file_name, shared_name
from dassl.source import read_registered
from runs.changed import MARK, safe, split_folder
from runs.methods import PROTOCOLS, trainer_name
from runs.record import whole

SETTING = "nctx4_cscFalse_ctpend"  # the folder of runs with the default context
LLM = "claude"  # whose sentences are read unless others are asked for
DATASETS = Path(__file__).parents[1] / "datasets"
OLDER = re.compile(r"/(ablation/[a-z_]+|prompts/\d+)/", re.ASCII)  # where earlier versions kept runs of other settings
PARTS = {"base": "train_base", "new": "test_new"}  # which classes a base-to-novel run was tested on -> its folder
SEED = re.compile(r"seed_?(\d+)$", re.ASCII)
FOLDERS = re.compile(  # CoOp_BiomedCLIP_local-dir-x: another checkout's CoOp_BiomedCLIP with the backbone local-dir-x
    r"/(?P<dataset>[^/]+)/shots_(?P<shots>\d+)"
    r"/(?P<trainer>[^/_]+(?:_[^/]+?(?=_(?:local-dir|hf-hub)-))?)(?:_(?P<backbone>[^/]+))?/"
)
# Settings of a method in the first part of the folder above the seeds, and what stands there for one that lacks them.
CONTEXT_SETTINGS = {"N_CTX": 4, "CSC": False, "CLASS_TOKEN_POSITION": "end"}
CONTEXT = re.compile(
    r"(?P<context>nctx\d+_csc(?:True|False)_ctp[a-z]+)(?:_(?P<protocol>published)(?=_|$))?(?:_(?P<llm>.+))?$", re.ASCII
)


class Place(NamedTuple):
    """The facts about a run that the path of its folder has; "" and None for those that it does not have.

    Attributes:
        dataset: key of the data set; `folder-<name>` or `table-<name>` for a user's own images.
        trainer: registered name of the method.
        backbone: the backbone as part of a folder's name.
        shots: training images per class.
        seed: seed of draw and training.
        subsample: the classes it was tested on: "all", "base" or "new".
        context: the first part of the name of the folder between method and seeds, such as "nctx4_cscFalse_ctpend".
        protocol: "best" or "published".
        llm: the LLM whose sentences the method read.
        changed: its settings that are not those of the yaml files, as its folder names them.
    """

    dataset: str = ""
    trainer: str = ""
    backbone: str = ""
    shots: int | None = None
    seed: int | None = None
    subsample: str = "all"
    context: str = ""
    protocol: str = PROTOCOLS[0]
    llm: str = ""
    changed: str = ""


@cache
def own_datasets() -> tuple[str, ...]:
    """Return the data sets of a user's own images: those of datasets/ whose class says `own`.

    >>> own_datasets()
    ('folder', 'table')
    """
    return tuple(each.module for each in read_registered(DATASETS, "DATASET_REGISTRY") if each.constants.get("own"))


@cache
def dataset_keys() -> tuple[str, ...]:
    """Return the names on command lines of all data sets of datasets/.

    >>> dataset_keys()[:3]
    ('btmri', 'busi', 'chmnist')
    """
    return tuple(each.constants.get("key") or each.module for each in read_registered(DATASETS, "DATASET_REGISTRY"))


def of_own_images(dataset: str) -> bool:
    """Return whether runs of a data set, by the name under which they are kept, are of a user's own images.

    >>> of_own_images("folder-chest"), of_own_images("btmri")
    (True, False)
    """
    return dataset.startswith(tuple(f"{name}-" for name in own_datasets()))


def data_name(dataset: str, root: str | Path) -> str:
    """Return the name under which runs of a data set are kept: that of own images ends in their folder's name."""
    return file_name(f"{dataset}-{Path(root).expanduser().resolve().name}" if dataset in own_datasets() else dataset)


def protocol_folder(output: str | Path, subsample: str) -> Path:
    """Return the part of `output` that holds base-to-novel runs tested on the "base" or the "new" classes.

    >>> protocol_folder("output", "new").as_posix()
    'output/base2new/test_new'
    """
    return Path(output) / "base2new" / PARTS[subsample]


def of_earlier_settings(folder: Path) -> str:
    """Return the part of the path of a run of an earlier version that says how its settings differ, "" for none.

    >>> of_earlier_settings(Path("output/prompts/10/btmri/seed1")), of_earlier_settings(Path("my/prompts/btmri/seed1"))
    ('prompts/10', '')
    """
    path = Path(os.path.abspath(folder))  # noqa: PTH100 - links are not followed
    return found[1] if (found := OLDER.search(path.as_posix())) else ""


def seeds_folder(
    output: str | Path, dataset: str, shots: int, method: str, backbone: str, setting: str = SETTING
) -> Path:
    """Return the folder that holds seed1/, seed2/, ... of one method.

    A trainer's name that already ends in the backbone, such as CoOp_BiomedCLIP, is kept as it is. Of a backbone in a
    folder, the last part of its path counts; digests tell whether two folders hold the same.

    >>> seeds_folder("output", "btmri", 16, "vmfcoop", "BiomedCLIP").as_posix()
    'output/btmri/shots_16/vMFCoOp_BiomedCLIP/nctx4_cscFalse_ctpend'
    """
    name, suffix = file_name(trainer_name(method)), "_" + file_name(shared_name(backbone))
    first, changed = split_folder(setting)
    context = file_name(first) + (f"{MARK}{safe(changed)}" if changed else "")
    return Path(output, file_name(dataset), f"shots_{shots}", file_name(name.removesuffix(suffix) + suffix), context)


def context_with(setting: str, trainer: str, options: Sequence[tuple[str, Any]]) -> str:
    """Return the name of a folder between method and seeds with the context that options give a method.

    >>> context_with("nctx4_cscFalse_ctpend", "CoOp", [("TRAINER.COOP.N_CTX", "8"), ("OPTIM.LR", 0.1)])
    'nctx8_cscFalse_ctpend'
    """
    given, node = dict(options), f"TRAINER.{trainer.upper()}"
    parts = r"(nctx)\d+", r"(csc)[A-Z][a-z]+", r"(ctp)[a-z]+"
    for key, part in zip(CONTEXT_SETTINGS, parts, strict=True):
        if (value := given.get(f"{node}.{key}")) is not None:
            value = str(value).capitalize() if key == "CSC" else value  # a word of a command line, or a value
            setting = re.sub(part, rf"\g<1>{file_name(str(value))}", setting)
    return setting


def place_of(folder: Path) -> Place:
    """Return the facts about a run that the path of its folder has; links are not followed.

    >>> place_of(Path("BiomedCoOp/btmri/shots_16/CoOp_BiomedCLIP_local-dir-model/nctx4_cscFalse_ctpend/seed1"))[1:3]
    ('CoOp_BiomedCLIP', 'local-dir-model')

    Raises:
        UserError: a part of the path is no name, or a number beyond all bounds.
    """
    path = Path(os.path.abspath(folder))  # noqa: PTH100 - links are not followed
    text = path.as_posix()
    found = match.groupdict(default="") if (match := FOLDERS.search(text)) else {}
    for key in ("dataset", "trainer", "backbone"):
        if found.get(key):
            check_name(found[key], key, f"the path {folder}")
    seed = SEED.search(path.name)
    context, changed = split_folder(path.parent.name)
    variant = match.groupdict(default="") if (match := CONTEXT.match(context)) else {}
    if variant.get("llm"):
        check_name(variant["llm"], "LLM", f"the path {folder}")
    return Place(
        dataset=found.get("dataset", ""),
        trainer=found.get("trainer", ""),
        backbone=found.get("backbone", ""),
        shots=whole(int(found["shots"]), "shots", str(folder)) if found else None,
        seed=whole(int(seed[1]), "the seed", str(folder)) if seed else None,
        subsample=next((part for part, name in PARTS.items() if f"/{name}/" in text), "all"),
        context=variant.get("context", ""),
        protocol=variant.get("protocol") or PROTOCOLS[0],
        llm=variant.get("llm", ""),
        changed=check_name(changed, "setting", f"the path {folder}") if changed else "",
    )
