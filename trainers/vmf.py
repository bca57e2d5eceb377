"""The von Mises-Fisher distribution on the unit sphere S^{D-1}: pure functions of tensors.

All functions compute and return float64: with D in the hundreds the normaliser spans thousands of nats, and float32
leaves an error of 1e-3 in its logarithm. Symbols as in the paper: mean direction mu, concentration kappa, mean
resultant length R.

References:
    Banerjee, Dhillon, Ghosh, Sra: Clustering on the unit hypersphere using von Mises-Fisher distributions. JMLR 2005.
    Sra: A short note on parameter approximation for von Mises-Fisher distributions. Computational Statistics 2012.
    NIST Digital Library of Mathematical Functions (DLMF), https://dlmf.nist.gov/10.41.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.polynomial import Polynomial
from scipy import special
from torch import Tensor
from torch.nn.functional import normalize

from dassl.errors import UserError

EPS = 1e-6  # of eqs. 2 and 3: keeps kappa finite where all prompts of a class are equal
KAPPA_MAX = 1e5
METHODS = ("paper", "mle", "debiased")  # of `fit`
ORDER_OF_EXPANSION = 16.0  # the uniform expansion is exact to 1e-11 from this order on; scipy's `ive` is used below it
TERMS = 6  # of the uniform expansion


class VMF(NamedTuple):
    """A fitted distribution, or a batch of them.

    Attributes:
        mu: mean direction [..., D], unit norm.
        kappa: concentration [...].
        R: mean resultant length [...], the norm of the mean vector.
    """

    mu: Tensor
    kappa: Tensor
    R: Tensor


def check_unit(x: Tensor, name: str = "x", tol: float = 1e-3) -> None:
    """Raise a ValueError unless the vectors along the last axis of `x` have unit norm."""
    norm = x.norm(dim=-1)
    if not torch.allclose(norm, torch.ones_like(norm), atol=tol):
        worst = norm.flatten()[(norm - 1).abs().argmax()].item()
        raise ValueError(f"Expected `{name}` to hold unit vectors, but one has norm {worst:.4g}: normalise it first.")


# ---------------------------------------------------------------------------------------------- Bessel function I


@lru_cache
def _expansion_polynomials() -> list[Polynomial]:
    """Return the polynomials u_0 to u_TERMS of DLMF 10.41.10, by the recurrence DLMF 10.41.9."""
    p, u = Polynomial([0, 1]), [Polynomial([1.0])]
    for _ in range(TERMS):
        integral = ((1 - 5 * p**2) * u[-1]).integ()
        u.append(p**2 * (1 - p**2) * u[-1].deriv() / 2 + integral / 8)
    return u


def _log_series(v: float, root: Tensor) -> Tensor:
    """Return log sum_k u_k(1/root) / v^k, the correction of the uniform expansion; `root` is sqrt(1 + (kappa/v)^2)."""
    p = 1 / root
    total = torch.zeros_like(p)
    for k, u in reversed(list(enumerate(_expansion_polynomials()))):
        term = torch.zeros_like(p)
        for c in reversed(u.coef):  # Horner
            term = term * p + float(c)
        total = total + term / v**k
    return total.log()


def _log_bessel_over_power(v: float, kappa: Tensor) -> Tensor:
    """Return log(I_v(kappa) / kappa^v), which is finite at kappa = 0 too."""
    at_zero = -math.lgamma(v + 1) - v * math.log(2)
    if v >= ORDER_OF_EXPANSION:  # DLMF 10.41.3 with the log kappa of its exponent cancelled against kappa^v
        root = torch.sqrt(1 + (kappa / v) ** 2)
        eta = root - torch.log1p(root) - math.log(v)
        return v * eta - 0.5 * math.log(2 * math.pi * v) - 0.5 * root.log() + _log_series(v, root)
    scaled = torch.from_numpy(np.asarray(special.ive(v, kappa.cpu().numpy()))).to(kappa)
    small = kappa < 1e-5  # there the next term of the power series is below rounding
    safe = torch.where(small, torch.ones_like(kappa), kappa)
    log_i = torch.where(small, torch.ones_like(scaled), scaled).log() + safe
    return torch.where(small, torch.full_like(kappa, at_zero), log_i - v * safe.log())


# ------------------------------------------------------------------------------------------------- distribution


def mean_resultant_length(kappa: Tensor, d: int) -> Tensor:
    """Return A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa), the expected R at concentration `kappa` >= 0; float64.

    >>> mean_resultant_length(torch.tensor([10.0, 1000.0]), d=512)
    tensor([0.0195, 0.7765], dtype=torch.float64)
    """
    kappa = kappa.double()
    v = d / 2 - 1
    return kappa * torch.exp(_log_bessel_over_power(v + 1, kappa) - _log_bessel_over_power(v, kappa))


class _LogNormalizer(torch.autograd.Function):
    """log C_d(kappa) with its exact derivative -A_d(kappa)."""

    @staticmethod
    def forward(ctx, kappa: Tensor, d: int) -> Tensor:
        ctx.save_for_backward(kappa)
        ctx.d = d
        return -(d / 2) * math.log(2 * math.pi) - _log_bessel_over_power(d / 2 - 1, kappa)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (kappa,) = ctx.saved_tensors
        return -grad * mean_resultant_length(kappa, ctx.d), None  # d/dkappa log C_d = -A_d


def log_normalizer(kappa: Tensor | float, d: int) -> Tensor:
    """Return log C_d(kappa) of the density C_d(kappa) exp(kappa mu.x) on S^{d-1}; differentiable, float64.

    It uses the uniform asymptotic expansion of the Bessel function (DLMF 10.41) for d >= 34, and scipy's `ive` below.

    Raises:
        ValueError: a concentration is negative or not finite, or d < 2.

    >>> log_normalizer(torch.tensor([0.0, 1.0]), d=2)  # -log(2 pi), and -log(2 pi I_0(1))
    tensor([-1.8379, -2.0738], dtype=torch.float64)
    """
    if d < 2:
        raise ValueError(f"Expected a dimension d >= 2, but got {d}: a sphere needs two.")
    kappa = torch.as_tensor(kappa).double()
    if not (torch.isfinite(kappa) & (kappa >= 0)).all():
        raise ValueError(
            f"Expected finite concentrations kappa >= 0, but got {kappa.detach().flatten()[:8].tolist()}: clamp them."
        )
    return _LogNormalizer.apply(kappa, d)


def log_density(x: Tensor, mu: Tensor, kappa: Tensor | float) -> Tensor:
    """Return log p(x; mu, kappa) (Definition 1); float64.

    Args:
        x: unit vectors [..., D].
        mu: mean directions [..., D], unit norm.
        kappa: concentrations [...], or one number for all.
    """
    kappa = torch.as_tensor(kappa).double()
    return log_normalizer(kappa, x.shape[-1]) + kappa * (x.double() * mu.double()).sum(-1)


# --------------------------------------------------------------------------------------------------- estimation


def _newton(kappa: Tensor, R: Tensor, d: int, steps: int = 4) -> Tensor:
    """Return kappa after Newton steps on A_d(kappa) = R (Sra 2012), starting from the closed form.

    Two steps reach float64 precision for d in the hundreds; small d needs the others. Near R = 1 a step may lead to
    kappa <= 0: it is not taken.
    """
    for _ in range(steps):
        A = mean_resultant_length(kappa, d)
        slope = 1 - A**2 - (d - 1) * A / kappa
        step = kappa - (A - R) / slope
        kappa = torch.where((step > 0) & torch.isfinite(step), step, kappa)
    return kappa


def fit(x: Tensor, method: str = "paper", eps: float = EPS, kappa_max: float = KAPPA_MAX) -> VMF:
    """Estimate mean direction and concentration from unit vectors (eqs. 2 and 3).

    Args:
        x: unit vectors [..., n, D]; leading axes are a batch.
        method: how kappa follows from R. "paper": R (D - R^2) / (1 - R^2 + eps) (Banerjee et al. 2005). "mle": the
            maximum of the likelihood, from there by Newton's method. "debiased": as "paper", with R^2 replaced by
            (n R^2 - 1) / (n - 1), because n uniform vectors have R of about n^(-1/2), which would give 50 prompts in
            512 dimensions a kappa of 72.
        eps: keeps kappa finite where all vectors are equal.
        kappa_max: upper limit of kappa.

    Returns:
        VMF with `mu` [..., D], `kappa` [...] and `R` [...], float64; `R` is measured from `x` whatever the method.

    Raises:
        UserError: the method is unknown.
        ValueError: there are no vectors, or a vector is not of unit norm.

    >>> x = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    >>> fit(x)
    VMF(mu=tensor([0.8944, 0.4472, 0.0000], dtype=torch.float64),
        kappa=tensor(9.8387, dtype=torch.float64),
        R=tensor(0.8944, dtype=torch.float64))
    >>> [round(fit(x, method).kappa.item(), 2) for method in METHODS]
    [9.84, 9.47, 4.65]
    """
    if method not in METHODS:
        raise UserError(
            f'Expected method (the setting KAPPA) to be one of {list(METHODS)}, but got "{method}": choose one of them.'
        )
    if x.ndim < 2 or x.shape[-2] == 0:
        raise ValueError(f"Expected unit vectors of shape [..., n >= 1, D], but got {tuple(x.shape)}: give some.")
    check_unit(x)
    n, d = x.shape[-2:]
    mean = sum(some.double().sum(dim=-2) for some in x.split(4096, dim=-2)) / n  # a copy of all would be large
    R = mean.norm(dim=-1)
    r = R
    if method == "debiased" and n > 1:
        r = ((n * R**2 - 1) / (n - 1)).clamp(min=0).sqrt()
    r = r.clamp(max=1.0)
    kappa = (r * (d - r**2) / (1 - r**2 + eps)).clamp(max=kappa_max)
    if method == "mle":
        inside = (r > 0) & (kappa < kappa_max)
        start = torch.where(inside, kappa, torch.ones_like(kappa))
        kappa = torch.where(inside, _newton(start, r, d), kappa).clamp(max=kappa_max)
    return VMF(normalize(mean, dim=-1), kappa, R)


def fuse(field: VMF, prototypes: VMF) -> Tensor:
    """Return the unified semantic anchors u_i = normalise(kappa_C mu_C + kappa_L,i mu_L,i) (eq. 4).

    Args:
        field: the CLIP semantic anchor field, `mu` [D], `kappa` [].
        prototypes: the LLM semantic prototype fields, `mu` [C, D], `kappa` [C].

    Returns:
        Anchors [C, D], unit norm, float64.

    >>> x, y = torch.eye(2, dtype=torch.double)
    >>> one, four, three = torch.tensor(1.0), torch.tensor([4.0]), torch.tensor(3.0)
    >>> fuse(VMF(x, three, one), VMF(y[None], four, one[None]))
    tensor([[0.6000, 0.8000]], dtype=torch.float64)
    """
    a = field.kappa * field.mu
    c = prototypes.kappa[:, None] * prototypes.mu
    return normalize(a + c, dim=-1)


def centred(x: Tensor) -> Tensor:
    """Return the directions [C, D] of the deviations of `x` [C, D] from the mean of its rows.

    >>> centred(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    tensor([[ 0.,  1.],
            [ 0., -1.]])
    """
    return normalize(x - x.mean(dim=0), dim=-1)


def mean_cosine(u: Tensor) -> float:
    """Return the mean cosine between different rows of `u` [C, D], unit norm; 1 means that all rows are equal.

    >>> round(mean_cosine(torch.tensor([[1.0, 0.0], [0.6, 0.8]])), 4)
    0.6
    """
    c = len(u)
    return ((u @ u.T).sum() - c).item() / (c * (c - 1)) if c > 1 else 1.0
