"""`python -m clip list` and `python -m clip check`, as a person sees them."""

import re
import shutil

import pytest
import torch

from clip import check, testing
from clip.__main__ import main
from clip.families import known_models
from clip.listing import where


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with nothing on it, and without network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("BIOMEDCOOP_CHECKOUT", raising=False)
    return tmp_path


def test_all_models_are_listed_with_what_is_here(machine, capsys):
    testing.write_biomedclip(machine / "weights" / "BiomedCLIP", small=True)
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: re.split(r" {2,}", line) for line in lines[2 : 2 + len(known_models())]}
    assert set(rows) == set(known_models())
    assert rows["BiomedCLIP"][:7] == ["BiomedCLIP", "512", "256", "224", "MIT", "no", "~/weights/BiomedCLIP"]
    assert rows["CLIP"][6:] == ["no", "hf-hub:timm/vit_base_patch16_clip_224.openai"]
    assert rows["PhantomCLIP"][6:] == ["clip/phantomclip", "this code"]
    assert "1. ~/weights/<name>" in lines and "2. the cache of the Hugging Face hub, ~/hub" in lines
    assert "4. ~/.cache/clip, for the archives of OpenAI's code" in lines


def test_a_folder_without_weights_is_not_taken_for_a_model(machine, capsys):
    for name in ("CLIP", "PMC-CLIP", "MedSigLIP"):
        (machine / "weights" / name).mkdir(parents=True)
    testing.write_model("PubMedCLIP", machine / "weights" / "PubMedCLIP", small=True)
    assert [where(name) for name in ("CLIP", "PMC-CLIP", "MedSigLIP", "PubMedCLIP", "PLIP")] == [
        "~/weights/CLIP (no weights)",
        "~/weights/PMC-CLIP (no weights)",
        "~/weights/MedSigLIP (no weights)",
        "~/weights/PubMedCLIP",
        "no",
    ]
    assert main(["check", "CLIP"]) == 1
    expected = "Expected ViT-B-16.pt or open_clip_model.safetensors or open_clip_pytorch_model.bin in "
    assert expected in capsys.readouterr().err
    shutil.rmtree(machine / "weights/PubMedCLIP")
    (machine / "weights/PubMedCLIP").mkdir()
    assert main(["check", "PubMedCLIP"]) == 1 and "Expected PubMedCLIP_ViT32.pth in " in capsys.readouterr().err


def test_files_of_another_model_under_a_name_are_told(machine, capsys):
    testing.write_model("CLIP", machine / "weights" / "MedCLIP", small=True)
    assert main(["check", "MedCLIP"]) == 0
    out = capsys.readouterr().out
    folder = machine / "weights" / "MedCLIP"
    said = f"MedCLIP is read from {folder}, which holds a model of another family than MedCLIP's: open_clip_models"
    assert out.splitlines()[0] == said
    assert re.search(r"dimension D +24, but 512 was published\n", out)
    assert re.search(r"at most 77, as published; 1", out) and ", but 224 was published\n" in out


def test_a_model_is_loaded_and_described(capsys):
    assert main(["check", "PhantomCLIP"]) == 0
    found = dict(re.split(r" {2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert found["dimension D"] == "256, as published" and found["token dimension"] == "192"
    assert found["images"].startswith("96 pixels, bicubic, smaller edge scaled") and len(found["fingerprint"]) == 16
    assert -1 < float(found["cosine of the two sentences"]) < 0.999


def test_what_was_published_is_compared(monkeypatch, capsys):
    model = known_models()["PhantomCLIP"]
    found = dict(check.facts("PhantomCLIP"))
    count, scale = int(found["parameters"].replace(",", "")), float(found["logit scale"])
    for right in (True, False):
        known = model._replace(parameters=count if right else 2 * count, logit_scale=scale if right else 100.0)
        monkeypatch.setattr(check, "known_models", lambda known=known: {"PhantomCLIP": known})
        told = dict(check.facts("PhantomCLIP"))
        assert told["parameters"].endswith(", as published" if right else f", but {2 * count:,} was published")
        assert told["logit scale"].endswith(", as published" if right else ", but 100 was published")


def test_a_copy_that_is_not_healthy_is_refused(machine, capsys):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(known_models()["PhantomCLIP"].source.removeprefix("local-dir:"), machine / "model")
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["text.proj.weight"] = torch.zeros_like(weights["text.proj.weight"])
    save_file(weights, folder / "open_clip_model.safetensors")
    assert main(["check", f"local-dir:{folder}"]) == 1
    assert "both have the same feature: copy its weights and its tokenizer again" in capsys.readouterr().err


def test_a_picture_of_ones_own(machine, capsys):
    path = machine / "scan.png"
    check.ramp().transpose(0).save(path)
    assert main(["check", "PhantomCLIP", "--image", str(path)]) == 0
    assert main(["check", "PhantomCLIP", "--image", str(machine / "none.png")]) == 1
    assert "none.png" in capsys.readouterr().err


def test_an_unknown_name_lists_the_known_ones(capsys):
    assert main(["check", "Foo"]) == 1
    assert "BiomedCLIP, CLIP" in capsys.readouterr().err
