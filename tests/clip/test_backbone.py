"""What every family gets from `Backbone`: chunked prompts and the towers' precision."""

import pytest
import torch

from clip import backbone as module
from clip import build_backbone


@pytest.fixture(scope="module")
def backbone():
    return build_backbone("PhantomCLIP")


def prompts(backbone):
    tokens = backbone.tokenize([f"a photo of a {name} with {i}." for i, name in enumerate(["mass", "lung"] * 7)])
    return backbone.embed(tokens.ids).detach().clone().requires_grad_(), tokens


def test_chunked_prompts_have_the_features_and_gradients_of_whole_ones(backbone, monkeypatch):
    embeddings, tokens = prompts(backbone)
    direction = torch.linspace(-1, 1, backbone.embed_dim)
    whole = backbone.encode_tokens(embeddings, tokens)
    (expected,) = torch.autograd.grad((whole @ direction).square().sum(), embeddings)
    seen, encode = [], backbone.pool_tokens
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 4 * tokens.ids.shape[1])
    monkeypatch.setattr(backbone, "pool_tokens", lambda e, t: seen.append(len(e)) or encode(e, t))
    chunked = backbone.encode_tokens(embeddings, tokens)
    assert seen == [4, 4, 4, 2]
    (found,) = torch.autograd.grad((chunked @ direction).square().sum(), embeddings)
    assert len(seen) == 8, "activations are computed again, not kept"
    assert torch.allclose(chunked, whole, atol=1e-6) and torch.allclose(found, expected, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(backbone.encode_tokens(embeddings, tokens), whole, atol=1e-6)


def test_bf16_features_are_close_float32_and_stored_apart(backbone):
    half = build_backbone("PhantomCLIP", precision="bf16")
    images = torch.randn(3, 3, half.image_size, half.image_size, generator=torch.Generator().manual_seed(0))
    for found, expected in (
        (half.encode_image(images), backbone.encode_image(images)),
        (half.encode_text(["a ring enhancing mass"]), backbone.encode_text(["a ring enhancing mass"])),
    ):
        assert found.dtype == torch.float32
        assert (found * expected).sum(-1).min() > 0.999
        assert not torch.equal(found, expected)
    assert half.fingerprint() == f"{backbone.fingerprint()}-bf16"
    assert next(half.parameters()).dtype == torch.float32


def test_an_unknown_precision_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match=r"one of fp32, tf32, bf16, but got \"fp16\""):
        build_backbone("PhantomCLIP", precision="fp16")
