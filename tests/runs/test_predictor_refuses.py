"""A predictor uses nothing but what the run's record tells, and says in a sentence what is wrong."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import train
from dassl.errors import UserError
from runs.predictor import Predictor
from tests.gpu.sides import options
from tests.run_folders import run_folder
from tests.tiny_backbone import TinyBackbone
from trainers.base import backbones


@pytest.fixture
def made(flags, tmp_path, tiny):
    """made(method, key, value, ...) -> the folder of a finished run."""

    def make(method: str, *opts, **kwargs) -> Path:
        assert train.main(flags(method, *options(method), *opts, **kwargs)) == 0
        return run_folder(tmp_path, method)

    return make


def change(path: Path, **fields) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def refused(folder: Path, words: str, **kwargs) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Predictor.from_run(folder, **kwargs)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_finished_run(tmp_path, made):
    refused(tmp_path / "nothing", r"^Expected the folder of a finished run, .* has no metrics\.json")
    folder = made("CoOp")
    refused(folder.parent, "has no metrics.json")
    (folder / "config.yaml").unlink()
    refused(folder, r"Expected a run's config\.yaml in")


@pytest.mark.parametrize("name", ["CoOp_BiomedCLIP", "SimpleTrainer", None])
def test_a_trainer_of_another_checkout(made, name):
    folder = made("CoOp")
    change(folder / "metrics.json", trainer=name)
    refused(folder, f"of one of our methods, but .* is one of {name or 'an unnamed trainer'}, a trainer of another")


def test_another_backbone_is_refused_by_name(made, monkeypatch):
    folder = made("CoOp")
    monkeypatch.setattr(backbones, "build_backbone", lambda name, *rest: TinyBackbone(name, seed=1))
    backbones.load_backbone.cache_clear()
    refused(folder, "^Expected the backbone PhantomCLIP of .*, with the fingerprint [0-9a-f]{16}, but PhantomCLIP has")
    refused(folder, "but local-dir:other has [0-9a-f]{16}", backbone="local-dir:/secret/other")
    change(
        folder / "metrics.json",
        hashes={"config": json.loads((folder / "metrics.json").read_text())["hashes"]["config"]},
    )
    refused(folder, "fingerprint that the record does not tell")


def test_other_settings_or_learned_tensors_than_the_record_tells(made, tmp_path):
    folder = made("CoOp")
    shutil.copytree(folder, tmp_path / "other")
    (path,) = (tmp_path / "other" / "prompt_learner").glob("model.pth.tar-*")
    state = torch.load(path, weights_only=True)
    state["state_dict"]["ctx"] += 1
    torch.save(state, path)
    refused(tmp_path / "other", "but what it needs has other learned tensors")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("N_CTX: 4", "N_CTX: 5"))
    refused(folder, r"but its config\.yaml has other settings")


def test_other_sentences_than_the_record_tells(made, monkeypatch):
    folder = made("ZeroshotEnsemble")
    monkeypatch.setattr(
        "trainers.base.text_features.load_prompts",
        lambda *args, **kwargs: [[f"a {name} {i}" for i in range(50)] for name in args[2]],
    )
    refused(folder, "but what it needs has other sentences")


def test_images_that_a_method_looks_at_again(made, tmp_path, data_root):
    moved = tmp_path / "moved"
    shutil.copytree(data_root, moved)
    folder = made("TipAdapter", root=moved)
    Predictor.from_run(folder)
    moved.rename(tmp_path / "again")
    refused(folder, rf"^Expected the data set of .* below {moved}, because TipAdapter looks at its images \(--root")
    Predictor.from_run(folder, root=tmp_path / "again")
    predictor = Predictor.from_run(folder, root=data_root)
    assert len(predictor.dataset().test) == 20
    for path in (tmp_path / "again").rglob("train*.png"):
        Image.new("RGB", (64, 64), (200, 0, 0)).save(path)
    refused(folder, "again has other training images", root=tmp_path / "again")


def test_test_images_are_checked_where_they_are_asked_for(made, tmp_path, data_root):
    moved = tmp_path / "moved"
    shutil.copytree(data_root, moved)
    predictor = Predictor.from_run(made("CoOp", root=moved))
    next(moved.rglob("test0.png")).write_bytes(next(moved.rglob("test1.png")).read_bytes())
    with pytest.raises(UserError, match="has other test images"):
        predictor.dataset()


def test_a_run_that_tested_what_another_learned(made, flags, tmp_path):
    folder = made("CoOp")
    again = tmp_path / "again"
    line = flags("CoOp", *options("CoOp"), output=again, more=("--eval-only", "--model-dir", folder))
    assert train.main(line) == 0
    refused(run_folder(again, "CoOp"), r"tested what another one had learned \(--eval-only\): name the folder of that")


def test_a_device_that_is_not_there(made):
    folder = made("CoOp")
    refused(folder, "Expected a GPU for the device cuda", device="cuda")
    refused(folder, "device", device="tpu")
    assert Predictor.from_run(folder, device="cpu").trainer.device.type == "cpu"


def named(folder: Path, backbone: str) -> None:
    """Write into a run that it was made with another backbone of the same fingerprint."""
    from runs.stored import read_config
    from trainers.base.digests import config_digest

    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("NAME: PhantomCLIP", f"NAME: {backbone}"))
    path = folder / "metrics.json"
    hashes = json.loads(path.read_text())["hashes"]
    change(path, hashes=hashes | {"config": config_digest(read_config(folder))}, backbone=backbone)


def test_a_backbone_in_a_folder_may_have_moved(made, tmp_path):
    folder = made("CoOp")
    named(folder, f"local-dir:{tmp_path / 'model'}")
    refused(folder, r"in .*/model, but there is no such folder: say by --backbone local-dir:/path where it lies now")
    Predictor.from_run(folder, backbone="PhantomCLIP")
    (tmp_path / "model").mkdir()
    Predictor.from_run(folder)


def test_a_hub_is_not_asked_for_what_a_run_names(made, tmp_path, monkeypatch):
    monkeypatch.setattr("clip.files.hub_cache", lambda: tmp_path / "hub")
    folder = made("CoOp")
    named(folder, "hf-hub:someone/model")
    refused(folder, 'Expected --backbone, because .* was made with "hf-hub:someone/model"')
    (tmp_path / "hub" / "models--someone--model").mkdir(parents=True)
    Predictor.from_run(folder)


def test_nothing_is_written_beside_the_images(flags, tmp_path, data_root, tiny):
    images = tmp_path / "chest"
    shutil.copytree(data_root / "BTMRI" / "BTMRI", images)
    line = flags("TipAdapter", *options("TipAdapter"), root=images, dataset="folder")
    assert train.main(line) == 0
    (folder,) = (path.parent for path in tmp_path.glob("folder-chest/**/metrics.json"))
    expected = Predictor.from_run(folder).probabilities(torch.eye(16))
    for made in (*images.glob("split_*.json"), images / "split_fewshot"):
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    before = sorted(images.rglob("*"))
    assert torch.allclose(Predictor.from_run(folder).probabilities(torch.eye(16)), expected, atol=1e-5)
    assert sorted(images.rglob("*")) == before


def test_a_pattern_of_patients_is_given_and_not_taken_from_the_run(flags, tmp_path, data_root, tiny):
    images = tmp_path / "chest"
    shutil.copytree(data_root / "BTMRI" / "BTMRI", images)
    pattern = ("DATASET.GROUP_PATTERN", "([a-z]+[0-9])[.]png")
    line = flags("CoOp", *pattern, root=images, dataset="folder", more=("--output-dir", tmp_path / "run"))
    assert train.main(line) == 0
    with pytest.raises(UserError, match="has other entries of the split"):
        Predictor.from_run(tmp_path / "run").dataset()
    assert len(Predictor.from_run(tmp_path / "run", options=pattern).dataset().groups) == 56


@pytest.mark.parametrize(
    "given", ["INPUT.TRANSFORMS ()", "TRAINER.COOP.N_CTX 8", "TRAINER.NAME KgCoOp", "TRAINER.NAME x"]
)
def test_settings_that_would_change_the_answers_are_refused(made, given):
    with pytest.raises(UserError, match="leave it out, or train a run with it"):
        Predictor.from_run(made("CoOp"), options=given.split())


def test_settings_that_change_no_answer_are_taken(made):
    words = "INPUT.ALLOW_CONSTANT True DATALOADER.TEST.BATCH_SIZE 3"
    assert Predictor.from_run(made("CoOp"), options=words.split()).trainer.store.reading.allow_constant
