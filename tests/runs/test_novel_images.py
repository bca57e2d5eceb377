"""Base to novel: no image of a novel class is opened before the test on these classes, by no method."""

import shutil
from pathlib import Path

import pytest
import torch

import train
from datasets.prompts import load_prompts
from runs.methods import trainer_name, with_setting
from tests.conftest import CLASSES
from tests.run_folders import record, run_folder
from tests.watching import images, watching
from trainers.base.text_features import ensemble, selective_ensemble

pytestmark = pytest.mark.usefixtures("tiny")

BASE, NOVEL = CLASSES[:2], CLASSES[2:]
PROTOCOL = ("--setting", "base2new", "--subsample")
WITHOUT_EPOCHS = ("zeroshot", "ensemble", "selective_ensemble", "zeroshot_dn", "vmfprototypes")
TESTED = "Evaluate on the *test* set"


@pytest.fixture
def happened():
    with watching() as found:
        yield found


@pytest.mark.parametrize("method", with_setting("base2new"))
def test_no_method_opens_one_before_the_test(method, flags, data_root, tmp_path, happened):
    trainer, epochs = trainer_name(method), 0 if method in WITHOUT_EPOCHS else 2
    opts = ("OPTIM.MAX_EPOCH", epochs, "FEATURES.ROOT", tmp_path / "store")  # a store that knows no image yet
    assert train.main(flags(trainer, *opts, more=(*PROTOCOL, "base"))) == 0
    assert images(happened, data_root, BASE) and images(happened, data_root, NOVEL) == []
    happened.clear()
    assert train.main(flags(trainer, *opts, more=(*PROTOCOL, "new", "--eval-only"))) == 0
    tested = happened.index(TESTED)
    assert images(happened[:tested], data_root, NOVEL) == []
    opened = {path.stem.rstrip("0123456789") for path in images(happened[tested:], data_root, NOVEL)}
    assert opened == {"test"}, "of the novel classes, the test images alone"
    assert not any("on the support set" in str(each) for each in happened), "it is of other classes"


def test_the_selective_ensemble_is_pruned_with_the_base_classes_images(build):
    trainer = build("ZeroshotSelectiveEnsemble", more=(*PROTOCOL, "new", "--eval-only"))
    base = build("ZeroshotSelectiveEnsemble", more=(*PROTOCOL, "base"))
    assert trainer.dm.dataset.classnames == NOVEL and trainer.train_items == base.train_items
    sentences = load_prompts("btmri", "claude", NOVEL, 50)
    bank = torch.stack([trainer.backbone.encode_text(some) for some in sentences])
    expected = selective_ensemble(base.plain_features(base.train_items), bank, trainer.settings.TAU)
    assert torch.allclose(trainer.directions, expected, atol=1e-6)
    assert not torch.allclose(expected, ensemble(bank), atol=1e-6), "nothing is pruned"


def test_distribution_normalisation_takes_the_mean_of_the_base_classes_images(build):
    trainer = build("ZeroshotDN", more=(*PROTOCOL, "new", "--eval-only"))
    base = build("ZeroshotDN", more=(*PROTOCOL, "base"))
    assert trainer.dm.dataset.classnames == NOVEL and torch.equal(trainer.mean, base.mean)
    assert torch.allclose(base.mean, base.plain_features(base.train_items).mean(dim=0))
    assert torch.equal(trainer.directions, build("ZeroshotEnsemble", more=(*PROTOCOL, "new", "--eval-only")).directions)


def test_the_record_has_the_base_classes_support_set(flags, tmp_path):
    opts = ("OPTIM.MAX_EPOCH", 0)
    for part in (("base",), ("new", "--eval-only")):
        assert train.main(flags("ZeroshotSelectiveEnsemble", *opts, more=(*PROTOCOL, *part))) == 0
    found = [
        record(run_folder(tmp_path / "base2new" / part, "ZeroshotSelectiveEnsemble"))["hashes"]
        for part in ("train_base", "test_new")
    ]
    assert found[0]["support"] == found[1]["support"] and found[0]["test"] != found[1]["test"]


def test_copies_of_base_images_among_the_novel_test_images_are_told(flags, data_root, tmp_path, capsys):
    root = Path(shutil.copytree(data_root, tmp_path / "data"))
    folder = root / "BTMRI" / "BTMRI"
    for i in range(6):
        shutil.copy(folder / "glioma_tumor" / f"train{i}.png", folder / "pituitary_tumor" / f"test{i % 5}.png")
    line = flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0, root=root, more=(*PROTOCOL, "new", "--eval-only"))
    assert train.main([*line, "DATASET.NUM_SHOTS", "6"]) == 0
    (log,) = tmp_path.rglob("log.txt")
    for text in (log.read_text().partition(TESTED)[2], capsys.readouterr().out):
        assert "WARNING: 5 test images are identical (byte for byte) to training images" in text
        assert "WARNING: 5 images are there under two labels (byte for byte identical)" in text
    assert train.main([*line, "DATASET.NUM_SHOTS", "6", "DATASET.LEAKS", "error", "SEED", "2"]) == 1
    assert not list(tmp_path.rglob("seed2/metrics.json"))


@pytest.mark.parametrize(
    ("opts", "more", "said"),
    [((), (), "Expected --eval-only with novel classes"), (("TEST.SPLIT", "val"), ("--eval-only",), "TEST.SPLIT test")],
)
def test_nothing_is_learned_from_them_or_chosen_on_them(flags, tmp_path, capsys, opts, more, said):
    assert train.main(flags("CoOp", *opts, more=(*PROTOCOL, "new", *more))) == 1
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not list(tmp_path.iterdir())
