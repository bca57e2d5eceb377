"""Build the configuration of a run from yaml files and from options, which override them."""

from pathlib import Path

from yacs.config import CfgNode

from clip.build import source_of
from dassl.config import flat, merge_file, merge_pairs
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from dassl.names import file_name
from dassl.utils import check_availability
from datasets.catalogue import find_facts
from runs.changed import equal, passes_over
from runs.files import base_config, checkout_settings, config_files, dataset_file, named_files
from runs.folder import run_folder
from runs.methods import CONFIGS, METHODS, PROTOCOLS, PUBLISHED, published_file
from runs.spec import PHANTOMS, RunSpec, default_backbone
from runs.unread import check_read


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
    files, named = config_files(spec), named_files(spec)
    check_read(CONFIGS, spec, files, named)
    cfg, settings = base_config(spec), checkout_settings(spec)
    for file in named:
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
    of_files = cfg.clone()
    merge_pairs(cfg, spec.words)
    if not of_files.OPTIM.MAX_EPOCH:  # what is of training is passed over: see `passed_over`
        cfg.OPTIM, cfg.DATALOADER.TRAIN_X = of_files.OPTIM, of_files.DATALOADER.TRAIN_X
    check_complete(cfg)
    check_places(spec, cfg)
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


def passed_over(spec: RunSpec, cfg: CfgNode) -> list[str]:
    """Return the options of training, as KEY VALUE, that a method without epochs does not take.

    So the same options can be given to methods that learn in epochs and to those that do not.

    Args:
        spec: the run.
        cfg: its configuration.
    """
    values = dict(flat(cfg))
    return [
        f"{key} {value}" for key, value in spec.options if passes_over(key, values) and not equal(value, values[key])
    ]


def check_complete(cfg: CfgNode) -> None:
    """Raise a UserError unless the configuration names a trainer and a data set that exist, and where images lie."""
    told = {"--trainer": cfg.TRAINER.NAME, "--dataset": cfg.DATASET.NAME, "--root": cfg.DATASET.ROOT}
    if missing := [flag for flag, value in told.items() if not value]:
        raise UserError(
            f"Expected {', '.join(told)} (or a config file that says them), but got no {', no '.join(missing)}: "
            "see train.py --help."
        )
    try:
        check_availability(cfg.TRAINER.NAME, TRAINER_REGISTRY.registered_names(), what="trainer")
    except UserError as error:
        raise UserError(
            f"{error} A short name is one of {', '.join(METHODS)}; a method of your own registers itself in a file "
            f"trainers/{file_name(cfg.TRAINER.NAME.lower())}.py (README, A method of your own)."
        ) from error
    check_availability(cfg.DATASET.NAME, DATASET_REGISTRY.registered_names(), what="dataset")


def check_places(spec: RunSpec, cfg: CfgNode) -> None:
    """Raise a UserError if a user's own images have no folder, or the folder to load from is not there."""
    if cfg.DATASET.ROOT == PHANTOMS and getattr(DATASET_REGISTRY.get(cfg.DATASET.NAME), "own", False):
        raise UserError(
            f"Expected the folder of your images with the data set {spec.dataset or cfg.DATASET.NAME}, but got none "
            "(phantoms are rendered for named data sets alone): give it by DATA=... (--root)."
        )
    if spec.model_dir and not Path(spec.model_dir).is_dir():
        raise UserError(
            f"Expected the folder of a run in --model-dir, but there is no {spec.model_dir}: correct it, or leave it "
            "out for the run of these settings."
        )


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
