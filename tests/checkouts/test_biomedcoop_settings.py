"""Trainers of the original BiomedCoOp run with the settings that its own train.py gives them, key by key.

It needs a checkout of https://github.com/HealthX-Lab/BiomedCoOp, which `BIOMEDCOOP_CHECKOUT` names. What its scripts
run is written out below, as read by eye.
"""

import ast
import importlib.util
import os
from pathlib import Path

import pytest
from yacs.config import CfgNode

import train
from clip import testing
from runs.config import configure

CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="BIOMEDCOOP_CHECKOUT names no checkout of BiomedCoOp")

NOVEL = ["btmri", "chmnist", "covid", "ctkidney", "dermamnist", "kneexray", "kvasir", "lungcolon", "octmnist", "retina"]
DATASETS = {"few_shot": [*NOVEL, "busi"], "base2new": NOVEL}
METHODS = ["CoOp", "CoCoOp", "KgCoOp", "ProGrad", "BiomedCoOp"]
BACKBONES = {"BiomedCLIP": "BiomedCLIP", "CLIP": "CLIP", "PubMedCLIP": "PubMedCLIP", "PMCCLIP": "PMC-CLIP"}
TRAINERS = [f"{method}_{backbone}" for method in METHODS for backbone in BACKBONES]
TRAINERS += [f"Zeroshot{name}" for backbone in BACKBONES for name in (backbone, f"{backbone}2")]
TRAINERS.remove("ZeroshotCLIP")  # a name of ours, which stays
FILES = {  # setting -> folder of the method -> yaml of the method
    "few_shot": {
        "CoOp": "vit_b16.yaml",
        "CoCoOp": "vit_b16.yaml",
        "KgCoOp": "few_shot/{}.yaml",
        "ProGrad": "few_shot/{}.yaml",
        "BiomedCoOp": "few_shot/{}.yaml",
        "Zeroshot": "vit_b16.yaml",
    },
    "base2new": {
        "CoOp": "vit_b16_base2new.yaml",
        "CoCoOp": "vit_b16_base2new.yaml",
        "KgCoOp": "vit_b16_base2new.yaml",
        "ProGrad": "vit_b16_base2new.yaml",
        "BiomedCoOp": "base_to_novel/{}.yaml",
        "Zeroshot": "vit_b16_base2new.yaml",
    },
}
DIFFERENT = {
    "MODEL.BACKBONE.NAME": "theirs say ViT-B/16, which only trainers for CLIP read, and ours stands in for it",
}
THEIRS_ALONE = {
    "MCD MME SE M3SDA DAEL CG DDAIG ENTMIN MEANTEA MIXMATCH FIXMATCH": "nodes of TRAINER: methods of Dassl, not theirs",
}
NOWHERE = object()  # the value of a key that is not there
OURS_ALONE = {
    "CHECKOUT": "whose code it is",
    "PROTOCOL": "of our trainers",
    "PROMPTS": "of our trainers",
    "FEATURES": "of our trainers",
    "DETERMINISTIC": "off",
    "TENSORBOARD": "off",
    "INPUT.GREY_RANGE": "how our data sets read pictures",
    "INPUT.FRAME": "how our data sets read pictures",
    "INPUT.ALLOW_CONSTANT": "how our data sets read pictures",
    "INPUT.PREPARE": "nothing, as in theirs",
    "INPUT.RESIZE_MODE": "the smaller edge, as in theirs",
    "INPUT.RRCROP_SCALE": "0.08 to 1 in theirs, which cannot be changed there",
    "DATASET.DRAWS": "which images our data sets draw",
    "DATASET.NESTED": "how our data sets read folders and tables",
    "DATASET.LINKS": "how our data sets read folders and tables",
    "DATASET.LEAKS": "how our data sets read folders and tables",
    "DATASET.GROUP_PATTERN": "how our data sets read folders and tables",
    "DATASET.TABLE": "how our data sets read folders and tables",
}


def flat(node: CfgNode, prefix: str = "") -> dict[str, object]:
    """Return the values of a configuration by key; lists are tuples."""
    found = {}
    for key, value in node.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else {prefix + key: value}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}


def original(trainer: str, setting: str, dataset: str, shots: int) -> CfgNode:
    """Return the configuration of the checkout's own train.py, merged by yacs in the order of its `setup_cfg`."""
    folder = Path(CHECKOUT)
    spec = importlib.util.spec_from_file_location("theirs", folder / "Dassl.pytorch/dassl/config/defaults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cfg = module._C.clone()
    (extend,) = (
        node
        for node in ast.parse((folder / "train.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "extend_cfg"
    )
    names: dict = {}
    exec(compile(ast.Module([extend], []), "train.py", "exec"), names)
    names["extend_cfg"](cfg)
    method = "Zeroshot" if trainer.startswith("Zeroshot") else trainer.partition("_")[0]
    cfg.merge_from_file(str(folder / "configs/datasets" / f"{dataset}.yaml"))
    cfg.merge_from_file(str(folder / "configs/trainers" / method / FILES[setting][method].format(dataset)))
    cfg.DATASET.ROOT, cfg.OUTPUT_DIR, cfg.SEED, cfg.TRAINER.NAME = "data", "out", 1, trainer
    words = [] if method == "Zeroshot" else ["DATASET.NUM_SHOTS", str(shots)]
    if setting == "base2new":
        words += ["DATASET.SUBSAMPLE_CLASSES", "base"]
    elif method != "Zeroshot":
        node = f"TRAINER.{method.upper()}"
        words += [f"{node}.N_CTX", "4", f"{node}.CSC", "False", f"{node}.CLASS_TOKEN_POSITION", "end"]
    cfg.merge_from_list(words)
    return cfg


def ours(trainer: str, setting: str, dataset: str, shots: int) -> CfgNode:
    backbone = BACKBONES[trainer.removesuffix("2").rpartition("_")[2].removeprefix("Zeroshot")]
    line = ["--with", CHECKOUT, "--root", "data", "--backbone", backbone, "--seed", "1", "--output-dir", "out"]
    line += ["--trainer", trainer, "--dataset", dataset, "--setting", setting]
    line += ["--eval-only"] if trainer.startswith("Zeroshot") else ["--shots", str(shots)]
    line += ["--subsample", "base"] if setting == "base2new" else []
    return configure(train.parse(line), 1)


@pytest.mark.parametrize("setting", FILES)
@pytest.mark.parametrize("trainer", TRAINERS)
def test_settings_are_those_of_the_original_run(trainer, setting):
    alone = tuple(f"TRAINER.{name}." for names in THEIRS_ALONE for name in names.split())
    repeated = f"TRAINER.{trainer.upper()}."  # all nodes of the checkout, which is what is hashed
    for dataset in DATASETS[setting]:
        theirs, found = (flat(make(trainer, setting, dataset, 16)) for make in (original, ours))
        theirs = {key: value for key, value in theirs.items() if not key.startswith(alone)}
        off = {key: (found.get(key), value) for key, value in theirs.items() if found.get(key, NOWHERE) != value}
        assert off.keys() == DIFFERENT.keys(), f"{dataset}: {off}"
        more = {key for key in found.keys() - theirs.keys() if not key.startswith(repeated)}
        assert {key for key in more if not any(f"{key}.".startswith(f"{known}.") for known in OURS_ALONE)} == set()
        assert found["INPUT.RRCROP_SCALE"] == (0.08, 1.0)
        assert (found["INPUT.PREPARE"], found["INPUT.RESIZE_MODE"]) == ((), "shortest")


LEARNING = {  # method -> learning rate, epochs and batch of few-shot runs on btmri, and of base to novel
    "CoOp": ((0.002, 100, 32), (0.002, 50, 32)),
    "CoCoOp": ((0.001, 10, 1), (0.001, 10, 1)),
    "KgCoOp": ((0.002, 100, 128), (0.002, 50, 128)),
    "ProGrad": ((0.002, 100, 128), (0.0015, 50, 128)),
    "BiomedCoOp": ((0.0025, 100, 4), (0.0025, 50, 4)),
}


@pytest.mark.parametrize("method", METHODS)
def test_learning_is_that_of_the_yaml_by_eye(method):
    for setting, expected in zip(FILES, LEARNING[method], strict=True):
        cfg = ours(f"{method}_BiomedCLIP", setting, "btmri", 16)
        assert expected == (cfg.OPTIM.LR, cfg.OPTIM.MAX_EPOCH, cfg.DATALOADER.TRAIN_X.BATCH_SIZE)


def test_a_data_set_without_a_yaml_of_the_method_is_refused():
    words = "few_shot/cmri.yaml, which scripts/kgcoop/few_shot.sh names, is not there"
    with pytest.raises(ValueError, match=words):
        ours("KgCoOp_BiomedCLIP", "few_shot", "cmri", 16)
    assert ours("CoOp_BiomedCLIP", "few_shot", "cmri", 16).OPTIM.LR == 0.002  # one yaml for all data sets


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    return f"local-dir:{testing.write_biomedclip(tmp_path_factory.mktemp('weights'), small=True)}"


@pytest.mark.filterwarnings("default")  # their code copies tensors by torch.tensor
@pytest.mark.parametrize(
    ("trainer", "setting"),
    [  # whose yaml is not named as ours are
        ("CoOp_BiomedCLIP", "few_shot"),
        ("CoOp_BiomedCLIP", "base2new"),
        ("CoCoOp_BiomedCLIP", "few_shot"),
        ("KgCoOp_BiomedCLIP", "base2new"),
        ("ProGrad_BiomedCLIP", "base2new"),
    ],
)
def test_a_step_is_taken_with_the_learning_rate_of_the_yaml(build, weights, capsys, trainer, setting):
    more = ("--with", CHECKOUT, "--setting", setting, *(("--subsample", "base") if setting == "base2new" else ()))
    theirs = build(trainer, "OPTIM.WARMUP_EPOCH", -1, backbone=weights, more=more)
    rate = LEARNING[trainer.partition("_")[0]][setting == "base2new"][0]
    learned = theirs.model.prompt_learner.ctx
    before = learned.detach().clone()
    with theirs.inside_checkout():
        theirs.set_model_mode("train")
        theirs.num_batches, theirs.batch_idx = 9, 0
        assert theirs.optim.param_groups[0]["lr"] == rate
        theirs.forward_backward(next(iter(theirs.train_loader_x)))
    assert not learned.equal(before)
    printed = capsys.readouterr().out
    assert "normalization (mean=[0.48145466, 0.4578275, 0.40821073]" in printed and "mean=[0.485" not in printed
