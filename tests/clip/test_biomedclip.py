"""BiomedCLIP's exact architecture with random weights, in a folder as users have it; and a run of a small one."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import normalize

from clip import build_backbone, testing
from clip.build import source_of
from dassl.errors import UserError
from tests.clip.few_shot_run import run_few_shot

TEXTS = ["a photo of a glioma tumor.", "normal brain", "an image showing the lungs, a bright mass: kidney"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return testing.write_biomedclip(tmp_path_factory.mktemp("biomedclip"))


@pytest.fixture(scope="module")
def backbone(folder):
    return build_backbone(f"local-dir:{folder}")


@pytest.fixture
def hf_home(tmp_path, monkeypatch):
    """HF_HOME of a machine without network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))  # as it reads the variables when imported
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("VMFCOOP_WEIGHTS", raising=False)
    return tmp_path


def test_it_is_biomedclip(backbone):
    assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(testing.PARAMETERS, rel=3e-4)
    assert (backbone.embed_dim, backbone.token_dim, backbone.context_length) == (512, 768, 256)
    assert (backbone.image_size, backbone.logit_scale) == (224, pytest.approx(85.23, abs=0.01))
    assert backbone.mean[0] == 0.48145466 and backbone.std[2] == 0.27577711
    assert len(backbone.vocabulary_ids()) == 30_522 - 6  # [PAD] [CLS] [SEP] [UNK] [MASK] [unused1]


def test_trimmed_texts_give_the_features_of_padded_ones(backbone):
    padded = backbone.tokenizer(TEXTS)
    assert padded.shape == (3, 256)
    tokens = backbone.tokenize(TEXTS)
    assert tokens.ids.shape[1] < 30 and tokens.mask.sum() == (padded != 0).sum()
    with torch.no_grad():
        theirs = normalize(backbone.model.encode_text(padded), dim=-1)
    assert torch.allclose(backbone.encode_text(TEXTS), theirs, atol=1e-5)
    alone = torch.cat([backbone.encode_text([text]) for text in TEXTS])
    assert torch.allclose(alone, theirs, atol=1e-5)


def test_images_give_the_features_that_open_clip_gives(backbone):
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = normalize(backbone.model.encode_image(images), dim=-1)
    ours = backbone.encode_image(images)
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert torch.allclose(ours.norm(dim=-1), torch.ones(2))


def test_gradients_reach_the_context_and_no_weight(backbone):
    tokens = backbone.tokenize(TEXTS)
    embeddings = backbone.embed(tokens.ids).detach().requires_grad_()
    (backbone.encode_tokens(embeddings, tokens) @ torch.randn(512)).sum().backward()
    assert (embeddings.grad[tokens.mask].abs().amax(dim=-1) > 0).all()
    assert (embeddings.grad[~tokens.mask] == 0).all()
    assert not any(p.requires_grad or p.grad is not None for p in backbone.parameters())


def test_train_leaves_dropout_off(backbone):
    before = backbone.encode_text(TEXTS[:1])
    torch.nn.Sequential(backbone).train()
    assert not any(module.training for module in backbone.modules())
    assert torch.equal(backbone.encode_text(TEXTS[:1]), before)


@pytest.mark.slow
def test_hub_cache_and_folder_load_the_same_model(backbone, folder, hf_home):
    testing.write_hub_cache(hf_home, load_file(folder / "open_clip_model.safetensors"))
    assert build_backbone("BiomedCLIP").fingerprint() == backbone.fingerprint()


def test_an_empty_cache_says_what_to_bring(hf_home):
    with pytest.raises(UserError) as error:
        build_backbone("BiomedCLIP")
    sentence = str(error.value)
    assert sentence.startswith("Expected open_clip_config.json of microsoft/BiomedCLIP") and str(hf_home) in sentence
    assert "hf download microsoft/BiomedCLIP" in sentence and "local-dir:" in sentence


def test_a_weights_folder_of_that_name_comes_first(folder, monkeypatch):
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(folder.parent))
    (folder.parent / "BiomedCLIP").symlink_to(folder)
    assert source_of("BiomedCLIP") == f"local-dir:{folder.parent / 'BiomedCLIP'}"
    assert source_of("CLIP").startswith("hf-hub:timm/")


@pytest.mark.parametrize(
    ("removed", "sentence"),
    [
        ("open_clip_config.json", r"Expected open_clip_config\.json in .* but it holds .*vocab\.txt"),
        ("vocab.txt", r"Expected tokenizer\.json or vocab\.txt or vocab\.json in"),
        ("open_clip_model.safetensors", r"Expected open_clip_model\.safetensors or open_clip_pytorch_model\.bin in"),
    ],
)
def test_a_folder_that_lacks_a_file_names_it(folder, tmp_path, removed, sentence):
    for path in folder.iterdir():
        if path.name != removed:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(UserError, match=sentence):
        build_backbone(f"local-dir:{tmp_path}")


def test_weights_that_do_not_fit_are_refused(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_proj_type"] = "linear"
    (tmp_path / "open_clip_config.json").unlink()
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"(?s)to fit open_clip_config\.json.*text\.proj"):
        build_backbone(f"local-dir:{tmp_path}")


@pytest.mark.slow
def test_a_run_of_the_script_finds_the_weights_folder(tmp_path):
    seed, _ = run_few_shot(tmp_path, "BiomedCLIP")
    assert (seed / "prompt_learner/model.pth.tar-1").stat().st_size < 16_000  # 12 KB of context, and names
