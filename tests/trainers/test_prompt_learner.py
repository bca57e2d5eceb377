"""Prompts are initially the hand-written ones, and only the context is learned."""

import pytest
import torch

from trainers.base.prompt_learner import PromptLearner

NAMES = ["glioma tumor", "normal brain", "pituitary_tumor"]


@pytest.mark.parametrize(
    ("position", "template"),
    [("end", "a photo of a {}."), ("middle", "a photo {} of a."), ("front", "{} a photo of a.")],
)
def test_untrained_prompts_equal_the_written_ones(backbone, position, template):
    learner = PromptLearner(backbone, NAMES, position=position)
    texts = [template.format(name.replace("_", " ")) for name in NAMES]
    tokens = backbone.tokenize(texts)
    assert torch.equal(learner.tokens.mask, tokens.mask)
    assert torch.equal(learner()[tokens.mask], backbone.embed(tokens.ids)[tokens.mask])
    features = backbone.encode_tokens(learner(), learner.tokens)
    assert torch.allclose(features, backbone.encode_text(texts), atol=1e-6)


def test_only_the_context_is_kept_and_learned(backbone):
    learner = PromptLearner(backbone, NAMES)
    assert {k: tuple(v.shape) for k, v in learner.state_dict().items()} == {"ctx": (4, backbone.token_dim)}
    backbone.encode_tokens(learner(), learner.tokens).sum().backward()
    assert learner.ctx.grad.abs().sum() > 0
    assert all(p.grad is None for p in backbone.parameters())


def test_a_context_moves_all_classes_and_a_class_specific_one_its_own(backbone):
    for csc, moved in ((False, [True, True, True]), (True, [False, True, False])):
        learner = PromptLearner(backbone, NAMES, csc=csc)
        before = learner().detach().clone()
        with torch.no_grad():
            (learner.ctx[1] if csc else learner.ctx).add_(1.0)
        change = (learner() - before).abs().amax(dim=(1, 2)) > 0
        assert change.tolist() == moved
        assert torch.equal(learner()[:, 0], before[:, 0]) and torch.equal(learner()[:, 5:], before[:, 5:])


def test_a_context_without_words_is_small_random_numbers(backbone):
    torch.manual_seed(0)
    ctx = PromptLearner(backbone, NAMES, n_ctx=16, ctx_init="").ctx
    assert ctx.shape == (16, backbone.token_dim)
    assert ctx.std().item() == pytest.approx(0.02, rel=0.1)


def test_errors_name_the_argument_the_setting_and_the_way_out(backbone):
    with pytest.raises(
        ValueError, match=r"ctx_init \(setting CTX_INIT\) of n_ctx = 5.*is 4 tokens for PhantomCLIP.*set N_CTX 4"
    ):
        PromptLearner(backbone, NAMES, n_ctx=5)
    with pytest.raises(
        ValueError, match=r"position \(setting CLASS_TOKEN_POSITION\).*end.*middle.*front.*got \"behind\""
    ):
        PromptLearner(backbone, NAMES, position="behind")
    with pytest.raises(ValueError, match=rf"at most {backbone.context_length} tokens.*lower n_ctx"):
        PromptLearner(backbone, NAMES, n_ctx=backbone.context_length, ctx_init="")


def test_the_longest_prompt_may_fill_the_context_to_the_last_token(tiny):
    # [CLS] glioma tumor . [SEP] are 5 of 77 tokens
    learner = PromptLearner(tiny, ["glioma tumor"], n_ctx=72, ctx_init="")
    assert learner().shape == (1, 77, 12) and learner.tokens.mask.all()
    with pytest.raises(ValueError, match=r"at most 77 tokens, but n_ctx = 73 .* and the longest class name make 78"):
        PromptLearner(tiny, ["glioma tumor"], n_ctx=73, ctx_init="")


@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_contexts_of_a_batch_are_joined_each_as_alone(tiny, position):
    learner = PromptLearner(tiny, NAMES, position=position)
    contexts = torch.randn(2, 3, 4, 12, generator=torch.Generator().manual_seed(0))
    together = learner.join(contexts)
    assert together.shape == (2, *learner().shape)
    for context, prompts in zip(contexts, together, strict=True):
        assert torch.equal(learner.join(context), prompts)
