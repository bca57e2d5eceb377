"""LP++ against autograd, its bounds, and the minimum that scikit-learn finds."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy, normalize, one_hot

from trainers import lppp
from trainers.base.labels import labels_of
from trainers.base.validation import Choice, score
from trainers.lppp import Blend, best_iteration, blended_logits, descend, initial_blend, step_sizes


def drawn(seed: int, n: int = 24, d: int = 5, classes: int = 3):
    """Return unit features [n, d] that no hyperplane separates, labels [n], and text features [C, d]; float64."""
    generator = torch.Generator().manual_seed(seed)
    features, text = (
        normalize(torch.randn(k, d, generator=generator, dtype=torch.float64), dim=1) for k in (n, classes)
    )
    return features, torch.arange(n) % classes, text


def test_logits_blend_visual_prototypes_and_texts():
    features = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    text = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    blend = Blend(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([5.0, 0.5]), torch.tensor([0.0, 10.0]))
    assert torch.allclose(blended_logits(features, text, blend), torch.tensor([[1.0, 10.5], [4.6, 11.9]]))


def test_step_sizes_follow_from_the_features():
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # sum f f^T is diag(2, 1)
    text = torch.tensor([[0.0, 1.0], [0.6, 0.8]])  # sums of squared cosines: 1, and 2 * 0.36 + 0.64
    w_step, alpha_step = step_sizes(features, text)
    assert (w_step.item(), alpha_step.item()) == pytest.approx((4 * 3 / 2, 4 * 3 / 1.36), rel=1e-5)
    w_step, alpha_step = step_sizes(features, text, alpha_step=0.25)
    assert (w_step.item(), alpha_step.item()) == pytest.approx((4 * 3 / 2, 3 / (4 * 1.36)), rel=1e-5)


def test_the_initial_blend_minimises_the_linear_part_with_penalties():
    features, labels, text = drawn(0)
    c, scale = len(text), 250.0
    w, alpha, bias = initial_blend(features, labels, text, scale)
    assert not bias.any()
    assert (alpha == alpha[0]).all()
    each = scale * torch.stack([(features[labels == k] @ text[k]).mean() for k in range(c)])
    assert alpha[0].item() == pytest.approx(each.mean().item())
    w, each = w.clone().requires_grad_(), each.requires_grad_()
    linear = -(blended_logits(features, text, Blend(w, each, bias)) * one_hot(labels, c)).sum() / len(labels)
    penalties = (w.square().sum() + each.square().sum() / scale) / (2 * c)
    for gradient in torch.autograd.grad(linear + penalties, (w, each)):
        assert gradient.abs().max() < 1e-12


def test_the_sum_is_the_mean_as_many_times_as_there_are_images():
    features, labels, text = drawn(0, n=9)
    mean, total = (initial_blend(features, labels, text, 250.0, start) for start in ("mean", "sum"))
    assert torch.allclose(total.w, 3 * mean.w) and torch.equal(total.alpha, mean.alpha)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("learn_bias", [False, True])
def test_updates_are_block_gradient_steps(accumulate, learn_bias):
    features, labels, text = drawn(1)
    w, alpha, _ = initial_blend(features, labels, text, 10.0)
    start = Blend(w, alpha, torch.tensor([0.5, 0.0, -0.25], dtype=w.dtype))
    w_step, alpha_step = step_sizes(features, text, 3.0)

    def gradients() -> tuple[torch.Tensor, ...]:
        blend = Blend(*(part.clone().requires_grad_() for part in (w, alpha, bias)))
        return torch.autograd.grad(cross_entropy(blended_logits(features, text, blend), labels), blend)

    bias, total = start.bias, torch.zeros_like(alpha)
    speed, bias_speed = torch.zeros_like(w), torch.zeros_like(bias)
    path = list(descend(features, labels, text, start, 4, 2, 0.5, 3.0, accumulate, learn_bias))
    assert len(path) == 4
    for iteration, found in enumerate(path):
        of_w, of_alpha, of_bias = gradients()
        total = total + of_alpha
        speed, bias_speed = 0.5 * speed - w_step * of_w, 0.5 * bias_speed - w_step * of_bias
        w, bias = w + speed, bias + learn_bias * bias_speed
        if iteration % 2:
            alpha = alpha - alpha_step * (total if accumulate else gradients()[1])
        for part, expected in zip(found, (w, alpha, bias), strict=True):
            assert torch.allclose(part, expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_without_momentum_the_loss_never_rises(seed, scale):
    features, labels, text = drawn(seed)
    path = descend(
        features, labels, text, initial_blend(features, labels, text, scale), 200, alpha_every=1, momentum=0.0
    )
    losses = torch.stack([cross_entropy(blended_logits(features, text, blend), labels) for blend in path])
    assert (losses.diff() <= 1e-12).all() and losses[-1] < losses[0]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_descent_ends_at_the_minimum(momentum):
    features, labels, text = drawn(2)
    blend = initial_blend(features, labels, text, 10.0)
    *_, last = descend(features, labels, text, blend, 3000, alpha_every=10, momentum=momentum)
    oracle = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(features, labels)
    least = cross_entropy(features @ torch.from_numpy(oracle.coef_).T, labels)
    assert cross_entropy(blended_logits(features, text, last), labels).item() == pytest.approx(least.item(), abs=1e-6)


def test_what_is_kept_is_the_iteration_that_validation_images_chose(build, capsys):
    trainer = build("LPpp", "OPTIM.MAX_EPOCH", 0)
    text = trainer.probe.text
    names = trainer.dm.dataset.classnames
    assert torch.allclose(text, trainer.backbone.encode_text([f"a photo of a {n}." for n in names]), atol=1e-5)
    support, images = (trainer.plain_features(items) for items in (trainer.train_items, trainer.dm.dataset.val))
    labels, answers = (labels_of(items) for items in (trainer.train_items, trainer.dm.dataset.val))
    with torch.no_grad():
        trainer.fit(support, labels)
        kept = score(trainer.logits(images), answers)
    path = list(descend(support, labels, text, initial_blend(support, labels, text, 250.0), 300, 10, 0.9))
    scores = [score(blended_logits(images, text, blend), answers) for blend in path]
    first = scores.index(max(scores))
    assert kept == pytest.approx(max(scores)) and len(path) == trainer.settings.ITERATIONS
    assert torch.equal(trainer.probe.w, path[first].w) and torch.equal(trainer.probe.alpha, path[first].alpha)
    assert f"iteration {first + 1} of 300, {kept[0]} right" in capsys.readouterr().out


def test_the_best_iteration_is_the_first_that_is_most_often_right_and_surest():
    images, answers, text = drawn(3)
    good, none, _ = initial_blend(images, answers, text, 0.0)
    path = [Blend(factor * good, none, none) for factor in (-1, 1, 0.5, 1, -1)]  # 0.5 is as often right, less surely
    right = int((blended_logits(images, text, path[1]).argmax(dim=1) == answers).sum())
    assert best_iteration(path, text, "last", images, answers) == (3, f"iteration 4 of 5, {right} right")
    assert best_iteration(path, text, "surest", images, answers) == (1, f"iteration 2 of 5, {right} right")


def test_the_chosen_iteration_is_kept_not_the_last(build, monkeypatch):
    trainer = build("LPpp", "OPTIM.MAX_EPOCH", 0)
    support, labels = trainer.plain_features(trainer.train_items), labels_of(trainer.train_items)
    text, iterations = trainer.probe.text, trainer.settings.ITERATIONS
    path = list(descend(support, labels, text, initial_blend(support, labels, text, 250.0), iterations, 10, 0.9))
    monkeypatch.setattr(lppp, "best_iteration", lambda *_: Choice(4, "the fifth"))
    with torch.no_grad():
        trainer.fit(support, labels)
    assert torch.equal(trainer.probe.w, path[4].w) and torch.equal(trainer.probe.alpha, path[4].alpha)
    assert not torch.equal(trainer.probe.w, path[-1].w)
