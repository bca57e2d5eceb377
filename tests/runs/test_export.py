"""The exported classifier, used by exactly the lines of docs/PREDICTION.md, gives what the run's predictor gives."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import train
from clip import build_backbone
from runs import export
from runs.predictor import Predictor
from tests.clip.small_clip import write_clip
from tests.gpu.sides import METHODS, options
from tests.run_folders import run_folder
from tests.trainers.test_linear_head import CURVED

ROOT = Path(__file__).parents[2]
PHANTOM = ROOT / "clip" / "phantomclip"


def lines() -> str:
    """The lines of the document that use an exported classifier."""
    (block,) = re.findall(
        r"<!-- The test of these lines .*? -->\n```python\n(.*?)```",
        (ROOT / "docs/PREDICTION.md").read_text(),
        re.DOTALL,
    )
    assert not re.search(r"\b(clip|runs|dassl|trainers|datasets|vmfcoop)\b", block.replace("open_clip", ""))
    return block


@pytest.fixture
def small(tmp_path) -> str:
    """A small model of OpenAI's kind, 32 pixels."""
    return write_clip(tmp_path / "small")


@pytest.fixture
def phantom(tmp_path) -> str:
    """PhantomCLIP in a folder of the user; its text tower's configuration has a path, which lies beside it too."""
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "phantomclip").symlink_to(PHANTOM)
    shutil.copytree(PHANTOM, tmp_path / "model")
    return f"local-dir:{tmp_path / 'model'}"


@pytest.mark.parametrize("kind", ["small", "phantom"])
@pytest.mark.parametrize("method", ["vMFPosterior", "LinearProbe"])
def test_the_lines_of_the_document_give_the_probabilities_of_the_predictor(
    flags, tmp_path, monkeypatch, request, capsys, kind, method
):
    backbone = request.getfixturevalue(kind)
    shorter = ("OPTIM.MAX_EPOCH", 1) if method == "vMFPosterior" else options(method)
    more = ("--output-dir", tmp_path / "run")
    assert train.main(flags(method, *shorter, "OPTIM.LR", 0.05, backbone=backbone, more=more)) == 0
    assert export.main([str(tmp_path / "run"), "--out", str(tmp_path / "classifier")]) == 0
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (30, 41, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((170, 121), Image.Resampling.BICUBIC).save(tmp_path / "scan.png")
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(compile(lines(), "docs/PREDICTION.md", "exec"), found)
    predictor = Predictor.from_run(tmp_path / "run")
    (expected,) = predictor.predict([tmp_path / "scan.png"])
    assert found["probabilities"].tolist() == pytest.approx(expected.probabilities, abs=1e-5)
    assert max(expected.probabilities) - min(expected.probabilities) > 0.01
    assert repr(found["preprocess"].transforms[0]) == repr(predictor.transform.transforms[0])
    assert str(dict(zip(predictor.classnames, found["probabilities"].tolist(), strict=True))) in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS)
def test_every_linear_method_is_exported_and_others_say_that_they_are_none(method, flags, tmp_path, tiny, capsys):
    assert train.main(flags(method, *options(method), "OPTIM.LR", 0.05)) == 0
    capsys.readouterr()
    folder = run_folder(tmp_path, method)
    if method in CURVED:
        assert export.main([str(folder)]) == 1
        err = capsys.readouterr().err
        assert f"linear in the image feature, but {method} of" in err and err.count("\n") == 1
        assert not (folder / "export").exists()
        return
    assert export.main([str(folder)]) == 0
    head, facts = (
        load_file(folder / "export/classifier.safetensors"),
        json.loads((folder / "export/classifier.json").read_text()),
    )
    features = torch.nn.functional.normalize(torch.randn(9, 16), dim=1)
    expected = Predictor.from_run(folder).probabilities(features)
    given = (features @ head["weight"].T + head["bias"]).softmax(dim=1)
    torch.testing.assert_close(given, expected, atol=1e-5, rtol=0)
    assert facts["classes"] == Predictor.from_run(folder).classnames and facts["run"]["trainer"] == method


def test_what_is_exported_is_small_and_names_no_path_of_this_machine(flags, tmp_path, phantom, capsys):
    line = flags("CoOp", backbone=phantom, more=("--output-dir", tmp_path / "run"))
    assert train.main(line) == 0
    capsys.readouterr()
    assert export.main([str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.count("(phantom)") == 2
    files = sorted((tmp_path / "run" / "export").iterdir())
    assert [path.name for path in files] == ["classifier.json", "classifier.safetensors"]
    assert sum(path.stat().st_size for path in files) < 8000
    facts = json.loads(files[0].read_text())
    assert str(tmp_path) not in files[0].read_text() and str(ROOT) not in files[0].read_text()
    assert facts["backbone"]["address"] == facts["backbone"]["name"] == "local-dir:model"
    assert facts["backbone"]["fingerprint"] == build_backbone(phantom).fingerprint() and facts["phantom"] is True
    assert (facts["image"]["size"], facts["image"]["mean"], facts["image"]["std"]) == (96, [0.5] * 3, [0.25] * 3)
    assert facts["image"]["steps"].startswith(
        "convert to RGB, scale the smaller edge to 96, crop the centre of 96 x 96"
    )


def test_pictures_that_are_prepared_otherwise_are_no_classifier_for_others(flags, tmp_path, tiny, capsys):
    assert train.main(flags("CoOp", "INPUT.TRANSFORMS", "('random_resized_crop',)")) == 0
    assert export.main([str(run_folder(tmp_path, "CoOp"))]) == 1
    assert "has other INPUT.TRANSFORMS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "revision", "address"),
    [
        ("BiomedCLIP", "ab12", "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224@ab12"),
        ("BiomedCLIP", None, "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"),
        ("hf-hub:org/model@v1", "ab12", "hf-hub:org/model@v1"),
        ("hf-hub:org/model", "ab12", "hf-hub:org/model@ab12"),
        ("local-dir:/home/alice/model", None, "local-dir:model"),
        ("PhantomCLIP", None, "local-dir:phantomclip"),
    ],
)
def test_the_address_is_one_that_anybody_can_use(name, revision, address):
    assert export.address_of(SimpleNamespace(name=name, revision=revision)) == address
