"""Sentences longer than the context of the text tower are an error, or are cut with a line that counts them."""

import json
from types import SimpleNamespace

import pytest
import torch

from clip import build_backbone
from dassl.config import get_cfg_default
from dassl.errors import UserError
from tests.tiny_backbone import TinyBackbone
from trainers import extend_cfg
from trainers.base.digests import NOT_HASHED
from trainers.base.text_features import check_lengths, llm_features

MOST = TinyBackbone.context_length


def words(count: int) -> str:
    """Return a sentence of `count` tokens for the tiny backbone, with those of start and end."""
    return " ".join(f"word{i}" for i in range(count - 2))


@pytest.mark.parametrize("count", [3, MOST - 1, MOST])
@pytest.mark.parametrize("too_long", ["error", "cut"])
def test_what_just_fits_is_no_matter(capsys, count, too_long):
    check_lengths(TinyBackbone(), [words(count)], too_long)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("count", [MOST + 1, 3 * MOST])
def test_a_longer_one_is_an_error_unless_it_may_be_cut(capsys, count):
    sentences = [words(MOST), words(count), words(5), words(count) + " more"]
    found = f'2 of 4 are longer, the first is "{words(count)[:60]}..." with {count}'
    with pytest.raises(UserError, match=r"^Expected sentences of at most 77 tokens, which PhantomCLIP reads") as error:
        check_lengths(TinyBackbone(), sentences, "error")
    assert found in str(error.value) and "set PROMPTS.TOO_LONG to cut" in str(error.value)
    check_lengths(TinyBackbone(), sentences, "cut")
    assert capsys.readouterr().out == f"Sentences are cut after the 77 tokens that PhantomCLIP reads: {found}\n"


def test_sentences_of_a_real_tokenizer_are_counted_as_it_cuts_them():
    # Here a word may be several tokens.
    backbone = build_backbone("PhantomCLIP", "cpu", "fp32")
    texts = [" ".join(["spiculated, nodule"] * n) for n in range(1, 40)]
    lengths = [len(backbone.tokenizer.tokenizer(text)["input_ids"]) for text in texts]
    assert min(lengths) < 77 < max(lengths)
    fit = [text for text, length in zip(texts, lengths, strict=True) if length <= 77]
    check_lengths(backbone, fit, "error")
    with pytest.raises(UserError, match=rf"{len(texts) - len(fit)} of {len(texts)} are longer"):
        check_lengths(backbone, texts, "error")


@pytest.mark.parametrize("too_long", ["", "Cut", "warn"])
def test_another_word_is_refused(too_long):
    with pytest.raises(UserError, match=r'PROMPTS\.TOO_LONG to be "error" or "cut"'):
        check_lengths(TinyBackbone(), ["a"], too_long)


def test_every_method_that_reads_sentences_asks(tmp_path):
    # An error is the default. The setting changes no number of a run, and so is not hashed.
    cfg = get_cfg_default()
    extend_cfg(cfg)
    assert cfg.PROMPTS.TOO_LONG == "error" and "PROMPTS.TOO_LONG" in NOT_HASHED
    bank = tmp_path / "prompts.json"
    bank.write_text(json.dumps({"a": [words(MOST + 1)]}))
    dataset = SimpleNamespace(key="mine", classnames=["a"], prompt_bank=bank)
    store = SimpleNamespace(texts=lambda texts: torch.zeros(len(texts), 16))
    trainer = SimpleNamespace(cfg=cfg, dm=SimpleNamespace(dataset=dataset), store=store, device="cpu", read={})
    trainer.backbone = TinyBackbone()
    with pytest.raises(UserError, match="1 of 1 are longer"):
        llm_features(trainer, 1)
    cfg.PROMPTS.TOO_LONG = "cut"
    assert llm_features(trainer, 1).shape == (1, 1, 16)
