"""The linear probe against scikit-learn, and its search against known peaks."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy, linear

from datasets.base import BiomedDataset
from trainers.base.labels import labels_of
from trainers.base.validation import score
from trainers.linear_probe import best_exponent, bisection, halving, logistic_regression


def drawn(classes: int, n: int = 30, d: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    return torch.randn(n, d, generator=generator), torch.arange(n) % classes


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_those_of_scikit_learn(classes):
    features, labels = drawn(classes)
    probe = logistic_regression(features, labels, exponent=-0.5)
    oracle = LogisticRegression(C=10**-0.5, max_iter=1000).fit(features.numpy(), labels.numpy())
    expected = torch.from_numpy(oracle.predict_proba(features.numpy())).float()
    assert [tuple(part.shape) for part in probe] == [(classes, 6), (classes,)]
    assert torch.allclose(linear(features, *probe).softmax(dim=1), expected, atol=1e-3)


def test_the_fit_is_where_the_penalised_gradient_vanishes():
    features, labels = drawn(3)
    weight, bias = (part.requires_grad_() for part in logistic_regression(features, labels, exponent=1.0))
    loss = cross_entropy(linear(features, weight, bias), labels, reduction="sum") + weight.square().sum() / (2 * 10)
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert gradient.abs().max() < 0.02


@pytest.mark.parametrize("peak", [-5.9, -2.3, 0.0, 1.31, 3.7, 6.0])
def test_search_comes_within_a_sixteenth_of_a_peak(peak):
    asked = set()

    def height(x: float) -> tuple[float]:
        asked.add(x)
        return (-abs(x - peak),)

    assert abs(halving(height) - peak) <= 1 / 16
    assert min(asked) >= -6 and max(asked) <= 6 and len(asked) <= 7 + 2 * 4


def test_search_prefers_more_regularisation_among_equals():
    assert halving(lambda x: (0,)) == -6
    assert halving(lambda x: (x > 0.9,)) == 1.0


def test_bisection_takes_the_first_of_equals_and_the_better_end():
    assert bisection(lambda x: (0, x)) == 5  # all are equal: 6, and then always the lower end
    assert bisection(lambda x: (x <= 2, 0)) == 1  # 2 is the first of the best
    assert bisection(lambda x: (x >= 7, 0)) == 7  # 7 in the first step, and in each one after it
    asked = []
    assert bisection(lambda x: (asked.append(x) or -abs(x - 0.6), 0)) == 0.59375
    assert asked[:7] == [6, 4, 2, 0, -2, -4, -6] and asked[7:11] == [-1, 1, 0, 1] and len(asked) == 7 + 8 * 2


def test_score_counts_right_answers_and_then_likelihood():
    labels = torch.tensor([0, 1])
    sure, unsure = torch.tensor([[4.0, 0.0], [0.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    wrong = torch.tensor([[9.0, 0.0], [0.1, 0.0]])
    assert score(sure, labels) > score(unsure, labels) > score(wrong, labels)
    assert score(unsure, labels) == (2, pytest.approx(-np.log1p(np.exp(-1))))


def test_what_is_kept_is_the_fit_that_validation_images_chose(build, capsys):
    trainer = build("LinearProbe", "OPTIM.MAX_EPOCH", 0)
    support, images = (trainer.plain_features(items) for items in (trainer.train_items, trainer.dm.dataset.val))
    labels, answers = (labels_of(items) for items in (trainer.train_items, trainer.dm.dataset.val))
    with torch.no_grad():
        exponent, words = best_exponent(halving, partial(logistic_regression, support, labels), images, answers)
        trainer.fit(support, labels)
        kept = score(trainer.logits(images), answers)
    assert words == f"C {10**exponent:.3g}, {kept[0]} right"
    assert f"Chosen on 8 validation images: {words}\n" in capsys.readouterr().out
    for exponent in range(-6, 7, 2):
        right, likelihood = score(linear(images, *logistic_regression(support, labels, exponent)), answers)
        assert kept >= (right, likelihood - 1e-6)
    oracle = LogisticRegression(C=10**exponent, max_iter=1000).fit(support.numpy(), labels.numpy())
    expected = oracle.decision_function(images.numpy())
    assert np.allclose(trainer.logits(images).detach().numpy(), expected, atol=1e-3)


def test_without_validation_images_c_is_as_configured(build, monkeypatch):
    real = BiomedDataset.few_shot
    monkeypatch.setattr(BiomedDataset, "few_shot", lambda *args: real(*args) | {"val": []})
    trainer = build("LinearProbe", "OPTIM.MAX_EPOCH", 0, "TRAINER.LINEARPROBE.C", 10.0)
    features, labels = trainer.plain_features(trainer.train_items), labels_of(trainer.train_items)
    with torch.no_grad():
        trainer.fit(features, labels)
    assert torch.equal(trainer.probe.weight, logistic_regression(features, labels, 1.0)[0])
