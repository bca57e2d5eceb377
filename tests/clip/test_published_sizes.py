"""Models that were published as weights alone, in their full sizes: tensors and parameters as published."""

from pathlib import Path

import pytest
import torch

from clip import build_backbone, testing
from clip.families.open_clip_models import NAMES
from clip.families.open_clip_models.checkpoint import read_weights
from clip.testing.published import build_model, bundled, write_archive
from tests.clip.published_models import TEXTS, bare_machine, pictures

PUBMEDCLIP = {  # tensors, their numbers, and those of them that were learned
    "PubMedCLIP": (302, 151_277_313, 151_277_313),
    "PubMedCLIP-RN50": (489, 102_060_440, 102_007_137),
    "PubMedCLIP-RN50x4": (669, 178_410_446, 178_300_601),
}
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> Path:
    return bare_machine(tmp_path, monkeypatch)


def encodes(name: str) -> int:
    """Build a backbone, and check what is told of it; return its number of parameters."""
    backbone, model = build_backbone(name), NAMES[name]
    told = (backbone.embed_dim, backbone.context_length, backbone.image_size)
    assert told == (model.embed_dim, model.context_length, model.image_size)
    assert backbone.encode_text(TEXTS).isfinite().all() and backbone.mean[0] == 0.48145466
    assert backbone.encode_image(pictures(backbone.image_size)).shape == (2, model.embed_dim)
    return sum(p.numel() for p in backbone.parameters())


@pytest.mark.parametrize("name", PUBMEDCLIP)
def test_pubmedclip(name, machine):
    folder = testing.write_model(name, machine / "weights" / name)
    (file,) = folder.iterdir()
    tensors = read_weights(file)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    assert (len(tensors), numbers, encodes(name)) == PUBMEDCLIP[name]


def test_the_archive_of_clip(machine):
    state = build_model(bundled("ViT-B-16-quickgelu")).state_dict()
    path = write_archive(machine / "home/.cache/clip/ViT-B-16.pt", state)
    assert len(read_weights(path)) == 302 and encodes("CLIP") == 149_620_737


@pytest.mark.parametrize(("name", "parameters"), [("BMC-CLIP", 427_616_513), ("UniMed-CLIP", 195_900_000)])
def test_checkpoints_of_training(name, parameters, machine):
    testing.write_model(name, machine / "weights" / name)
    assert encodes(name) == pytest.approx(parameters, rel=0 if name == "BMC-CLIP" else 3e-3)


@pytest.mark.parametrize("name", ["QuiltNet-PMB", "CLIP-RN50"])
def test_described_models(name, machine):
    """QuiltNet's BERT is described by our copy of its config.json alone."""
    testing.write_model(name, machine / "weights" / name)
    assert encodes(name) > 100e6


def test_fetalclip_has_longer_texts(machine):
    state = build_model(bundled("FetalCLIP")).state_dict()
    torch.save(state, machine / "FetalCLIP_weights.pt")
    backbone = build_backbone(f"local-dir:{machine / 'FetalCLIP_weights.pt'}")
    assert (backbone.context_length, backbone.token_dim, backbone.embed_dim) == (117, 768, 768)
