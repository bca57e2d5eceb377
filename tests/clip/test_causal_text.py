"""A small random model with open_clip's own text tower, as in OpenAI's CLIP."""

import pytest
import torch
from torch.nn.functional import normalize

from clip import build_backbone
from dassl.errors import UserError
from tests.clip.small_clip import CONFIG, write_clip

TEXTS = ["a photo of a cat.", "a much longer photo of a very small glioma", "x"]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return build_backbone(write_clip(tmp_path_factory.mktemp("tiny") / "clip"))


def test_trimmed_texts_give_the_features_of_padded_ones(backbone):
    padded = backbone.tokenizer(TEXTS)
    assert padded.shape == (3, 77) and backbone.tokenize(TEXTS).ids.shape[1] < 20
    with torch.no_grad():
        theirs = normalize(backbone.model.encode_text(padded), dim=-1)
    assert torch.allclose(backbone.encode_text(TEXTS), theirs, atol=1e-5)
    assert (theirs @ theirs.T).fill_diagonal_(0).max() < 0.99


def test_nothing_behind_the_end_of_text_matters(backbone):
    tokens = backbone.tokenize(TEXTS)
    embeddings = backbone.embed(tokens.ids).detach().requires_grad_()
    (backbone.encode_tokens(embeddings, tokens) @ torch.randn(16)).sum().backward()
    assert (embeddings.grad[~tokens.mask] == 0).all() and (embeddings.grad[tokens.mask].abs().amax(-1) > 0).all()


def test_vocabulary(backbone):
    vocabulary = backbone.encode_vocabulary()
    assert vocabulary.shape == (49406, 16)
    word = int(backbone.tokenize(["cat"]).ids[0, 1])
    assert torch.allclose(vocabulary[word], backbone.encode_text(["cat"])[0], atol=1e-6)
    projected = backbone.project_vocabulary()
    expected = normalize(backbone.model.token_embedding.weight[word] @ backbone.model.text_projection, dim=-1)
    assert torch.allclose(projected[word], expected, atol=1e-6)


def test_the_fingerprint_follows_the_weights(backbone, tmp_path):
    same = build_backbone(write_clip(tmp_path / "same"))
    other = build_backbone(write_clip(tmp_path / "other", seed=1))
    assert same.fingerprint() == backbone.fingerprint() != other.fingerprint()


def test_a_text_tower_that_is_read_out_elsewhere_is_refused(tmp_path):
    text = {**CONFIG["text_cfg"], "pool_type": "last"}
    with pytest.raises(ValueError, match=r'causal text tower.*pools by "last"'):
        build_backbone(write_clip(tmp_path / "last", text_cfg=text))


def test_shapes_are_checked(backbone):
    with pytest.raises(ValueError, match=r"\[B, 3, 32, 32\], but got \(2, 3, 16, 16\)"):
        backbone.encode_image(torch.zeros(2, 3, 16, 16))
    tokens = backbone.tokenize(TEXTS)
    with pytest.raises(ValueError, match=r"Expected embeddings of shape"):
        backbone.encode_tokens(torch.zeros(3, 2, 16), tokens)


def test_unknown_names_list_what_exists():
    with pytest.raises(ValueError, match=r"BiomedCLIP, CLIP, .*PhantomCLIP, .*hf-hub:.*got 'ClipBio'"):
        build_backbone("ClipBio")
    with pytest.raises(UserError, match="Expected the model folder nowhere"):
        build_backbone("local-dir:nowhere")
