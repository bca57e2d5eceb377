"""A small SigLIP in the layout of open_clip, against open_clip's own model."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import normalize

from clip import Tokens, build_backbone
from clip.testing.transformers_models import draw_weights, write_siglip_vocabulary
from dassl.errors import UserError
from tests.clip.test_siglip import PIECES, TEXTS, written
from trainers.base.prompt_learner import PromptLearner

CONFIG = {  # keys as published
    "embed_dim": 192,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 224,
        "timm_model_name": "vit_tiny_patch16_224",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 64,
        "vocab_size": 32000,
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 48,
        "heads": 3,
        "layers": 2,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
    },
}
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
MARKS = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    from open_clip.model import CustomTextCLIP

    config = json.loads(json.dumps(CONFIG))
    del config["custom_text"]
    model = CustomTextCLIP(**config).eval()
    draw_weights(model)
    for name, weight in model.visual.named_parameters():
        if name.endswith("qkv.weight"):
            weight.data.mul_(0.5)  # rounding grows over twelve layers of sharp attention
    model.logit_scale.data.fill_(4.5)
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("open_clip_siglip")
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    write_siglip_vocabulary(folder, "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0} | MARKS)
    )
    return folder


@pytest.fixture(scope="module")
def backbone(folder):
    return build_backbone(f"local-dir:{folder}")


@torch.no_grad()
def test_features_are_those_of_open_clip(model, backbone):
    texts = normalize(model.encode_text(written(PIECES)), dim=-1)
    assert torch.allclose(backbone.encode_text(TEXTS), texts, atol=1e-5)
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    pictures = normalize(model.encode_image(pixels), dim=-1)
    assert torch.allclose(backbone.encode_image(pixels), pictures, atol=1e-5)
    for features in (texts, pictures):  # which tell their inputs apart
        assert (features @ features.T).fill_diagonal_(0).max() < 0.97
    assert backbone.image_input.resize_mode == "squash"


def test_a_trimmed_text_would_be_another(backbone):
    ids, mask = backbone.tokenize(TEXTS)
    assert ids.shape == (4, 64) and mask.all() and backbone.lengths(TEXTS).tolist() == [8, 3, 9, 1]
    short = Tokens(ids[:, :40], mask[:, :40])
    trimmed = backbone.encode_tokens(backbone.embed(short.ids), short)
    assert ((trimmed - backbone.encode_text(TEXTS)).abs().amax(dim=1) > 1e-2).all()


def test_untrained_prompts_are_the_written_ones(backbone):
    learner = PromptLearner(backbone, ["meningioma_tumor", "brain"])
    features = backbone.encode_tokens(learner(), learner.tokens)
    texts = ["a photo of a meningioma tumor.", "a photo of a brain."]
    assert torch.allclose(features, backbone.encode_text(texts), atol=1e-6)
    (features @ torch.randn(192)).sum().backward()
    assert (learner.ctx.grad.abs().amax(dim=-1) > 0).all()


def test_the_vocabulary(backbone, monkeypatch):
    assert len(backbone.vocabulary_ids()) == 32_000 - 3
    ids = torch.tensor([backbone.tokenize([word]).ids[0, 0] for word in ("mass", "brain")])
    monkeypatch.setattr(backbone, "vocabulary_ids", lambda: ids)
    assert torch.allclose(backbone.encode_vocabulary(), backbone.encode_text(["mass", "brain"]), atol=1e-6)


def test_a_tokenizer_with_a_token_before_each_text_is_refused(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["post_processor"]["single"].insert(0, {"SpecialToken": {"id": "</s>", "type_id": 0}})
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").unlink()
    config = {"tokenizer_class": "PreTrainedTokenizerFast"} | MARKS
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="one token behind a text and none before it, but of an empty text it makes"):
        build_backbone(f"local-dir:{tmp_path}")
