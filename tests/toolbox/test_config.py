"""dassl.config."""

import pytest
from yacs.config import CfgNode

from dassl.config import clean_cfg, difference, get_cfg_default


def test_defaults_are_dassls():
    cfg = get_cfg_default()
    assert (cfg.SEED, cfg.USE_CUDA, cfg.OUTPUT_DIR, cfg.RESUME) == (-1, True, "./output", "")
    assert (cfg.INPUT.SIZE, cfg.INPUT.RRCROP_SCALE, cfg.INPUT.TRANSFORMS) == ((224, 224), (0.08, 1.0), ())
    assert (cfg.DATALOADER.NUM_WORKERS, cfg.DATALOADER.TRAIN_X.SAMPLER) == (4, "RandomSampler")
    assert (cfg.OPTIM.NAME, cfg.OPTIM.LR, cfg.OPTIM.WEIGHT_DECAY) == ("adam", 3e-4, 5e-4)
    assert (cfg.TEST.FINAL_MODEL, cfg.TEST.EVALUATOR) == ("last_step", "Classification")
    assert (cfg.DETERMINISTIC, cfg.TENSORBOARD) == (False, False)


def test_copies_are_independent():
    one, other = get_cfg_default(), get_cfg_default()
    one.DATALOADER.TRAIN_X.BATCH_SIZE = 7
    one.INPUT.PIXEL_MEAN[0] = 9.0
    assert other.DATALOADER.TRAIN_X.BATCH_SIZE == other.DATALOADER.TRAIN_U.BATCH_SIZE == 32
    assert one.DATALOADER.TRAIN_U.BATCH_SIZE == 32
    assert other.INPUT.PIXEL_MEAN[0] == 0.485


def test_yaml_and_options_merge(cfg):
    assert cfg.INPUT.SIZE == (16, 16)
    assert cfg.OPTIM.WARMUP_CONS_LR == 1e-5
    assert cfg.TRAINER.TOYCOOP.N_CTX == 2
    cfg.merge_from_list(["OPTIM.LR", "0.5", "TRAINER.TOYCOOP.N_CTX", 16])
    assert (cfg.OPTIM.LR, cfg.TRAINER.TOYCOOP.N_CTX) == (0.5, 16)
    with pytest.raises(KeyError, match="OPTIMM"):
        cfg.merge_from_other_cfg(CfgNode({"OPTIMM": {"LR": 1.0}}))


def test_clean_cfg_keeps_the_trainer_in_use():
    cfg = get_cfg_default()
    cfg.TRAINER.COOP = CfgNode({"N_CTX": 4})
    cfg.TRAINER.KGCOOP = CfgNode({"W": 8.0})
    clean_cfg(cfg, "CoOp")
    assert sorted(cfg.TRAINER) == ["COOP", "NAME"]


def test_the_difference_is_what_must_be_merged_into_the_defaults():
    default, cfg = get_cfg_default(), get_cfg_default()
    cfg.merge_from_list(["OPTIM.LR", 0.5, "INPUT.SIZE", (32, 32), "DATASET.NAME", "BTMRI"])
    cfg.MINE = CfgNode({"A": None})
    found = difference(cfg, default)
    expected = {"OPTIM": {"LR": 0.5}, "INPUT": {"SIZE": (32, 32)}, "DATASET": {"NAME": "BTMRI"}, "MINE": {"A": None}}
    assert found == CfgNode(expected) and difference(cfg, cfg) == CfgNode()
    default.MINE = CfgNode({"A": 1})
    default.merge_from_other_cfg(found)
    assert default == cfg
