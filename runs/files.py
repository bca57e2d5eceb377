"""The yaml files of a run, in the order of merging, and the configuration that they make."""

from pathlib import Path

from yacs.config import CfgNode

from dassl.config import get_cfg_default, merge_file
from runs.methods import CONFIGS, PUBLISHED, check_protocol, published_file
from runs.spec import RunSpec
from trainers import extend_cfg, register_all


def config_files(spec: RunSpec) -> list[Path]:
    """Return the yaml files of a run, in the order of merging: `own_files`, then `named_files`."""
    return own_files(spec) + named_files(spec)


def own_files(spec: RunSpec) -> list[Path]:
    """Return the yaml files below configs/ of a run that exist, in the order of merging.

    Common; of the trainer and the setting; of the data set; of the trainer on the data set; of the number of shots; of
    the published protocol. A trainer of another checkout has `checkout_settings` in place of what is common.
    """
    checkout = checkout_of(spec)
    files = [] if checkout and spec.trainer in checkout.names else [CONFIGS / "common.yaml"]
    method = CONFIGS / "trainers" / spec.trainer / spec.setting
    if not method.with_suffix(".yaml").is_file():  # a method with one yaml has it for both settings
        method = method.with_name("few_shot")
    if spec.trainer:
        files.append(method.with_suffix(".yaml"))
    if spec.dataset:
        files += [dataset_file(spec), method / f"{spec.dataset}.yaml"]
    if spec.shots is not None:
        files.append(CONFIGS / "shots" / f"{spec.shots}.yaml")
    if protocol_of(spec) == PUBLISHED:
        files.append(published_file(spec.trainer))
    return [path for path in files if path.is_file()]


def named_files(spec: RunSpec) -> list[Path]:
    """Return the yaml files that a specification names, which must exist."""
    return [Path(file) for file in (spec.dataset_config_file, spec.config_file) if file]


def protocol_of(spec: RunSpec) -> str:
    """Return the protocol that a specification or one of its yaml files asks for: "best" or "published".

    Raises:
        UserError: a yaml file asks for another one.
    """
    if spec.protocol:
        return spec.protocol
    cfg = defaults(spec)
    for file in named_files(spec):
        merge_file(cfg, file)
    return check_protocol(cfg.PROTOCOL)


def dataset_file(spec: RunSpec) -> Path:
    """Return the yaml file of a run's data set, which need not exist."""
    return CONFIGS / "datasets" / f"{spec.dataset}.yaml"


def checkout_of(spec: RunSpec):
    """Return the checkout that a specification names, whose trainers are then registered; None without one."""
    if not spec.checkout:
        return None
    register_all()  # ours come first: a checkout's trainers of the same names are not added
    from checkouts.checkout import checkout_at

    return checkout_at(spec.checkout)


def checkout_settings(spec: RunSpec):
    """Return the settings with which a checkout runs its trainer; None for our trainers."""
    checkout = checkout_of(spec)
    dataset = spec.dataset or Path(spec.dataset_config_file).stem
    return checkout.settings(spec.trainer, spec.setting, dataset, spec.shots) if checkout else None


def defaults(spec: RunSpec) -> CfgNode:
    """Return the configuration before any file or option is merged."""
    import datasets  # noqa: F401, registers the data sets

    cfg = get_cfg_default()
    cfg.VERBOSE = False  # the console of a run shows few lines; all are in its log
    extend_cfg(cfg)
    if checkout := checkout_of(spec):
        checkout.extend_cfg(cfg, spec.trainer)
    return cfg


def base_config(spec: RunSpec) -> CfgNode:
    """Return the configuration that the files below configs/ make, or the scripts of a checkout: nothing was changed.

    Named files and options are not merged.
    """
    cfg = defaults(spec)
    if settings := checkout_settings(spec):
        settings.merge_into(cfg)
    for file in own_files(spec):
        merge_file(cfg, file)
    return cfg
