"""Build the trainer of a finished run again, to use what it has learned.

The folder may have come from anyone. Its settings are read, the backbone and the data set are only read where its
config.yaml says they lie, and nothing is used unless its digest is that of the record. The network is asked for
nothing that the user has not named.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from clip.digests import Digests
from clip.families import known_models
from clip.files import HubRepo, is_local, locate
from dassl.config import merge_pairs
from dassl.console import printable
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from dassl.names import shared_name
from dassl.utils import check_availability, choose_device
from datasets.own import without_writing
from runs.layout import PARTS
from runs.record import Record, read_record
from runs.stored import deciding, known_name, read_config
from trainers import register_all
from trainers.base.backbones import shared_backbone
from trainers.base.digests import config_digest, differing, images_digest, support_digests
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.inference import ClassesOnly, NeedsImages, Predicting, predicting

DEVICES = ("cpu", "cuda")
# Settings that change no picture's numbers, though the digest of a run's settings has them.
HARMLESS = ("INPUT.ALLOW_CONSTANT", "DATALOADER.TEST.BATCH_SIZE")


def rebuild(
    folder: Path, device: str | None = None, root: str = "", backbone: str = "", options: Sequence[str] = ()
) -> tuple[Predicting, Record, CfgNode]:
    """Return the trainer of a finished run with what it has learned, the run's record, and its settings.

    The data set is read only if the method looks at its images again.

    Args:
        folder: of the run.
        device: "cpu" or "cuda"; None is the GPU where there is one.
        root: folder of the data sets; by default where the run had it.
        backbone: name of the backbone; by default that of the run.
        options: words KEY VALUE KEY VALUE of settings that are not taken from a run (`runs.stored.TAKEN`), such as
            DATASET.GROUP_PATTERN.

    Raises:
        UserError: the folder holds no finished run of one of our methods, or what it learned lies elsewhere.
        UserError: settings, backbone, sentences, images or learned tensors are others than the record tells.
    """
    record = finished_record(folder)
    method, found = method_of(record, folder), read_config(folder)
    check_same(record, {"config": config_digest(found)}, folder, "its config.yaml")
    cfg = deciding(found)
    cfg.USE_CUDA = uses_cuda(device)
    cfg.MODEL.BACKBONE.NAME = backbone or trusted_backbone(found.MODEL.BACKBONE.NAME, folder)
    cfg.DATASET.ROOT = str(root) or found.DATASET.ROOT
    cfg.VERBOSE = False
    merge_given(cfg, options, folder)
    cfg.freeze()
    check_backbone(cfg, record, folder)
    place = learned_in(folder, record)
    try:
        trainer = loaded(method, cfg, classes_of(cfg, record, folder), place)
    except NeedsImages:
        trainer = loaded(method, cfg, read_data(cfg, record, folder, f"{cfg.TRAINER.NAME} looks at"), place)
    check_same(record, {"learned": trainer.learned, "sentences": trainer.sentences[1]}, folder, "what it needs")
    return trainer, record, cfg


def finished_record(folder: Path) -> Record:
    """Return the record of a run; a UserError if there is none, or if it does not tell the classes."""
    path = folder / "metrics.json"
    if not path.is_file():
        raise UserError(
            f"Expected the folder of a finished run, such as .../seed1, but {folder} has no metrics.json: name one "
            "that has, or run it to its end."
        )
    record = read_record(path)
    if len(record.classes) < 2:
        raise UserError(f"Expected the names of the classes (per_class) in {path}, but found none: run it again.")
    return record


def method_of(record: Record, folder: Path) -> type[FeatureTrainer]:
    """Return the class of the method of a run; a UserError if it is not one of ours."""
    register_all()
    name = record.names.get("trainer", "")
    method = TRAINER_REGISTRY.get(name) if name in TRAINER_REGISTRY.registered_names() else None
    if method is None or not issubclass(method, FeatureTrainer):
        raise UserError(
            f"Expected a run of one of our methods, but {folder} is one of {name or 'an unnamed trainer'}, a trainer "
            "of another checkout: predict with that checkout's own code."
        )
    return method


def uses_cuda(device: str | None) -> bool:
    """Return the setting USE_CUDA for a device; a UserError if there is no such device."""
    if device is not None:
        check_availability(device, DEVICES, what="device")
    if device == "cuda" and choose_device(True).type != "cuda":
        raise UserError("Expected a GPU for the device cuda, but there is none: leave the device out, or take cpu.")
    return device != "cpu"


def merge_given(cfg: CfgNode, options: Sequence[str], folder: Path) -> None:
    """Merge the words KEY VALUE KEY VALUE ... of a user into the settings of a run in a folder.

    Raises:
        UserError: one of them would change what the run says about a picture; or as `merge_pairs`.
    """
    before = cfg.clone()
    merge_pairs(cfg, options)
    if cfg.TRAINER.NAME != before.TRAINER.NAME or config_digest(cfg, HARMLESS) != config_digest(before, HARMLESS):
        raise UserError(
            f"Expected settings of places, such as DATASET.GROUP_PATTERN, but {printable(' '.join(options))} would "
            f"change what {folder} says about a picture: leave it out, or train a run with it."
        )


def trusted_backbone(name: str, folder: Path) -> str:
    """Return the name of a run's backbone if its files are on this machine, or if it is one of our short names.

    Raises:
        UserError: it is in a folder that is not there, or on a hub that was not asked for it before.
    """
    if is_local(name):
        place = Path(name.removeprefix("local-dir:")).expanduser()
        if place.exists():
            return name
        raise UserError(
            f"Expected the backbone of {folder} in {printable(str(place))}, but there is no such folder: say by "
            "--backbone local-dir:/path where it lies now."
        )
    place_on_hub = locate(name) if name.startswith("hf-hub:") else None
    here = isinstance(place_on_hub, HubRepo) and place_on_hub.cache.is_dir()
    return name if here else known_name(name, known_models(), "--backbone", folder)


def check_backbone(cfg: CfgNode, record: Record, folder: Path) -> None:
    """Raise a UserError unless the backbone has the fingerprint of the record."""
    mine, theirs = shared_backbone(cfg)[0].fingerprint(), record.hashes.get("backbone")
    if mine != theirs:
        raise UserError(
            f"Expected the backbone {record.names.get('backbone', '')} of {folder}, with the fingerprint "
            f"{theirs or 'that the record does not tell'}, but {shared_name(cfg.MODEL.BACKBONE.NAME)} has {mine}: name "
            "the one that the run was made with by --backbone."
        )


def classes_of(cfg: CfgNode, record: Record, folder: Path) -> ClassesOnly:
    """Return the stand-in for the data set of a run."""
    check_availability(cfg.DATASET.NAME, DATASET_REGISTRY.registered_names(), what="dataset")
    kind = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    if not getattr(kind, "own", False):
        return ClassesOnly(kind.key, record.classes)
    root = Path(cfg.DATASET.ROOT).expanduser()
    bank = root / "prompts.json"
    return ClassesOnly(root.resolve().name, record.classes, bank if bank.is_file() else None)


def learned_in(folder: Path, record: Record) -> Path:
    """Return the folder of the run that learned what a run has tested: itself, or that on the base classes."""
    if not record.loaded:
        return folder
    base = Path(*(PARTS["base"] if part == PARTS["new"] else part for part in folder.absolute().parts))
    if base != folder.absolute() and base.is_dir():
        return base
    raise UserError(
        f"Expected a run that has learned, but {folder} tested what another one had learned (--eval-only): name the "
        "folder of that one."
    )


def loaded(method: type[FeatureTrainer], cfg: CfgNode, given: Any, place: Path) -> Predicting:
    """Return a method that only predicts, with what the run in a folder has learned."""
    trainer = predicting(method, cfg, given)
    trainer.load_model(place)
    return trainer


def read_data(cfg: CfgNode, record: Record, folder: Path, why: str, test: bool = False) -> Any:
    """Return the data set of a run, to which nothing is written.

    Args:
        cfg: settings of the run.
        record: of the run.
        folder: of the run.
        why: words before "the images", for errors.
        test: check the test images too.

    Raises:
        UserError: it is not there, or its images are others than those of the run.
    """
    try:
        dataset = without_writing(DATASET_REGISTRY.get(cfg.DATASET.NAME))(cfg)
    except UserError as error:
        raise UserError(
            f"Expected the data set of {folder} below {printable(cfg.DATASET.ROOT)}, because {why} its images (--root "
            f"says where they lie now), but: {error}"
        ) from error
    digests = support_digests(cfg, dataset)
    if test:
        digests["test"] = images_digest(dataset.test or [], Digests(cfg.FEATURES.ROOT or None))
    check_same(record, digests, folder, printable(cfg.DATASET.ROOT))
    return dataset


def check_same(record: Record, digests: dict[str, str | None], folder: Path, what: str) -> None:
    """Raise a UserError if digests are others than those of a record; None stands for what does not count."""
    if different := differing(record.hashes, digests):
        raise UserError(
            f"Expected what the record of {folder} tells, but {what} has other {different}: restore it, or run again."
        )
