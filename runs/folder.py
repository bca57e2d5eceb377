"""The folder of a run, and the settings that its name tells because they are not those of the yaml files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from dassl.config import flat
from dassl.data.datasets import DATASET_REGISTRY
from dassl.names import file_name
from dassl.reading import read_yaml
from runs.changed import folder_part, yaml_keys
from runs.files import base_config, named_files
from runs.layout import CONTEXT_SETTINGS, data_name, protocol_folder, seeds_folder
from runs.methods import PUBLISHED
from runs.spec import RunSpec
from trainers.base.digests import counting_settings, reads_sentences

# Settings that a record and the path of a folder tell anyway.
TOLD = (
    *("SEED", "PROTOCOL", "CHECKOUT", "TRAINER.NAME", "MODEL.BACKBONE.NAME"),
    *("DATASET.NAME", "DATASET.NUM_SHOTS", "DATASET.SUBSAMPLE_CLASSES"),
)


def run_folder(spec: RunSpec, cfg: CfgNode, subsample: str) -> Path:
    """Return the folder of one seed's run; that on the classes `subsample`, in base to novel."""
    context = [_context_node(cfg).get(key, none) for key, none in CONTEXT_SETTINGS.items()]
    output = Path(spec.output)
    variant = [cfg.PROTOCOL] if cfg.PROTOCOL == PUBLISHED else []
    if checkout := cfg.get("CHECKOUT", "").partition("@")[0]:  # another's BiomedCoOp beside ours
        output = output / file_name(checkout)
    elif names_llm(cfg):
        variant.append(file_name(cfg.PROMPTS.LLM))
    if spec.setting == "base2new":
        output = protocol_folder(output, "new" if subsample == "new" else "base")
    folder = seeds_folder(
        output,
        data_key(spec, cfg),
        cfg.DATASET.NUM_SHOTS,
        cfg.TRAINER.NAME,
        cfg.MODEL.BACKBONE.NAME,
        "_".join(["nctx{}_csc{}_ctp{}".format(*context), *variant])
        + folder_part(_untold(changed_settings(spec, cfg), cfg)),
    )
    return folder / f"seed{cfg.SEED}"


def data_key(spec: RunSpec, cfg: CfgNode) -> str:
    """Return the name under which runs of the data set are kept, such as "btmri" or "folder-chest"."""
    return file_name(data_name(spec.dataset or cfg.DATASET.NAME.lower(), cfg.DATASET.ROOT))


def recorded_settings(cfg: CfgNode) -> dict[str, Any]:
    """Return the settings of a run that change its numbers, by key, without those that its record tells anyway."""
    told = {*TOLD}
    told |= {"PROMPTS.LLM"} if names_llm(cfg) else set()
    found = {key: value for key, value in counting_settings(cfg).items() if key not in told}
    found["MODEL.INIT_WEIGHTS"] = Path(str(found.get("MODEL.INIT_WEIGHTS", ""))).name  # no path of this machine
    return found


def changed_settings(spec: RunSpec, cfg: CfgNode) -> dict[str, Any]:
    """Return the settings of a run that an option or a named yaml file changes, by key.

    Only what changes numbers counts, and what a record does not tell anyway.

    Args:
        spec: the run.
        cfg: its configuration.
    """
    given = [key for file in named_files(spec) for key in yaml_keys(read_yaml(file))]
    given += [key for key, _ in spec.options]
    if not given:
        return {}
    now, before = recorded_settings(cfg), dict(flat(base_config(spec)))
    inner = f"TRAINER.{cfg.TRAINER.NAME.upper()}."  # where a trainer of a checkout has the nodes of the others
    keys = {key: key if key in now else inner + key.removeprefix("TRAINER.") for key in given}
    return {key: now[name] for key, name in keys.items() if name in now and now[name] != before.get(name)}


def _untold(changed: Mapping[str, Any], cfg: CfgNode) -> dict[str, Any]:
    """Return changed settings without the method's context, which has a part of a folder's name of its own."""
    told = {f"TRAINER.{_context_name(cfg)}.{key}" for key in CONTEXT_SETTINGS}
    return {key: value for key, value in changed.items() if key not in told}


def names_llm(cfg: CfgNode) -> bool:
    """Return whether the folder of a run names the LLM: the method reads its sentences, of a public data set."""
    if "CHECKOUT" in cfg or getattr(DATASET_REGISTRY.get(cfg.DATASET.NAME), "own", False):
        return False
    return reads_sentences(_context_node(cfg))


def _context_node(cfg: CfgNode) -> CfgNode:
    """Return the settings of a run's method: those of COOP, for CoOp_BiomedCLIP too."""
    return cfg.TRAINER.get(_context_name(cfg), CfgNode())


def _context_name(cfg: CfgNode) -> str:
    return cfg.TRAINER.NAME.upper().partition("_")[0]
