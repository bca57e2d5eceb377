"""The posterior of a class's direction: its mode as a numerical maximum, its limits, symmetries and moments."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import iv
from torch.nn.functional import normalize

from trainers import posterior as p
from trainers import vmf


def world(seed: int, n_classes: int = 3, dim: int = 6, shots=(4, 4, 4)):
    """Unit features [N, D] and labels [N] of images in a cone, and the text [C, D] of their classes."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(n_classes, dim, generator=g, dtype=torch.double)
    labels = torch.cat([torch.full((k,), c) for c, k in enumerate(shots)])
    noise = torch.randn(len(labels), dim, generator=g, dtype=torch.double)
    features = normalize(3 * torch.ones(dim) + centres[labels] + 0.5 * noise, dim=-1)
    text = normalize(centres + 0.7 * torch.randn(n_classes, dim, generator=g, dtype=torch.double), dim=-1)
    return features, labels, text


def posterior_of(features, labels, text, n_0=8.0):
    seen = p.gather(features, labels, len(text))
    return seen, p.resultant(p.relative(text), seen, n_0)


def test_the_mode_is_where_the_log_posterior_is_highest():
    features, labels, text = world(0)
    seen, W = posterior_of(features, labels, text)
    t, kappa = p.relative(text), 7.0
    for c in range(3):
        x = features[labels == c] - seen.centre
        prior = 8.0 * seen.spread * t[c]

        def loss(u, x=x, prior=prior):
            w = normalize(torch.from_numpy(u), dim=-1)
            likelihood = vmf.log_density(normalize(x, dim=-1), w, kappa * x.norm(dim=-1)).sum()
            return -(likelihood + vmf.log_density(w, normalize(prior, dim=-1), kappa * prior.norm())).item()

        start = np.random.default_rng(c).normal(size=6)
        found = torch.from_numpy(minimize(loss, start, method="BFGS", options={"gtol": 1e-9}).x)
        assert torch.allclose(normalize(found, dim=-1), p.mode(W)[c], atol=1e-4)
        # and the posterior is the vMF density with the concentration that is told: two values differ by as much
        a, b = (torch.from_numpy(np.random.default_rng(s).normal(size=6)) for s in (5, 6))
        own = [vmf.log_density(normalize(u, dim=-1), p.mode(W)[c], p.concentration(W, kappa)[c]).item() for u in (a, b)]
        assert own[0] - own[1] == pytest.approx(loss(b.numpy()) - loss(a.numpy()), abs=1e-9)


def test_moments_of_unequal_numbers_of_images_against_numpy():
    features, labels, _ = world(1, shots=(2, 5, 9))
    seen, images = p.gather(features, labels, 3), features.numpy()
    parts = [images[labels.numpy() == c] for c in range(3)]
    means = np.stack([part.mean(axis=0) for part in parts])
    assert np.allclose(seen.centre, means.mean(axis=0))
    scatter = sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts) / (16 - 3)
    assert seen.scatter.item() == pytest.approx(scatter)
    distance = ((means - means.mean(axis=0)) ** 2).sum(axis=1).mean()
    spread = distance - (1 - 1 / 3) * scatter * np.mean([1 / 2, 1 / 5, 1 / 9])
    assert spread > 0.05 * distance and seen.spread.item() == pytest.approx(np.sqrt(spread))
    assert np.allclose(seen.deviations, np.stack([(part - means.mean(axis=0)).sum(axis=0) for part in parts]))


def test_the_spread_is_that_of_the_truth_whatever_the_number_of_images():
    g = torch.Generator().manual_seed(2)
    truth = 0.05 * torch.randn(4, 200, generator=g, dtype=torch.double)
    for shots in (2, 16):
        found = []
        for _ in range(60):
            noise = 0.03 * torch.randn(4, shots, 200, generator=g, dtype=torch.double)
            x = (truth[:, None] + noise).flatten(0, 1)
            lift = (1 - x.square().sum(dim=1)).sqrt()[:, None]  # one more dimension makes unit vectors of them
            seen = p.gather(torch.cat([x, lift], dim=1), torch.arange(4).repeat_interleave(shots), 4)
            found.append(seen.spread.square().item())
        assert np.mean(found) == pytest.approx(p.size(truth).square().item(), rel=0.05), shots


@given(st.integers(0, 100), st.permutations(range(3)))
def test_a_rotated_or_renumbered_world_has_the_rotated_or_renumbered_posterior(seed, order):
    features, labels, text = world(seed, shots=(1, 3, 4))
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.double))
    _, W = posterior_of(features, labels, text)
    _, turned = posterior_of(features @ turn, labels, text @ turn)
    assert torch.allclose(turned, W @ turn, atol=1e-9)
    number = torch.tensor(order)
    _, other = posterior_of(features, number[labels], text[number.argsort()])
    assert torch.allclose(other[number], W, atol=1e-9)


@given(st.integers(0, 100))
def test_what_all_images_have_in_common_changes_nothing(seed):
    features, labels, text = world(seed)
    seen = p.gather(features, labels, 3)
    gap = torch.ones(6, dtype=torch.double) * seed
    moved = p.Evidence(seen.sums + seen.counts[:, None] * gap, seen.counts)
    assert torch.allclose(moved.deviations, seen.deviations, atol=1e-9)
    w = p.mode(seen.deviations)
    before, after = (p.mode_logits(v - e.centre, w, 5.0) for v, e in ((features, seen), (features + gap, moved)))
    assert torch.allclose(before, after, atol=1e-9)
    assert torch.allclose(p.relative(text + gap), p.relative(text), atol=1e-9)


def test_no_weight_of_the_text_leaves_the_images_and_all_weight_the_text():
    features, labels, text = world(3)
    seen = p.gather(features, labels, 3)
    t = p.relative(text)
    assert torch.allclose(p.mode(p.resultant(t, seen, 1e-9)), p.mode(seen.deviations), atol=1e-6)
    assert torch.allclose(p.mode(p.resultant(t, seen, 1e9)), p.mode(t), atol=1e-6)
    assert torch.equal(p.mode(p.resultant(t, seen, 8, images=False)), p.mode(8 * seen.spread * t))


def test_many_images_outweigh_the_text_and_make_their_class_sure():
    features, labels, text = world(4)
    seen = p.gather(features, labels, 3)
    far = []
    for times in (1, 10, 1000, 100_000):
        many = p.Evidence(seen.sums * times, seen.counts * times)
        W = p.resultant(p.relative(text), many, 8)
        far.append((p.mode(W) - p.mode(seen.deviations)).norm().item())
    assert far == sorted(far, reverse=True) and far[-1] < 1e-3
    assert torch.allclose(p.concentration(W, 2.0), 2.0 * times * seen.deviations.norm(dim=-1), rtol=1e-3)


def test_a_class_without_images_keeps_its_prior_and_leaves_the_others_alone():
    features, labels, text = world(5)
    seen = p.gather(features, labels, 3)
    more = p.gather(features, labels, 4)
    assert torch.equal(more.centre, seen.centre) and torch.equal(more.spread, seen.spread)
    assert torch.equal(more.scatter, seen.scatter) and torch.equal(more.deviations[3], torch.zeros(6).double())
    t = p.relative(torch.cat([text, text[:1] + 1]))
    assert torch.allclose(p.mode(p.resultant(t, more, 8))[3], p.mode(t)[3])


def test_without_any_image_the_text_relative_to_the_mean_class_remains():
    _, _, text = world(6)
    seen = p.gather(torch.zeros(0, 6), torch.zeros(0, dtype=torch.long), 3)
    assert torch.equal(seen.centre, torch.zeros(6).double()) and seen.spread == 1 and seen.scatter == 0
    assert torch.allclose(p.mode(p.resultant(p.relative(text), seen, 8)), vmf.centred(text.double()))


def test_one_class_and_equal_images_are_finite():
    features, labels, text = world(7)
    alone = p.gather(features, labels * 0, 1)
    W = p.resultant(p.relative(text[:1]), alone, 8)
    assert alone.spread == 1 and p.mode(W).isfinite().all() and W.norm() < 1e-6  # it is its own centre
    equal = p.gather(features[:1].expand(6, -1), torch.arange(6) % 3, 3)
    assert equal.scatter < 1e-12 and equal.spread == 1
    assert torch.allclose(p.mode(p.resultant(p.relative(text), equal, 8)), p.mode(p.relative(text)), atol=1e-6)
    one_each = p.gather(features[:3], torch.arange(3), 3)
    assert one_each.scatter == 0 and one_each.spread == pytest.approx(p.size(features[:3]).item())


def test_scatter_that_explains_all_leaves_five_percent():
    g = torch.Generator().manual_seed(8)
    features = normalize(torch.randn(40, 50, generator=g, dtype=torch.double), dim=-1)  # no class differs from another
    seen = p.gather(features, torch.arange(40) % 20, 20)
    distance = (seen.means - seen.centre).square().sum(dim=1).mean()
    assert seen.spread.item() >= (0.05 * distance).sqrt() and seen.spread < 0.5 * distance.sqrt()


def test_texts_are_mixed_relative_to_their_own_source():
    _, _, text = world(9)
    prompts = 0.3 * text.roll(1, dims=1) + 5
    half = p.text_directions(prompts, text, 0.5)
    assert torch.allclose(half, p.relative(p.relative(prompts) + p.relative(text)))
    assert torch.allclose(p.text_directions(prompts, text, 0), p.relative(prompts))
    assert torch.allclose(p.text_directions(prompts, text, 1), p.relative(text))
    assert torch.equal(p.text_directions(None, text, 0.3), p.relative(text))
    assert torch.equal(p.text_directions(prompts, None, 0.3), p.relative(prompts))
    each = p.text_directions(torch.stack([prompts, text]), text, 0.5)  # prompts of two images
    assert torch.allclose(each[0], half) and torch.allclose(each[1], p.relative(text))
    assert p.size(half) == pytest.approx(1)


def test_averaging_over_the_posterior_against_an_integral():
    kappa, kappa_c, x = 3.0, 4.0, torch.tensor([[0.6, 0.8, 0.0]]) * 0.7
    w = torch.tensor([[1.0, 0, 0], [0, 0.6, 0.8]]).double()

    def density(
        c,
    ):  # of x given the class, integrated over directions at angle a from w_c: those around it are a Bessel
        along = kappa * (x[0].double() @ w[c]).item()
        across = np.sqrt((kappa * x.norm().item()) ** 2 - along**2)

        def at(a):
            return np.exp(along * np.cos(a) + kappa_c * np.cos(a)) * iv(0, across * np.sin(a)) * np.sin(a)

        return quad(at, 0, np.pi)[0]

    found = p.predictive_logits(x, w, torch.full((2,), kappa_c).double(), kappa, d=3)[0]
    assert (found[0] - found[1]).item() == pytest.approx(np.log(density(0) / density(1)), abs=1e-8)


def test_a_sure_class_is_judged_by_its_mode_and_an_unsure_one_less():
    features, labels, text = world(10)
    seen, W = posterior_of(features, labels, text)
    x, w = features - seen.centre, p.mode(W)
    plain = p.mode_logits(x, w, 9.0)
    sure = p.predictive_logits(x, w, torch.full((3,), 1e7).double(), 9.0, d=6)
    assert torch.allclose(sure - sure[:, :1], plain - plain[:, :1], atol=1e-3)
    unsure = p.predictive_logits(x, w, torch.full((3,), 5.0).double(), 9.0, d=6)
    assert unsure.softmax(dim=1).amax(dim=1).mean() < plain.softmax(dim=1).amax(dim=1).mean()
    own = w.expand(len(x), -1, -1)
    assert torch.allclose(p.mode_logits(x, own, 9.0), plain)


def test_refinement_against_scikit_learn_and_its_limits():
    from sklearn.linear_model import LogisticRegression

    features, labels, text = world(11, shots=(6, 6, 6))
    x, kappa, strength = features - features.mean(dim=0), 9.0, 2.0
    found = p.refine(x, labels, torch.zeros(3, 6), kappa, strength)
    other = LogisticRegression(C=kappa**2 / (2 * strength), fit_intercept=False, tol=1e-10, max_iter=10_000)
    assert np.allclose(kappa * found, other.fit(x.numpy(), labels.numpy()).coef_, atol=1e-3)
    w = p.mode(p.relative(text))
    assert torch.allclose(p.refine(x, labels, w, kappa, 1e9), w, atol=1e-6)
    loose = p.refine(x, labels, w, kappa, 1e-3)
    assert (p.mode_logits(x, loose, kappa).argmax(dim=1) == labels).all()
    assert (loose - w).norm() > 10 * (p.refine(x, labels, w, kappa, 100.0) - w).norm() > 0
