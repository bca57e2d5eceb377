"""vMF geometry against mpmath (golden), scipy where it is right, and its own invariances."""

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.nn.functional import normalize

from dassl.errors import UserError
from trainers import vmf

DIMS = (2, 3, 33, 34, 50, 512, 768, 1024)
KAPPAS = (0.0, 1e-6, 1e-3, 1.0, 12.0, 50.0, 300.0, 1e3, 1e4, 1e5)


def scalar(x) -> torch.Tensor:
    return torch.tensor(float(x), dtype=torch.double)


def sample(d: int, n: int, seed: int, spread: float = 0.3) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    centre = normalize(torch.randn(d, generator=g, dtype=torch.double), dim=-1)
    return normalize(centre + spread / d**0.5 * torch.randn(n, d, generator=g, dtype=torch.double), dim=-1)


def orthogonal(d: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.double))[0]


@pytest.mark.parametrize("d", DIMS)
@pytest.mark.parametrize("kappa", KAPPAS)
def test_log_normalizer_and_mean_length_equal_mpmath(d, kappa):
    with mpmath.workdps(50):
        v = mpmath.mpf(d) / 2 - 1
        log_2pi = mpmath.mpf(d) / 2 * mpmath.log(2 * mpmath.pi)
        if kappa == 0:
            golden, length = mpmath.loggamma(v + 1) + v * mpmath.log(2) - log_2pi, 0
        else:
            k = mpmath.mpf(kappa)
            golden = v * mpmath.log(k) - log_2pi - mpmath.log(mpmath.besseli(v, k))
            length = mpmath.besseli(v + 1, k) / mpmath.besseli(v, k)
    assert vmf.log_normalizer(scalar(kappa), d).item() == pytest.approx(float(golden), rel=1e-13, abs=2e-10)
    assert vmf.mean_resultant_length(scalar(kappa), d).item() == pytest.approx(float(length), rel=2e-10)


def test_normalizers_equal_the_closed_forms_on_circle_and_sphere():
    # S^2: C_3 = kappa / (4 pi sinh kappa); S^1 at kappa = 0: 1 / (2 pi)
    assert vmf.log_normalizer(scalar(2), 3).item() == pytest.approx(math.log(2 / (4 * math.pi * math.sinh(2))))
    assert vmf.log_normalizer(scalar(0), 2).item() == pytest.approx(-math.log(2 * math.pi))


@pytest.mark.parametrize(("d", "kappa"), [(2, 3.0), (3, 8.0), (50, 40.0), (512, 700.0)])
def test_density_equals_scipy_where_scipy_is_right(d, kappa):
    x = sample(d, 5, seed=0)
    mu = normalize(x.mean(0), dim=-1)
    golden = stats.vonmises_fisher(mu.numpy(), kappa).logpdf(x.numpy())
    assert vmf.log_density(x, mu, kappa).numpy() == pytest.approx(golden, rel=1e-10)


def test_density_integrates_to_one_on_the_circle():
    angle = torch.linspace(0, 2 * math.pi, 2001, dtype=torch.double)[:-1]
    x = torch.stack([angle.cos(), angle.sin()], dim=-1)
    total = vmf.log_density(x, x[17], 5.0).exp().mean() * 2 * math.pi
    assert total.item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("d", [3, 40, 512])
def test_gradient_is_minus_the_mean_length(d):
    kappa = torch.tensor([0.5, 20.0, 400.0], dtype=torch.double, requires_grad=True)
    vmf.log_normalizer(kappa, d).sum().backward()
    assert torch.allclose(kappa.grad, -vmf.mean_resultant_length(kappa.detach(), d))
    assert torch.autograd.gradcheck(lambda k: vmf.log_normalizer(k, d), kappa, atol=1e-6)


@pytest.mark.parametrize(
    ("R", "kappa"), [(0.1, 51.72), (0.3, 168.74), (0.5, 341.07), (0.7, 701.84), (0.9, 2421.02), (0.99, 25422.1)]
)
def test_maximum_likelihood_at_512_dimensions(R, kappa):
    # two vectors whose mean has length R
    half = math.acos(R)
    x = torch.zeros(2, 512, dtype=torch.double)
    x[:, 0], x[0, 1], x[1, 1] = math.cos(half), math.sin(half), -math.sin(half)
    found = vmf.fit(x, "mle")
    assert found.R.item() == pytest.approx(R)
    assert found.kappa.item() == pytest.approx(kappa, rel=1e-4)  # which is given to four or five digits
    assert vmf.mean_resultant_length(found.kappa, 512).item() == pytest.approx(R, abs=1e-11)
    closed_form = R * (512 - R**2) / (1 - R**2 + vmf.EPS)
    assert vmf.fit(x).kappa.item() == pytest.approx(closed_form, rel=1e-12)
    assert closed_form == pytest.approx(kappa, rel=5e-4)  # the closed form is good to 3.3e-4 here


@pytest.mark.parametrize("d", [3, 10, 50])
def test_maximum_likelihood_equals_scipys_fit_in_low_dimensions(d):
    x = sample(d, 40, seed=d, spread=1.5)
    mu, kappa = stats.vonmises_fisher.fit(x.numpy())
    found = vmf.fit(x, "mle")
    assert found.kappa.item() == pytest.approx(kappa, rel=1e-5)
    assert found.mu.numpy() == pytest.approx(mu, abs=1e-10)


def test_debiasing_takes_the_floor_away():
    x = normalize(torch.randn(50, 512, generator=torch.Generator().manual_seed(3), dtype=torch.double), dim=-1)
    assert 55 < vmf.fit(x).kappa.item() < 90  # uniform vectors: kappa should be 0, 50 of them suggest about 72
    assert vmf.fit(x, "debiased").kappa.item() < 30
    tight = sample(512, 50, seed=1)
    assert vmf.fit(tight, "debiased").kappa.item() == pytest.approx(vmf.fit(tight).kappa.item(), rel=0.1)
    R = vmf.fit(tight).R.item()
    r = math.sqrt((50 * R**2 - 1) / 49)
    assert vmf.fit(tight, "debiased").kappa.item() == pytest.approx(r * (512 - r**2) / (1 - r**2 + vmf.EPS))


@pytest.mark.parametrize("method", ["paper", "mle", "debiased"])
@pytest.mark.parametrize("n", [1, 20])
def test_identical_prompts_have_a_finite_concentration(method, n):
    found = vmf.fit(sample(512, 1, seed=0).expand(n, -1), method)
    assert found.kappa.item() == vmf.KAPPA_MAX
    assert found.R.item() == pytest.approx(1)


@given(
    seed=st.integers(0, 10_000), d=st.sampled_from([3, 17, 64]), method=st.sampled_from(["paper", "mle", "debiased"])
)
@settings(max_examples=25, deadline=None)
def test_the_estimate_turns_with_the_vectors_and_ignores_their_order(seed, d, method):
    x = sample(d, 12, seed, spread=1.0)
    base = vmf.fit(x, method)
    q = orthogonal(d, seed + 1)
    turned = vmf.fit(x @ q.T, method)
    assert torch.allclose(turned.mu, base.mu @ q.T, atol=1e-9)
    assert torch.allclose(turned.kappa, base.kappa, rtol=1e-8)
    shuffled = vmf.fit(x[torch.randperm(12)], method)
    assert torch.allclose(shuffled.kappa, base.kappa)
    if method != "debiased":  # which knows how many vectors there are
        assert torch.allclose(vmf.fit(torch.cat([x, x]), method).kappa, base.kappa)


def test_kappa_grows_with_R_and_batches_equal_loops():
    batch = torch.stack([sample(64, 10, seed=0, spread=s) for s in (2.0, 1.0, 0.5, 0.1)])
    for method in ("paper", "mle", "debiased"):
        together = vmf.fit(batch, method)
        assert (together.kappa.diff() > 0).all() and (together.R.diff() > 0).all()
        for i, x in enumerate(batch):
            alone = vmf.fit(x, method)
            assert torch.allclose(alone.mu, together.mu[i]) and torch.allclose(alone.kappa, together.kappa[i])


def test_anchors_lie_along_the_sum_of_the_weighted_directions():
    e = torch.eye(3, dtype=torch.double)
    field = vmf.VMF(e[0], scalar(3), scalar(0.5))
    classes = vmf.VMF(e[1:], torch.tensor([4.0, 0.0], dtype=torch.double), torch.tensor([0.5, 0.5]))
    u = vmf.fuse(field, classes)
    assert torch.allclose(u[0], torch.tensor([0.6, 0.8, 0.0], dtype=torch.double))  # 3-4-5
    assert torch.allclose(u[1], e[0])  # a class without concentration follows the vocabulary
    no_field = vmf.fuse(field._replace(kappa=scalar(0)), classes._replace(kappa=torch.tensor([4.0, 2.0])))
    assert torch.allclose(no_field, classes.mu)
    assert vmf.mean_cosine(e) == 0 and vmf.mean_cosine(e[[0, 0]]) == 1


def test_errors_name_what_was_found():
    with pytest.raises(UserError, match=r"method \(the setting KAPPA\).*paper.*mle.*debiased.*got \"newton\""):
        vmf.fit(sample(4, 3, 0), "newton")
    with pytest.raises(ValueError, match=r"unit vectors.*norm 2"):
        vmf.fit(2 * sample(4, 3, 0))
    with pytest.raises(ValueError, match=r"\[\.\.\., n >= 1, D\].*\(0, 4\)"):
        vmf.fit(torch.zeros(0, 4))
    with pytest.raises(ValueError, match=r"kappa >= 0.*-1\.0"):
        vmf.log_normalizer(scalar(-1), 4)
    with pytest.raises(ValueError, match=r"d >= 2.*got 1"):
        vmf.log_normalizer(scalar(1), 1)


def test_guards_have_the_values_that_results_were_made_with():
    tight = sample(512, 9, seed=2, spread=0.2)
    R = vmf.fit(tight).R.item()
    assert vmf.fit(tight).kappa.item() == pytest.approx(R * (512 - R**2) / (1 - R**2 + 1e-6), rel=1e-9)
    assert vmf.fit(sample(64, 1, seed=0)).kappa.item() == 1e5
    assert vmf.fit(tight, eps=0.5).kappa.item() == pytest.approx(R * (512 - R**2) / (1.5 - R**2), rel=1e-9)
    assert vmf.fit(tight, kappa_max=20.0).kappa.item() == vmf.fit(tight, "mle", kappa_max=20.0).kappa.item() == 20


@pytest.mark.parametrize("method", ["paper", "mle", "debiased"])
def test_norms_a_little_above_one_do_not_turn_the_concentration_negative(method):
    x = sample(8, 1, seed=4).expand(3, -1) * 1.0005
    assert vmf.fit(x, method).kappa.item() == vmf.KAPPA_MAX


def test_vectors_are_unit_to_a_thousandth_and_the_worst_is_named():
    vmf.check_unit(torch.tensor([[1.0009, 0.0], [0.0, 0.9991]]))
    with pytest.raises(ValueError, match=r"Expected `x` to hold unit vectors, but one has norm 1\.002"):
        vmf.check_unit(torch.tensor([[1.0015, 0.0]]))
    with pytest.raises(ValueError, match=r"`other`.*norm 0\.5"):
        vmf.check_unit(torch.diag(torch.tensor([1.2, 0.5])), "other")
    with pytest.raises(ValueError, match=r"norm 1\.3"):
        vmf.check_unit(torch.diag(torch.tensor([1.3, 0.9])))
    vmf.check_unit(torch.tensor([[1.2, 0.0]]), tol=0.3)


@pytest.mark.parametrize("R", [0.05, 0.2])
def test_maximum_likelihood_holds_below_a_concentration_of_one(R):
    half = math.acos(R)
    x = torch.tensor([[math.cos(half), math.sin(half), 0.0], [math.cos(half), -math.sin(half), 0.0]])
    kappa = vmf.fit(x.double(), "mle").kappa
    assert kappa < 1 and (1 / torch.tanh(kappa) - 1 / kappa).item() == pytest.approx(R, rel=1e-6)  # A_3 in closed form


@pytest.mark.parametrize("d", [2, 3])
def test_a_newton_step_below_zero_is_not_taken(d):
    # pairs of vectors that nearly agree: there rounding leads some steps far below zero
    half = torch.acos(1 - torch.logspace(-7, -5, 2000, dtype=torch.double))
    x = torch.zeros(2000, 2, d, dtype=torch.double)
    x[:, :, 0], x[:, 0, 1], x[:, 1, 1] = half.cos()[:, None], half.sin(), -half.sin()
    assert (vmf.fit(x, "mle", kappa_max=1e7).kappa > 1e3).all()


def test_debiasing_holds_for_two_vectors_and_one_is_as_it_is():
    x = sample(6, 2, seed=8, spread=0.4)
    R = vmf.fit(x).R.item()
    r = math.sqrt(2 * R**2 - 1)
    assert vmf.fit(x, "debiased").kappa.item() == pytest.approx(r * (6 - r**2) / (1 - r**2 + 1e-6), rel=1e-9)


def test_vectors_that_cancel_have_no_concentration_and_a_field_without_one_moves_no_anchor():
    x = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    for method in ("paper", "mle", "debiased"):
        assert vmf.fit(x, method).kappa.item() == 0 and vmf.fit(x, method).R.item() == 0


def test_many_classes_and_many_vectors_are_summed_in_parts():
    x = normalize(torch.randn(4100, 2, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    assert torch.allclose(vmf.fit(x).R, x.double().mean(dim=1).norm(dim=-1))
    flat = x.flatten(0, 1)  # 8,200: three parts
    assert torch.allclose(vmf.fit(flat).R, flat.double().mean(dim=0).norm())
    assert vmf.fit(flat).mu.dtype == torch.double


def test_mean_cosine_leaves_each_rows_own_out():
    third = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.double)
    assert vmf.mean_cosine(third) == pytest.approx((0.6 + 0.8 + 0) / 3)
    assert vmf.mean_cosine(third[[0, 2]]) == 0
    assert vmf.mean_cosine(third[:1]) == 1.0


def test_concentrations_that_are_not_finite_are_refused():
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite concentrations"):
            vmf.log_normalizer(torch.tensor([1.0, bad]), 4)
    assert vmf.log_normalizer(0, 2).item() == pytest.approx(-math.log(2 * math.pi))
