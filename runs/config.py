"""Build the configuration of a run from yaml files and from options, which override them."""

from pathlib import Path

from yacs.config import CfgNode

from clip.build import source_of
from dassl.config import get_cfg_default, merge_file, merge_pairs
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from dassl.names import file_name
from dassl.utils import check_availability
from datasets.catalogue import find_facts
from runs.layout import data_name, protocol_folder, seeds_folder
from runs.methods import CONFIGS, PROTOCOLS, PUBLISHED, check_protocol, published_file
from runs.spec import RunSpec, default_backbone
from trainers import extend_cfg
from trainers.base.digests import reads_sentences


def config_files(spec: RunSpec) -> list[Path]:
    """Return the yaml files of a run that exist, in the order of merging.

    Common; of the trainer and the setting; of the data set; of the trainer on the data set; of the number of shots; of
    the published protocol; then those that are named, which must exist. A trainer of another checkout has
    `checkout_settings` in place of what is common.
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
    return [path for path in files if path.is_file()] + named_files(spec)


def named_files(spec: RunSpec) -> list[Path]:
    """Return the yaml files that a specification names."""
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


def configure(spec: RunSpec, seed: int = -1, complete: bool = False) -> CfgNode:
    """Return the frozen configuration of one seed's run.

    Args:
        spec: the run.
        seed: its seed; a negative one leaves the run unseeded.
        complete: set what the trainer's backbone decides too (size and pixel statistics), which loads the backbone.

    Raises:
        UserError: a yaml file or an option that cannot be merged, or a run without trainer, data set or root.
        UserError: a trainer of another checkout whose settings neither the checkout nor the specification tells.
    """
    cfg = defaults(spec)
    if settings := checkout_settings(spec):
        settings.merge_into(cfg)
    files = config_files(spec)
    for file in files:
        merge_file(cfg, file)
    cfg.DATASET.ROOT = spec.root or cfg.DATASET.ROOT
    if spec.dataset and not (cfg.DATASET.NAME and dataset_file(spec).is_file()):  # a data set needs no yaml
        name = find_facts(spec.dataset).name
        cfg.DATASET.NAME = cfg.DATASET.NAME or name
    cfg.TRAINER.NAME = spec.trainer or cfg.TRAINER.NAME
    cfg.MODEL.BACKBONE.NAME = spec.backbone or cfg.MODEL.BACKBONE.NAME
    cfg.DATASET.SUBSAMPLE_CLASSES = spec.subsample or cfg.DATASET.SUBSAMPLE_CLASSES
    cfg.DATASET.NUM_SHOTS = cfg.DATASET.NUM_SHOTS if spec.shots is None else spec.shots
    cfg.RESUME = spec.resume or cfg.RESUME
    if seed >= 0:
        cfg.SEED = seed
    cfg.PROTOCOL = PUBLISHED if published_file(cfg.TRAINER.NAME) in files else PROTOCOLS[0]
    merge_pairs(cfg, spec.words)
    check_complete(cfg)
    check_novel(spec, cfg)
    if settings and not (spec.config_file or spec.eval_only):
        settings.check([key for key, _ in spec.options])
    cfg.MODEL.BACKBONE.NAME = cfg.MODEL.BACKBONE.NAME or default_backbone(cfg.DATASET.ROOT)
    cfg.OUTPUT_DIR = spec.output_dir or str(run_folder(spec, cfg, cfg.DATASET.SUBSAMPLE_CLASSES))
    trainer = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
    if hasattr(trainer, "complete_cfg"):
        source_of(cfg.MODEL.BACKBONE.NAME)  # an unknown backbone leaves no folder behind
        if complete:
            trainer.complete_cfg(cfg)
    if settings:
        from checkouts.inputs import fill_input

        told = fill_input(cfg)
        if complete and told:
            print(told)
    cfg.freeze()
    return cfg


def check_complete(cfg: CfgNode) -> None:
    """Raise a UserError unless the configuration names a trainer and a data set that exist, and where images lie."""
    told = {"--trainer": cfg.TRAINER.NAME, "--dataset": cfg.DATASET.NAME, "--root": cfg.DATASET.ROOT}
    if missing := [flag for flag, value in told.items() if not value]:
        raise UserError(
            f"Expected {', '.join(told)} (or a config file that says them), but got no {', no '.join(missing)}: "
            "see train.py --help."
        )
    check_availability(cfg.TRAINER.NAME, TRAINER_REGISTRY.registered_names(), what="trainer")
    check_availability(cfg.DATASET.NAME, DATASET_REGISTRY.registered_names(), what="dataset")


def check_novel(spec: RunSpec, cfg: CfgNode) -> None:
    """Raise a UserError if a run on novel classes would train, or test validation images: these are of base classes."""
    if cfg.DATASET.SUBSAMPLE_CLASSES != "new":
        return
    if not (spec.eval_only or spec.no_train):
        raise UserError(
            "Expected --eval-only with novel classes (--subsample new), but got a run that trains: learn from the base "
            "classes (--subsample base), then test that."
        )
    if cfg.TEST.SPLIT != "test":
        raise UserError(
            f"Expected TEST.SPLIT test with novel classes (--subsample new), but got {cfg.TEST.SPLIT}: set it to test, "
            "as the other images are of base classes."
        )


def check_classes(spec: RunSpec, cfg: CfgNode) -> None:
    """Raise a UserError if a run of base to novel would take all classes: its folder is that of the base classes."""
    if spec.setting == "base2new" and cfg.DATASET.SUBSAMPLE_CLASSES == "all":
        raise UserError(
            "Expected the base or the novel classes with --setting base2new, but got all: add --subsample base "
            "(or new, to test)."
        )


def run_folder(spec: RunSpec, cfg: CfgNode, subsample: str) -> Path:
    """Return the folder of one seed's run; that on the classes `subsample`, in base to novel."""
    method = cfg.TRAINER.get(cfg.TRAINER.NAME.upper().partition("_")[0], CfgNode())  # COOP, of CoOp_BiomedCLIP too
    context = [method.get(key, none) for key, none in (("N_CTX", 4), ("CSC", False), ("CLASS_TOKEN_POSITION", "end"))]
    output = Path(spec.output)
    variant = [cfg.PROTOCOL] if cfg.PROTOCOL == PUBLISHED else []
    if checkout := cfg.get("CHECKOUT", "").partition("@")[0]:  # another's BiomedCoOp beside ours
        output = output / file_name(checkout)
    elif reads_sentences(method) and not getattr(DATASET_REGISTRY.get(cfg.DATASET.NAME), "own", False):
        variant.append(file_name(cfg.PROMPTS.LLM))
    if spec.setting == "base2new":
        output = protocol_folder(output, "new" if subsample == "new" else "base")
    folder = seeds_folder(
        output,
        data_key(spec, cfg),
        cfg.DATASET.NUM_SHOTS,
        cfg.TRAINER.NAME,
        cfg.MODEL.BACKBONE.NAME,
        "_".join(["nctx{}_csc{}_ctp{}".format(*context), *variant]),
    )
    return folder / f"seed{cfg.SEED}"


def data_key(spec: RunSpec, cfg: CfgNode) -> str:
    """Return the name under which runs of the data set are kept, such as "btmri" or "folder-chest"."""
    return file_name(data_name(spec.dataset or cfg.DATASET.NAME.lower(), cfg.DATASET.ROOT))
