"""Build the path of a run's folder, and read from a path which run it is.

    <output>/<data set>/shots_16/<Trainer>_<Backbone>/nctx4_cscFalse_ctpend/seed1/
    <output>/base2new/{train_base,test_new}/<data set>/...
    <output>/{ablation/<terms>,prompts/<number>}/<data set>/...

as in CoOp and BiomedCoOp; runs of another checkout's trainers lie in `<output>/<name of the checkout>/`. The folder of
a published protocol ends in `_published`, and that of a method that reads sentences in the name of their LLM:
`nctx4_cscFalse_ctpend_claude`.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dassl.names import check_name, file_name
from dassl.source import read_registered
from runs.methods import PROTOCOLS, trainer_name
from runs.record import whole

SETTING = "nctx4_cscFalse_ctpend"  # the folder of runs with the default context
DATASETS = Path(__file__).parents[1] / "datasets"
ABLATION = "ablation"  # of an output folder: the rows of Table 2 that lack a term lie below it
COUNTED = "prompts"  # of an output folder: runs with another number of sentences lie in <number>/ below it
PARTS = {"base": "train_base", "new": "test_new"}  # which classes a base-to-novel run was tested on -> its folder
SEED = re.compile(r"seed_?(\d+)$", re.ASCII)
FOLDERS = re.compile(  # CoOp_BiomedCLIP_local-dir-x: another checkout's CoOp_BiomedCLIP with the backbone local-dir-x
    r"/(?P<dataset>[^/]+)/shots_(?P<shots>\d+)"
    r"/(?P<trainer>[^/_]+(?:_[^/]+?(?=_(?:local-dir|hf-hub)-))?)(?:_(?P<backbone>[^/]+))?/"
)
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


@cache
def own_datasets() -> tuple[str, ...]:
    """Return the data sets of a user's own images: those of datasets/ whose class says `own`.

    >>> own_datasets()
    ('folder', 'table')
    """
    return tuple(each.module for each in read_registered(DATASETS, "DATASET_REGISTRY") if each.constants.get("own"))


def data_name(dataset: str, root: str | Path) -> str:
    """Return the name under which runs of a data set are kept: that of own images ends in their folder's name."""
    return file_name(f"{dataset}-{Path(root).expanduser().resolve().name}" if dataset in own_datasets() else dataset)


def protocol_folder(output: str | Path, subsample: str) -> Path:
    """Return the part of `output` that holds base-to-novel runs tested on the "base" or the "new" classes.

    >>> protocol_folder("output", "new").as_posix()
    'output/base2new/test_new'
    """
    return Path(output) / "base2new" / PARTS[subsample]


def prompts_folder(output: str | Path, count: int) -> Path:
    """Return the part of `output` that holds the runs of methods that read so many sentences of each class.

    >>> prompts_folder("output", 10).as_posix()
    'output/prompts/10'
    """
    return Path(output) / COUNTED / str(count)


def in_prompts_folder(folder: Path) -> bool:
    """Return whether a run lies in a folder of `prompts_folder`.

    >>> in_prompts_folder(Path("output/prompts/10/btmri/seed1")), in_prompts_folder(Path("my/prompts/btmri/seed1"))
    (True, False)
    """
    path = Path(os.path.abspath(folder))  # noqa: PTH100 - links are not followed
    return bool(re.search(rf"/{COUNTED}/\d+/", path.as_posix(), re.ASCII))


def seeds_folder(
    output: str | Path, dataset: str, shots: int, method: str, backbone: str, setting: str = SETTING
) -> Path:
    """Return the folder that holds seed1/, seed2/, ... of one method.

    A trainer's name that already ends in the backbone, such as CoOp_BiomedCLIP, is kept as it is.

    >>> seeds_folder("output", "btmri", 16, "vmfcoop", "BiomedCLIP").as_posix()
    'output/btmri/shots_16/vMFCoOp_BiomedCLIP/nctx4_cscFalse_ctpend'
    """
    name, suffix = file_name(trainer_name(method)), "_" + file_name(backbone)
    parts = file_name(dataset), f"shots_{shots}", file_name(name.removesuffix(suffix) + suffix), file_name(setting)
    return Path(output).joinpath(*parts)


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
    variant = match.groupdict(default="") if (match := CONTEXT.match(path.parent.name)) else {}
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
    )
