"""Distribution normalisation by hand, at its two ends, and what does not change it."""

import pytest
import torch
from torch.nn.functional import normalize

from trainers.zeroshot_dn import normalised_scores


def drawn(*counts: int) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return [normalize(torch.randn(n, 6, generator=g, dtype=torch.double), dim=-1) for n in counts]


def test_two_classes_by_hand():
    images, texts = torch.tensor([[0.6, 0.8], [0.8, 0.6]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    mean = torch.tensor([0.2, 0.8])  # v - mean / 2: (0.5, 0.4), (0.7, 0.2); t - (1/4, 1/4): (3/4, -1/4), (-1/4, 3/4)
    expected = torch.tensor([[0.375 - 0.1, 0.3 - 0.125], [0.525 - 0.05, 0.15 - 0.175]])
    assert torch.allclose(normalised_scores(images, texts, mean, 0.5), expected)
    assert (images[0] @ texts.T).argmax() == 1 and expected[0].argmax() == 0  # it changes an answer


def test_the_expansion_of_the_loss_that_it_comes_from():
    """With small logits the loss of a pair, both ways, is the module's formula but for a rest of second order."""
    x, y = drawn(9, 9)
    for step in (1e-2, 1e-3):  # the temperature is large, the logits small
        logits = step * x @ y.T
        loss = -(logits.log_softmax(1) + logits.log_softmax(0)).diagonal()
        scores = step * normalised_scores(x, y, x.mean(dim=0), 0.5).diagonal()
        rest = loss + 2 * scores
        assert (rest - rest.mean()).abs().max() < 3 * step**2  # and without the means of the order of step
        assert (loss + 2 * logits.diagonal()).std() > 0.1 * step


def test_the_mean_of_the_texts_moves_all_classes_alike():
    images, texts = drawn(7, 3)
    mean = images.mean(dim=0)
    found = normalised_scores(images, texts, mean, 0.5)
    without = (images - 0.5 * mean) @ texts.T
    assert torch.allclose(found.softmax(1), without.softmax(1), atol=1e-12)
    assert not torch.allclose(found, without, atol=1e-3)


def test_with_all_of_the_mean_what_images_have_in_common_does_not_matter():
    images, texts = drawn(7, 3)
    shift = drawn(1)[0][0]
    one, moved = (normalised_scores(some, texts, some.mean(dim=0), 1.0) for some in (images, images + 5 * shift))
    assert torch.allclose(one, moved, atol=1e-12)
    half, moved = (normalised_scores(some, texts, some.mean(dim=0), 0.5) for some in (images, images + 5 * shift))
    assert not torch.allclose(half, moved, atol=0.1)


def test_scores_turn_with_images_and_texts():
    images, texts = drawn(7, 3)
    turn = torch.linalg.qr(torch.cat(drawn(6))).Q
    one = normalised_scores(images, texts, images.mean(dim=0), 0.5)
    turned = normalised_scores(images @ turn, texts @ turn, images.mean(dim=0) @ turn, 0.5)
    assert torch.allclose(one, turned, atol=1e-12)


@pytest.mark.parametrize(("text", "zero_shot"), [("ensemble", "ZeroshotEnsemble"), ("template", "ZeroshotCLIP")])
def test_a_run_without_it_and_with_it(build, text, zero_shot):
    plain = build(zero_shot)
    images = plain.plain_features(plain.dm.dataset.val)
    trainer = build("ZeroshotDN", "TRAINER.ZEROSHOTDN.LAMBDA", 0.0, "TRAINER.ZEROSHOTDN.TEXT", text)
    assert torch.allclose(trainer.logits(images), plain.logits(images), atol=1e-4)
    trainer = build("ZeroshotDN", "TRAINER.ZEROSHOTDN.TEXT", text)
    scale, mean = trainer.backbone.logit_scale, trainer.plain_features(trainer.train_items).mean(dim=0)
    common = 0.5 * scale * mean @ plain.directions.T  # the logit that each class has of the images' mean
    found, expected = trainer.logits(images), plain.logits(images) - common
    assert torch.allclose(found.softmax(1), expected.softmax(1), atol=1e-4)
    assert not torch.allclose(found.softmax(1), plain.logits(images).softmax(1), atol=1e-2)
