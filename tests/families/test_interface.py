"""What the interface promises, of a small model of every family in its published layout."""

import math

import pytest
import torch

from clip import Tokens, build_backbone
from clip.families import known_models
from clip.inputs import input_of
from tests.families.conftest import NAMES
from tests.pretended_gpu import pretended_gpu
from trainers.base.prompt_learner import PromptLearner

TEXTS = ["a photo of a glioma tumor.", "normal brain", "an image showing the lungs, a bright mass: kidney"]
CLASSES = ["normal brain", "kidney", "bright_mass"]
every_model = pytest.mark.parametrize("name", NAMES)


def test_every_short_name_can_be_written():
    assert set(NAMES) == set(known_models()) - {"PhantomCLIP"}


@every_model
def test_what_is_known_of_its_images_before_it_is_loaded(name, named, built):
    assert input_of(named(name)) == built(name).image_input


@every_model
def test_features_are_unit_vectors_that_tell_texts_and_images_apart(name, built):
    backbone = built(name)
    images = torch.randn(2, 3, *[backbone.image_size] * 2, generator=torch.Generator().manual_seed(0))
    for features in (backbone.encode_text(TEXTS), backbone.encode_image(images)):
        assert features.shape[1] == backbone.embed_dim and features.dtype == torch.float32
        assert torch.allclose(features.norm(dim=1), torch.ones(len(features)), atol=1e-5)
        assert (features @ features.T - torch.eye(len(features))).max() < 0.9999
    assert 1 < backbone.logit_scale < 200 and not any(p.requires_grad for p in backbone.parameters())
    assert not any(module.training for module in backbone.modules())


@every_model
def test_a_text_is_the_same_alone_and_beside_longer_ones(name, built):
    backbone = built(name)
    alone = torch.cat([backbone.encode_text([text]) for text in TEXTS])
    assert torch.allclose(backbone.encode_text(TEXTS), alone, atol=1e-5)


@every_model
def test_a_trimmed_text_is_the_padded_one_unless_the_tower_sees_padding(name, built):
    backbone = built(name)
    tokens = backbone.tokenize(TEXTS[:1])
    assert tokens.mask.all() and (tokens.ids.shape[1] == backbone.context_length) is backbone.fixed_length
    if backbone.fixed_length:
        return
    missing = (0, backbone.context_length - tokens.ids.shape[1])
    padded = Tokens(*(torch.nn.functional.pad(part, missing) for part in tokens))
    whole = backbone.encode_tokens(backbone.embed(padded.ids), padded)
    assert torch.allclose(whole, backbone.encode_text(TEXTS[:1]), atol=1e-5)


@every_model
@pytest.mark.parametrize(
    ("position", "template"),
    [("end", "a photo of a {}."), ("middle", "a photo {} of a."), ("front", "{} a photo of a.")],
)
def test_untrained_prompts_equal_the_written_ones(name, position, template, built):
    backbone = built(name)
    count = int(backbone.lengths(["a photo of a"]) - backbone.lengths([""]))
    learner = PromptLearner(backbone, CLASSES, n_ctx=count, position=position)
    texts = [template.format(each.replace("_", " ")) for each in CLASSES]
    if position == "middle" and count != 4:
        pytest.skip("the middle of the context is not that of its words")
    assert torch.allclose(backbone.encode_tokens(learner(), learner.tokens), backbone.encode_text(texts), atol=1e-5)


@every_model
def test_gradients_reach_every_token_of_the_context_and_no_weight(name, built):
    backbone = built(name)
    learner = PromptLearner(backbone, CLASSES)
    features = backbone.encode_tokens(learner(), learner.tokens)
    (features @ torch.randn(backbone.embed_dim, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert (learner.ctx.grad.abs().amax(dim=1) > 0).all()
    assert all(p.grad is None for p in backbone.parameters())


@every_model
def test_a_word_of_the_vocabulary_is_a_text_of_its_own(name, built, monkeypatch):
    backbone = built(name)
    ids = backbone.tokenize(["kidney"]).ids[0, backbone.start_tokens :][:1]
    vocabulary = backbone.vocabulary_ids()
    assert len(vocabulary) > 30 and vocabulary.unique().numel() == len(vocabulary) and ids in vocabulary
    monkeypatch.setattr(backbone, "vocabulary_ids", lambda: ids)
    word = backbone.encode_vocabulary()
    if int(backbone.lengths(["kidney"]) - backbone.lengths([""])) == 1:
        assert torch.allclose(word, backbone.encode_text(["kidney"]), atol=1e-5)
    projected = backbone.project_vocabulary()
    assert word.shape == projected.shape == (1, backbone.embed_dim)
    assert math.isclose(float(projected.norm()), 1, rel_tol=1e-5)


@every_model
def test_it_is_the_same_on_a_gpu(name, named, built):
    here = built(name)
    images = torch.randn(1, 3, *[here.image_size] * 2, generator=torch.Generator().manual_seed(0))
    with pretended_gpu() as gpu:
        there = build_backbone(named(name), "cuda")
        features = [there.encode_text(TEXTS).cpu(), there.encode_image(images).cpu()]
        assert there.fingerprint() == here.fingerprint()
    assert gpu.kernels
    for found, expected in zip(features, (here.encode_text(TEXTS), here.encode_image(images)), strict=True):
        assert torch.allclose(found, expected, atol=1e-5)
