"""A backbone's files are loaded by a checkout's code in place of its downloads, and its folder stays as it is."""

import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import train
from checkouts import stand_in as module
from checkouts.hub_cache import BIOMEDCLIP
from checkouts.stand_in import stand_in
from clip import testing
from clip.build import source_of
from clip.testing.published import halved
from dassl.errors import UserError
from tests.checkouts import downloading_checkout, small_checkout
from tests.clip.small_clip import write_clip

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
GIVEN = ("OPTIM.LR", 0.1, "DATALOADER.TRAIN_X.BATCH_SIZE", 4)  # of the needed settings, beside those of `flags`
VISION = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return downloading_checkout.write(tmp_path_factory.mktemp("other") / "Loading")


@pytest.fixture
def loading(build, checkout):
    """`loading(trainer, backbone)`: what a trainer of the checkout loaded; its folder has not changed."""

    def load(trainer: str, backbone: str):
        before, place = small_checkout.contents(checkout), Path.cwd()
        built = build(trainer, more=("--with", checkout), backbone=backbone)
        assert small_checkout.contents(checkout) == before and Path.cwd() == place
        assert built.offset == "0.5"  # beside what stands in lies what was there
        return built.loaded

    return load


def write_openai(folder: Path, **changes) -> str:
    """Write a small model that is built as OpenAI's, with some weights that half precision holds and some others."""
    return write_clip(folder, **{"quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT, **changes})


def alike(found: dict, expected: dict) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name].float(), expected[name]) for name in found)


def test_a_clip_stands_in_for_openais_and_for_pubmedclip(loading, tmp_path, capsys):
    name = write_openai(tmp_path / "clip")
    expected = load_file(tmp_path / "clip" / "open_clip_model.safetensors")
    assert alike(loading("Tiny_CLIP", name), expected)
    built, loaded = loading("Tiny_PubMedCLIP", name)
    assert alike(built, expected) and alike(loaded, expected)
    said = capsys.readouterr().out
    assert f"{name} stands in for what the checkout's code downloads: OpenAI's CLIP (its code rounds" in said
    assert "clip/checkpoints/PubMedCLIP_ViT32.pth" in said


def test_the_checkpoint_of_pubmedclip_stands_in_for_both_of_its_downloads(loading, tmp_path):
    folder = tmp_path / "pubmed"
    name, weights = write_openai(folder), load_file(folder / "open_clip_model.safetensors")
    (folder / "open_clip_model.safetensors").unlink()
    torch.save({"best_epoch": 3, "state_dict": halved(weights)}, folder / "PubMedCLIP_ViT32.pth")
    expected = {key: tensor.float() for key, tensor in halved(weights).items()}
    built, loaded = loading("Tiny_PubMedCLIP", name)
    assert alike(built, expected) and alike(loaded, expected)


def test_weights_are_halved_only_where_that_changes_none(tmp_path):
    with stand_in(write_openai(tmp_path / "clip")) as files:
        found = torch.load(files.openai)
    assert found["ln_final.weight"].dtype == torch.half  # ones
    assert found["visual.conv1.weight"].dtype == torch.float32


def write_pmc_clip(folder: Path) -> str:
    return f"local-dir:{testing.write_model('PMC-CLIP', folder, small=True)}"


def test_the_files_of_pmc_clip_stand_in_for_it(loading, tmp_path, capsys):
    folder = tmp_path / "pmc"
    text, ids, image, projection = loading("Tiny_PMCCLIP", write_pmc_clip(folder))
    expected = torch.load(folder / "text_encoder.pth")
    assert alike(text.state_dict(), expected)
    words = (folder / "vocab.txt").read_text().splitlines()
    assert [words[i] for i in ids[0][:5]] == ["[CLS]", "a", "bright", "mass", "[SEP]"] and ids.shape == (1, 77)
    assert alike(image, torch.load(folder / "image_encoder(resnet50).pth"))
    assert torch.equal(projection, torch.load(folder / "text_projection_layer.pth"))
    assert "-abstract of the hub, clip/checkpoints/image_encoder(resnet50).pth, clip/" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["text_encoder.pth", "image_encoder(resnet50).pth", "text_projection_layer.pth"])
def test_files_that_hold_more_than_tensors_do_not_stand_in(tmp_path, name):
    backbone = write_pmc_clip(tmp_path / "pmc")
    weights = torch.load(tmp_path / "pmc" / name)
    for more in (Path, np.float64(1.0)):  # the second is harmless to ours alone, which reads over it
        torch.save({"weight": weights, "more": more}, tmp_path / "pmc" / name)
        with pytest.raises(UserError, match=re.escape(name)), stand_in(backbone):
            pass


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quick_gelu": False}, "it has the exact GELU"),
        ({"text_cfg": {**TEXT, "heads": 2}}, "its attention heads have 32 dimensions, not 64"),
        ({"vision_cfg": {**VISION, "head_width": 16}}, "its attention heads have 16 dimensions, not 64"),
        ({"vision_cfg": {**VISION, "layers": [1, 1, 1, 1], "head_width": 32}}, "attention pool have 32 dimensions"),
        ({"vision_cfg": {**VISION, "pool_type": "avg"}}, 'it pools patches by "avg"'),
    ],
)
def test_what_openais_code_would_compute_otherwise_is_refused(tmp_path, changes, words):
    backbone = write_openai(tmp_path / "clip", **changes)
    with (
        pytest.raises(UserError, match=f"Expected {backbone} to be built as OpenAI's CLIP.*{words}"),
        stand_in(backbone),
    ):
        pass


def test_a_resnet_stands_in_too(tmp_path):
    name = write_openai(tmp_path / "clip", vision_cfg={**VISION, "layers": [1, 1, 1, 1], "image_size": 64})
    with stand_in(name) as files:
        found = torch.load(files.openai)
    assert alike(found, load_file(tmp_path / "clip" / "open_clip_model.safetensors"))


@pytest.mark.parametrize(
    ("trainer", "asked"),
    [
        ("Tiny_PMCCLIP", "example.org"),
        ("Tiny_PhantomCLIP", "the Hugging Face hub"),
        ("Tiny_Text", "the Hugging Face hub"),
    ],
)
def test_a_file_that_the_backbone_lacks_is_not_downloaded(flags, checkout, tmp_path, capsys, trainer, asked):
    name = write_openai(tmp_path / "clip")
    assert train.main(flags(trainer, *GIVEN, backbone=name, more=("--with", checkout))) == 1
    error = capsys.readouterr().err
    assert error.count("error: ") == 1 and "Traceback" not in error
    assert f"Expected {name} to hold all files that this trainer loads, but its code asks {asked} for one" in error


def test_a_model_on_the_hub_stands_in_too(tmp_path, monkeypatch):
    from huggingface_hub import constants, hf_hub_download

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for repo in ("models--org--model", "models--clip--phantomclip"):  # the second is what it calls its text tower
        shutil.copytree(source_of("PhantomCLIP").partition(":")[2], tmp_path / repo / "snapshots" / ("a" * 40))
        (tmp_path / repo / "refs").mkdir()
        (tmp_path / repo / "refs" / "main").write_text("a" * 40)
    with stand_in("hf-hub:org/model"):
        found = load_file(hf_hub_download(BIOMEDCLIP, "open_clip_model.safetensors"))
    assert alike(found, load_file(hf_hub_download("org/model", "open_clip_model.safetensors")))


def test_another_recipe_than_the_codes_own_does_not_stand_in(tmp_path, monkeypatch):
    write_pmc_clip(tmp_path / "PMC-CLIP-training")
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match="give --backbone PMC-CLIP"), stand_in("PMC-CLIP-training"):
        pass


def test_what_stands_in_for_nothing_is_refused_and_names_of_its_own_are_left_alone(monkeypatch, capsys):
    monkeypatch.setattr(module, "_has_hf_text", lambda place: False)
    with pytest.raises(UserError, match="got PhantomCLIP: its trainers would run"), stand_in("PhantomCLIP"):
        pass  # its text tower is none of OpenAI's
    with stand_in("ViT-B/16") as files, files.in_place():
        assert socket.getaddrinfo("127.0.0.1", 80)
    assert capsys.readouterr().out == ""
