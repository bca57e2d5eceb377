"""Prompts with tokenizers that are not CLIP's: no token before a text, a fixed length, words in several pieces."""

import pytest
import torch

from dassl.errors import UserError
from tests.tiny_backbone import TinyBackbone, TinyFixedBackbone
from trainers.base.prompt_learner import PromptLearner
from trainers.base.text_features import check_lengths

NAMES = ["mass", "lung", "big_mass"]


@pytest.fixture
def fixed() -> TinyFixedBackbone:
    return TinyFixedBackbone()


@pytest.mark.parametrize(
    ("position", "template"),
    [("end", "a scan of a {}."), ("middle", "a scan {} of a."), ("front", "{} a scan of a.")],
)
def test_untrained_prompts_equal_the_written_ones_and_fill_the_context(fixed, position, template):
    learner = PromptLearner(fixed, NAMES, ctx_init="a scan of a", position=position)
    texts = [template.format(name.replace("_", " ")) for name in NAMES]
    assert learner().shape == (3, 20, fixed.token_dim) and learner.tokens.mask.all()
    assert torch.equal(learner(), fixed.embed(fixed.tokenize(texts).ids))
    assert torch.allclose(fixed.encode_tokens(learner(), learner.tokens), fixed.encode_text(texts), atol=1e-6)


def test_the_tower_sees_the_padding(fixed):
    tokens = fixed.tokenize(["mass"])
    whole = fixed.encode_tokens(fixed.embed(tokens.ids), tokens)
    cut = type(tokens)(tokens.ids[:, :2], tokens.mask[:, :2])
    assert not torch.allclose(whole, fixed.encode_tokens(fixed.embed(cut.ids), cut), atol=1e-3)


def test_words_in_several_pieces_start_one_context_token_each(fixed, capsys):
    learner = PromptLearner(fixed, NAMES, ctx_init="a photo of a")
    assert '"a photo of a" is 5 tokens for PhantomCLIP and 4 words: each word starts one' in capsys.readouterr().out
    pieces = fixed.embed(fixed.tokenize(["photo"]).ids)[0, :2]
    assert torch.equal(learner.ctx[1], pieces.mean(dim=0))
    assert torch.equal(learner.ctx[0], fixed.embed(fixed.tokenize(["a"]).ids)[0, 0])


def test_as_many_tokens_as_asked_for_are_taken_as_they_are(fixed, capsys):
    learner = PromptLearner(fixed, NAMES, n_ctx=5, ctx_init="a photo of a")
    assert torch.equal(learner.ctx, fixed.embed(fixed.tokenize(["a photo of a"]).ids)[0, :5])
    assert not capsys.readouterr().out
    with pytest.raises(UserError, match=r"n_ctx = 3 tokens, but \"a photo of a\" is 5 tokens.*set N_CTX 5"):
        PromptLearner(fixed, NAMES, n_ctx=3, ctx_init="a photo of a")


def test_prompts_that_do_not_fit_are_refused(fixed):
    PromptLearner(fixed, NAMES, n_ctx=15, ctx_init="")  # with "big mass." and the end just 19 tokens
    with pytest.raises(UserError, match=r"at most 20 tokens.*n_ctx = 17.* make 21: shorten 'big mass'"):
        PromptLearner(fixed, NAMES, n_ctx=17, ctx_init="")


def test_gradients_reach_the_context(fixed):
    learner = PromptLearner(fixed, NAMES, ctx_init="a scan of a")
    fixed.encode_tokens(learner(), learner.tokens).sum().backward()
    assert (learner.ctx.grad.abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("kind", [TinyBackbone, TinyFixedBackbone])
def test_each_word_of_the_vocabulary_is_a_text(kind):
    backbone = kind()
    word = int(backbone.tokenize(["mass"]).ids[0, backbone.start_tokens])
    place = backbone.vocabulary_ids().tolist().index(word)
    assert torch.allclose(backbone.encode_vocabulary()[place], backbone.encode_text(["mass"])[0], atol=1e-6)


def test_sentences_of_the_fixed_length_are_counted_without_padding(fixed, capsys):
    check_lengths(fixed, ["a lung", " ".join(["lung"] * 19)], "error")
    check_lengths(fixed, ["a lung", " ".join(["lung"] * 20)], "cut")
    assert "1 of 2 are longer" in capsys.readouterr().out
