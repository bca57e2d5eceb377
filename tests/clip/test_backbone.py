"""Chunked prompts and the precision of the towers, which every subclass of `Backbone` inherits."""

import pytest
import torch

from clip import Tokens, build_backbone
from clip import backbone as module
from tests.tiny_backbone import TinyBackbone


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
    with pytest.raises(ValueError, match=r"precision to be one of fp32, tf32, bf16, but got \"fp16\""):
        build_backbone("PhantomCLIP", precision="fp16")


@pytest.mark.parametrize(("precision", "convolutions", "products"), [("fp32", False, False), ("tf32", True, True)])
def test_tf32_is_used_where_it_is_asked_for_alone(precision, convolutions, products, monkeypatch):
    """PyTorch's default, TF32 in convolutions but not in products, is restored afterwards."""
    towers, seen = build_backbone("PhantomCLIP", precision=precision), []

    def switches() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    def watched(real):
        return lambda *args: seen.append(switches()) or real(*args)

    monkeypatch.setattr(towers, "pool_image", watched(towers.pool_image))
    monkeypatch.setattr(towers, "pool_tokens", watched(towers.pool_tokens))
    before = switches()
    towers.encode_image(torch.zeros(1, 3, towers.image_size, towers.image_size))
    towers.encode_text(["a mass"])
    assert seen == [(convolutions, products)] * 2 and switches() == before == (True, False)


def test_tf32_features_are_those_of_fp32_on_a_cpu_and_stored_apart(backbone):
    other = build_backbone("PhantomCLIP", precision="tf32")
    images = torch.randn(2, 3, other.image_size, other.image_size, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(other.encode_image(images), backbone.encode_image(images), atol=1e-6)
    assert other.fingerprint() == f"{backbone.fingerprint()}-tf32"


def test_convolutions_keep_the_layout_that_is_fast_when_their_weights_are_loaded(backbone):
    kernels = [m.weight for m in backbone.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size != (1, 1)]
    assert kernels and all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert not all(kernel.is_contiguous() for kernel in kernels)


def test_the_fingerprint_follows_recipe_and_tokenizer_too():
    """Numbers of heads and the words of a tokenizer are in no weight, but change features."""
    found = {TinyBackbone().fingerprint()}
    other = TinyBackbone()
    other.recipe = "heads 8"
    words = TinyBackbone()
    words.tokenize = lambda texts: Tokens(*(part[:, :2] for part in TinyBackbone().tokenize(texts)))
    swapped = TinyBackbone()
    swapped.words = lambda: {4: "colon", 5: "polyp"}
    assert len(found | {other.fingerprint(), words.fingerprint(), swapped.fingerprint()}) == 4
