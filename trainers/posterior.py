"""The posterior of a class's direction, given its images, its learned prompt and its LLM sentences: pure functions.

Likelihood. Images and texts lie apart on the sphere (the modality gap). Write an image as v = m_V + x, where m_V is the
mean of the class means of the support images. Its logit for a class with direction w is then m_V.w + x.w. The first
term is the same for every image: it is a bias that favours some class whatever the picture shows, and comes from the
gap, not from the images of the class. Centring takes it away, and leaves the von Mises-Fisher likelihood

    p(x | w) proportional to exp(kappa x.w) = exp(kappa |x| (x / |x|).w),   |w| = 1,

that is, a vMF density of the direction of x whose concentration grows with the length of x.

Prior. The texts say where a class lies relative to the others. <t>_c is its deviation from the mean of all classes,
in units of the root mean square over classes; times s, the distance of the images' class means from m_V, it is on the
scale of x. A text worth n_0 images is the vMF prior exp(kappa n_0 s <t>_c . w).

Posterior. The product is a vMF density again, because the exponents add up (the vMF distribution is its own conjugate
in its mean direction):

    p(w | x_1 ... x_K) proportional to exp(kappa W_c.w),   W_c = n_0 s <t>_c + sum_k x_k,

with mode w_c = W_c / |W_c| and concentration kappa |W_c|. A class of K images has a sum of K terms, so that unequal
numbers of images need no correction; a class without images (a novel one) has an empty sum, and keeps its prior.
Without any image at all (K = 0) there is no m_V, it is taken as 0, and what remains is the text relative to the mean of
all classes.

Decision. Images are assigned by kappa x.w_c, the mode, or by the posterior predictive density, which is the likelihood
averaged over the posterior (`predictive_logits`): a class that is not sure of its direction then counts less.

All functions compute in float64. Shapes: C classes, D dimensions, N images; leading axes [...] are a batch.

References:
    Mardia, Jupp: Directional statistics. Wiley 2000 (the conjugate prior, section 10.8).
    Zhou et al.: Test-time distribution normalization for contrastively learned vision-language models. NeurIPS 2023
    (centring of images and texts for zero-shot).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from trainers import vmf

EQUAL = 1e-6  # a smaller distance between unit vectors is rounding
LEAST_SPREAD = 0.05  # of the squared distance of the class means: what of it is never taken for scatter


class Evidence(NamedTuple):
    """What the posterior needs to know of the support images: their sums and numbers.

    Attributes:
        sums: of the unit features of each class [C, D], float64.
        counts: images of each class [C], float64.

    >>> found = gather(torch.eye(2), torch.tensor([0, 0]), n_classes=2)
    >>> found.counts, found.centre, round(found.scatter.item(), 3)
    (tensor([2., 0.], dtype=torch.float64), tensor([0.5000, 0.5000], dtype=torch.float64), 1.0)
    """

    sums: Tensor
    counts: Tensor

    @property
    def means(self) -> Tensor:
        """The mean feature [C', D] of each of the C' classes that have images."""
        there = self.counts > 0
        return self.sums[there] / self.counts[there, None]

    @property
    def centre(self) -> Tensor:
        """m_V [D], the mean of the class means; 0 without images."""
        return self.means.mean(dim=0) if self.counts.any() else self.sums.new_zeros(self.sums.shape[1])

    @property
    def scatter(self) -> Tensor:
        """sigma^2 [], the variance of an image about its class mean, summed over dimensions; 0 with K = 1.

        Features are unit vectors, so that the squared distances of n images from their mean add up to n (1 - |mean|^2).
        """
        within = self.counts.sum() - self.sums.square().sum(dim=1).div(self.counts.clamp(min=1)).sum()
        freedom = self.counts.sum() - (self.counts > 0).sum()
        return (within / freedom.clamp(min=1)).clamp(min=0) * (freedom > 0)

    @property
    def spread(self) -> Tensor:
        """s [], the root mean square distance of the class means from m_V, less what scatter adds to it.

        With n_c images, a class mean scatters by sigma^2 / n_c about the truth: s^2 = mean_c |mean_c - m_V|^2 -
        (1 - 1/C) sigma^2 mean_c (1 / n_c), and at least 5 % of the first term. Where the means are equal, or there is
        no second one, any value gives the same modes: 1.
        """
        counts = self.counts[self.counts > 0]
        if len(counts) < 2:
            return self.sums.new_ones(())
        seen = (self.means - self.centre).square().sum(dim=1).mean()
        noise = (1 - 1 / len(counts)) * self.scatter * (1 / counts).mean()
        spread = torch.maximum(seen - noise, LEAST_SPREAD * seen).sqrt()
        return torch.where(spread < EQUAL, 1.0, spread)

    @property
    def deviations(self) -> Tensor:
        """sum_k (v_ck - m_V) [C, D] of each class; 0 for a class without images."""
        return self.sums - self.counts[:, None] * self.centre


def gather(features: Tensor, labels: Tensor, n_classes: int) -> Evidence:
    """Return the evidence of unit image features [N, D] with labels [N]."""
    y = one_hot(labels, n_classes).to(features.device, torch.double)
    return Evidence(y.T @ features.double(), y.sum(dim=0))


def by_name(rows: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Return the rows of `wanted` names from `rows` [len(names), ...]; zeros for a name that is not there.

    >>> by_name(torch.tensor([1.0, 2.0]), ["glioma tumor", "normal brain"], ["normal brain", "pituitary tumor"])
    tensor([2., 0.])
    """
    place: Mapping[str, int] = {name: i for i, name in enumerate(names)}
    found = rows.new_zeros(len(wanted), *rows.shape[1:])
    for i, name in enumerate(wanted):
        if name in place:
            found[i] = rows[place[name]]
    return found


def size(x: Tensor) -> Tensor:
    """Return the root mean square distance [...] of class vectors [..., C, D] from their mean."""
    x = x.double()
    return (x - x.mean(dim=-2, keepdim=True)).square().sum(dim=-1).mean(dim=-1).sqrt()


def relative(x: Tensor) -> Tensor:
    """Return <x>: class vectors [..., C, D] less their mean, divided by their root mean square distance from it.

    Equal vectors, and a single one, tell nothing about the others: they become zeros.

    >>> relative(torch.tensor([[3.0, 1.0], [1.0, 1.0]]))
    tensor([[ 1.,  0.],
            [-1.,  0.]], dtype=torch.float64)
    """
    x = x.double()
    distance = size(x)[..., None, None]
    equal = distance < EQUAL
    return torch.where(equal, 0.0, (x - x.mean(dim=-2, keepdim=True)) / distance.masked_fill(equal, 1.0))


def text_directions(prompts: Tensor | None, llm: Tensor | None, rho: float) -> Tensor:
    """Return <t> [..., C, D] of t_c = (1 - rho) <P>_c + rho <mu_L>_c (eq. 4, fused with equal concentrations at 0.5).

    Args:
        prompts: features P [..., C, D] of the learned prompts; None without any.
        llm: mean directions mu_L [C, D] of the LLM's sentences; None without any.
        rho: share of the LLM; without a learned prompt it is 1, without sentences 0.
    """
    if prompts is None or llm is None:
        only = llm if prompts is None else prompts
        assert only is not None  # a class has a text
        return relative(only)
    return relative((1 - rho) * relative(prompts) + rho * relative(llm))


def resultant(
    text: Tensor,
    evidence: Evidence,
    n_0: float | Tensor,
    images: bool = True,
    of_classes: Callable[[Tensor], Tensor] = lambda rows: rows,
) -> Tensor:
    """Return W_c = n_0 s <t>_c + sum_k (v_ck - m_V) [..., C, D].

    Args:
        text: <t> [..., C, D].
        evidence: of the support images.
        n_0: images that the text is worth.
        images: add the sum of each class; else the images give m_V and s alone.
        of_classes: returns the rows of the classes of `text` from those of the evidence, where they are not the same.
    """
    prior = n_0 * evidence.spread * text
    return prior + of_classes(evidence.deviations) if images else prior


def mode(W: Tensor) -> Tensor:
    """Return the most probable directions w_c = W_c / |W_c| [..., C, D]; zeros where text and images say nothing."""
    return normalize(W, dim=-1, eps=1e-9)


def concentration(W: Tensor, kappa: float | Tensor) -> Tensor:
    """Return the concentrations kappa |W_c| [..., C] of the posterior: how sure each class is of its direction.

    >>> concentration(torch.tensor([[3.0, 4.0]]), kappa=10.0)
    tensor([50.])
    """
    return kappa * W.norm(dim=-1)


def mode_logits(x: Tensor, w: Tensor, kappa: float | Tensor) -> Tensor:
    """Return kappa x.w_c [N, C] of centred images [N, D] and directions [C, D], or [N, C, D] for each image its own."""
    x, w = x.double(), w.double()
    return kappa * (x @ w.T if w.ndim == 2 else (w @ x[..., None]).squeeze(-1))


def predictive_logits(x: Tensor, w: Tensor, concentrations: Tensor, kappa: float | Tensor, d: int) -> Tensor:
    """Return log of the likelihood averaged over the posterior [N, C], up to a term that all classes share.

    Two vMF densities multiplied are one, unnormalised, with the sum of their parameters: the average is
    C_d(kappa_c) / C_d(|kappa x + kappa_c w_c|). It becomes `mode_logits` plus a shared term as kappa_c grows.

    Args:
        x: centred images [N, D].
        w: modes [C, D] or [N, C, D].
        concentrations: kappa_c [C] or [N, C] of the posterior.
        kappa: of the likelihood.
        d: dimension of the sphere that the directions scatter on.
    """
    length = (kappa * x.double()).square().sum(dim=-1, keepdim=True)
    both = length + concentrations.square() + 2 * concentrations * mode_logits(x, w, kappa)
    return vmf.log_normalizer(concentrations, d) - vmf.log_normalizer(both.clamp(min=0).sqrt(), d)


def penalty(worth: float, kappa: float, spread: float) -> float:
    """Return the strength, for `refine`, of a prior mean that is worth so many images of the length `spread`.

    >>> penalty(2.0, kappa=10.0, spread=0.5)
    50.0
    """
    return worth * (kappa * spread) ** 2


def refine(x: Tensor, labels: Tensor, w: Tensor, kappa: float, strength: float) -> Tensor:
    """Return the directions u [C, D] of a logistic regression whose prior mean is the posterior's mode.

    They minimise the sum over the images of the cross-entropy of the logits kappa x u^T, plus strength |u - w|^2, and
    have about the length 1. Where classes are no spheres, their means do not say where the border is; this looks at it.
    The problem is convex, and solved by SciPy's L-BFGS in float64 on the CPU.

    Args:
        x: centred support images [N, D].
        labels: [N].
        w: modes [C, D].
        kappa: of the likelihood.
        strength: lambda of the penalty.
    """
    images, prior, y = (t.detach().cpu().double().numpy() for t in (x, w, one_hot(labels, len(w))))

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        u = flat.reshape(prior.shape)
        logits = kappa * images @ u.T
        loss = (logsumexp(logits, axis=1) - (logits * y).sum(axis=1)).sum()
        gradient = kappa * (softmax(logits, axis=1) - y).T @ images + 2 * strength * (u - prior)
        return loss + strength * np.square(u - prior).sum(), gradient.ravel()

    found = minimize(objective, prior.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return torch.from_numpy(found.x.reshape(prior.shape)).to(w.device)
