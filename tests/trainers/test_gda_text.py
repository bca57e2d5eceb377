"""GDA with text: against scikit-learn's discriminant analysis, the shrunken covariance by hand, and its limits."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch.nn.functional import normalize

from trainers.base.labels import labels_of
from trainers.base.validation import score
from trainers.gda_text import best_alpha, discriminant, precision

NODE = "TRAINER.GDATEXT."


def drawn(number: int = 12, dim: int = 20, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Fewer unit features [N, D] of three classes than dimensions, and their labels."""
    g = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(number, dim, generator=g, dtype=torch.double) + 0.5, dim=1), torch.arange(number) % 3


class Given(BaseEstimator):
    """An estimator of a covariance that knows it already."""

    def __init__(self, covariance_=None):
        self.covariance_ = covariance_

    def fit(self, x):
        return self


def covariance_by_hand(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """((N - 1) S + tr(S) I) / D, with numpy's S of the features around the means of their classes."""
    around = np.concatenate([features[labels == c] - features[labels == c].mean(axis=0) for c in range(3)])
    number, dim = around.shape
    cov = np.cov(around.T)
    return ((number - 1) * cov + np.trace(cov) * np.eye(dim)) / dim


def test_logits_are_those_of_scikit_learn_with_the_same_covariance():
    features, labels = drawn()
    x, y = features.numpy(), labels.numpy()
    oracle = LinearDiscriminantAnalysis(
        solver="lsqr", priors=[1 / 3] * 3, covariance_estimator=Given(covariance_by_hand(x, y))
    ).fit(x, y)
    weight, bias = discriminant(features, labels, 3)
    tested = drawn(seed=1)[0]
    expected = torch.from_numpy(oracle.decision_function(tested.numpy()))
    found = tested @ weight.T + bias
    assert torch.allclose(found + np.log(1 / 3), expected, atol=1e-9)
    assert expected.std() > 0.1


def test_the_logits_are_log_densities():
    features, labels = drawn()
    weight, bias = discriminant(features, labels, 3)
    cov = torch.from_numpy(covariance_by_hand(features.numpy(), labels.numpy()))
    means = torch.stack([features[labels == c].mean(dim=0) for c in range(3)])
    tested = drawn(seed=1)[0]
    density = torch.distributions.MultivariateNormal(means, cov).log_prob(tested[:, None])
    assert torch.allclose((tested @ weight.T + bias).softmax(1), density.softmax(1), atol=1e-9)


def test_precision_by_hand():
    deviations = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]]).double()  # (N - 1) S is diag(2, 8)
    assert torch.allclose(
        precision(deviations), torch.diag(torch.tensor([2 / (2 + 10 / 3), 2 / (8 + 10 / 3)])).double()
    )


@pytest.mark.parametrize("copies", [1, 3])
def test_without_spread_the_nearest_mean_wins(copies):
    means, labels = drawn(3)
    weight, bias = discriminant(means.repeat(copies, 1), labels.repeat(copies), 3)
    tested = drawn(seed=1)[0]
    assert torch.allclose(weight, means, atol=1e-9)
    distances = torch.cdist(tested, means).square() / 2
    assert torch.allclose((tested @ weight.T + bias).softmax(1), (-distances).softmax(1), atol=1e-9)


def test_answers_turn_with_the_features():
    features, labels = drawn()
    tested, turn = drawn(seed=1)[0], torch.linalg.qr(drawn(20, seed=2)[0]).Q
    weight, bias = discriminant(features, labels, 3)
    turned, same = discriminant(features @ turn, labels, 3)
    assert torch.allclose(tested @ turn @ turned.T, tested @ weight.T, atol=1e-9) and torch.allclose(same, bias)


def test_alpha_is_the_one_with_most_right_answers_and_then_the_likeliest():
    text, images = torch.tensor([[1.0, 0.0], [0.0, 0.5]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([0, 0])  # with alpha > 1/2 both are right, and more likely with more
    assert best_alpha([0.1, 0.4], text, images, labels).value == 0.4
    choice = best_alpha([0.1, 1.0, 10.0, 5.0], text, images, labels)
    assert choice == (10.0, "alpha 10, 2 right")
    assert best_alpha([0.1, 1.0, 10.0], text, images, torch.tensor([0, 1])).value == 0.1


@pytest.mark.parametrize(("text", "zero_shot"), [("ensemble", "ZeroshotEnsemble"), ("template", "ZeroshotCLIP")])
def test_with_alpha_0_a_run_is_the_text_alone(build, text, zero_shot):
    trainer = build("GDAText", "OPTIM.MAX_EPOCH", 0, NODE + "ALPHAS", [0.0], NODE + "TEXT", text)
    trainer.train()
    images = trainer.plain_features(trainer.dm.dataset.test)
    assert torch.allclose(trainer.logits(images), build(zero_shot).logits(images), atol=1e-4)


def test_one_shot_is_said_to_have_a_sphere(build, capsys):
    trainer = build("GDAText", "OPTIM.MAX_EPOCH", 0, shots=1)
    trainer.train()
    assert "Covariance: a sphere, as each class has one feature\n" in capsys.readouterr().out
    support = trainer.plain_features(trainer.train_items)
    weight = trainer.gaussians.weight
    assert torch.allclose(weight / weight.norm(dim=1, keepdim=True), support, atol=1e-4)  # the nearest image


@pytest.mark.parametrize("views", ["none", "many"])
def test_logits_of_a_run(build, capsys, views):
    trainer = build("GDAText", "OPTIM.MAX_EPOCH", 0, NODE + "VIEWS", views, NODE + "N_VIEWS", 3)
    trainer.train()
    count = {"none": 8, "many": 24}[views]
    features, labels = trainer.support()
    assert len(features) == count and f"Covariance: of {count} features around" in capsys.readouterr().out
    weight, bias = discriminant(features.double(), labels, 4)
    data = trainer.dm.dataset
    plain = build("ZeroshotEnsemble")

    def logits(items, alpha):
        images = trainer.plain_features(items)
        return plain.logits(images) + alpha * (images @ weight.float().T + bias.float())

    wanted = labels_of(data.val)
    alpha = max(trainer.settings.ALPHAS, key=lambda a: score(logits(data.val, a), wanted))
    assert torch.allclose(
        trainer.logits(trainer.plain_features(data.test)), logits(data.test, alpha), rtol=1e-3, atol=1e-3
    )


def test_without_validation_images_alpha_is_as_configured(build, capsys):
    trainer = build("GDAText", "OPTIM.MAX_EPOCH", 0, NODE + "ALPHA", 0.3)
    trainer.dm.dataset._val = trainer.dm.dataset.val = []
    trainer.train()
    weight, bias = discriminant(*trainer.support(), 4)
    assert torch.allclose(trainer.gaussians.weight, 0.3 * weight, rtol=1e-3)
    assert torch.allclose(trainer.gaussians.bias, 0.3 * bias, rtol=1e-3)
    assert "No validation images: the settings stay as configured" in capsys.readouterr().out
