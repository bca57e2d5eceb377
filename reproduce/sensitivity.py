"""Measure what the posterior depends on, without a prompt: the text, its weight, the gap, the refinement.

    python -m reproduce sensitivity                              # the development half of the phantoms
    python -m reproduce sensitivity --datasets btmri --shots 4 --seeds 101
    python tests/mni_slices.py build/mni && python -m reproduce sensitivity --folder build/mni --seeds 1 2 3 4 5

Nothing is trained: features come from the store, and each row is a change of one thing. Prints tables in Markdown.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import linear, normalize

from clip import Backbone, FeatureStore, build_backbone
from dassl.errors import command
from dassl.evaluation import metrics
from datasets import load_dataset
from datasets.prompts import load_prompts
from report.render import render
from runs.options import positive
from runs.spec import PHANTOMS
from trainers import posterior
from trainers.base.text_features import TEMPLATE, ensemble
from trainers.linear_probe import best_exponent, halving, logistic_regression
from trainers.ss_text import solve_weights

DEVELOPMENT = ("btmri", "busi", "chmnist", "cmri", "covid", "ctkidney", "dermamnist")
N_0, REFINE = 8.0, 1.0  # the defaults
METHOD = "TRAINER.VMFPROTOTYPES"  # a run with these settings computes the same
SENTENCES = {PHANTOMS: 50}  # per class; 10 for a folder, which the slices of the brain template have
Part = tuple[Tensor, Tensor]  # features [N, D] and labels [N]


@dataclass(frozen=True)
class Draw:
    """A data set and one draw of its support images, as features.

    Attributes:
        support, val, test: features and labels.
        sentences: features of the LLM's sentences [C, n, D].
        template: features of a hand-written prompt [C, D].
        scale: the backbone's logit scale.
        seed: of the draw.
    """

    support: Part
    val: Part
    test: Part
    sentences: Tensor
    template: Tensor
    scale: float
    seed: int

    @property
    def llm(self) -> Tensor:
        """The mean directions [C, D] of the sentences."""
        return ensemble(self.sentences)

    def moved(self, by: float) -> "Draw":
        """Return the draw with a fixed vector of length `by` added to all images: a larger gap."""
        g = torch.Generator().manual_seed(0)
        gap = by * normalize(torch.randn(self.test[0].shape[1], generator=g), dim=0)
        support, val, test = ((features + gap, labels) for features, labels in (self.support, self.val, self.test))
        return replace(self, support=support, val=val, test=test)


Rule = Callable[[Draw], Tensor]  # returns the logits of the test images


def posterior_rule(
    draw: Draw, text: Tensor | None = None, n_0: float = N_0, refine: float = REFINE, spread: bool = False
) -> Tensor:
    """Return the logits of the posterior; `text` replaces the LLM's mean directions [C, D]."""
    text = draw.llm if text is None else text
    features, labels = draw.support
    seen = posterior.gather(features, labels, len(text))
    kappa = draw.scale * posterior.size(text).item()
    W = posterior.resultant(posterior.relative(text), seen, n_0)
    w, x = posterior.mode(W), draw.test[0].double() - seen.centre
    if refine:
        strength = posterior.penalty(refine, kappa, seen.spread.item())
        w = posterior.refine(features.double() - seen.centre, labels, w, kappa, strength)
    if spread:
        concentrations = posterior.concentration(W, kappa)
        return posterior.predictive_logits(x, posterior.mode(w), concentrations, kappa, max(2, len(text)))
    return posterior.mode_logits(x, w, kappa)


def weak_rule(draw: Draw, n_0: float, random: bool) -> Tensor:
    """Return the logits of the posterior with one hand-written prompt, or with directions that know nothing."""
    noise = torch.randn(draw.llm.shape, generator=torch.Generator().manual_seed(draw.seed))
    return posterior_rule(draw, normalize(noise, dim=-1) if random else draw.template, n_0)


def cosine_rule(draw: Draw) -> Tensor:
    return draw.scale * draw.test[0] @ draw.llm.T


def moved_cosine_rule(draw: Draw, by: float) -> Tensor:
    return cosine_rule(draw.moved(by))


def ss_text_rule(draw: Draw) -> Tensor:
    features, labels = draw.support
    w = solve_weights(draw.llm, features, labels, draw.scale, 1 / len(labels))
    return draw.scale * draw.test[0] @ normalize(w, dim=-1).T


def probe_rule(draw: Draw) -> Tensor:
    fitted = lru_cache(partial(logistic_regression, *draw.support))
    return linear(draw.test[0], *fitted(best_exponent(halving, fitted, *draw.val).value))


def rules() -> Iterator[tuple[str, Rule]]:
    """Yield the rows: a name, and what computes the logits."""
    yield f"posterior, no prompt: {METHOD}.N_0 8 {METHOD}.REFINE 1", posterior_rule
    for n_0 in (2.0, 4.0, 16.0, 32.0):
        yield f"{METHOD}.N_0 {n_0:g}", partial(posterior_rule, n_0=n_0)
    for strength in (0.0, 0.1, 0.3, 3.0):
        yield f"{METHOD}.REFINE {strength:g}", partial(posterior_rule, refine=strength)
    yield f"{METHOD}.CONCENTRATION True", partial(posterior_rule, spread=True)
    for n_0 in (8.0, 2.0):
        yield f"one template, n_0 {n_0:g}", partial(weak_rule, n_0=n_0, random=False)
        yield f"random text, n_0 {n_0:g}", partial(weak_rule, n_0=n_0, random=True)
    yield f"images alone ({METHOD}.N_0 0.001)", partial(posterior_rule, n_0=1e-3)
    for by in (1.5, 4.0):
        yield f"all images moved by {by:g}", partial(moved_rule, by=by)
    yield "LLM ensemble", cosine_rule
    for by in (1.5, 4.0):
        yield f"LLM ensemble, all images moved by {by:g}", partial(moved_cosine_rule, by=by)
    yield "SS-Text", ss_text_rule
    yield "linear probe", probe_rule


def moved_rule(draw: Draw, by: float) -> Tensor:
    """Return the logits of the posterior's mode after a shift; moments are those of the features, which it leaves."""
    moved = draw.moved(by)
    features, labels = draw.support
    before = posterior.gather(features, labels, len(draw.llm))
    after = posterior.gather(moved.support[0], labels, len(draw.llm))
    W = N_0 * before.spread * posterior.relative(draw.llm) + after.deviations
    kappa = draw.scale * posterior.size(draw.llm).item()
    return posterior.mode_logits(moved.test[0].double() - after.centre, posterior.mode(W), kappa)


def read_draw(backbone: Backbone, store: FeatureStore, dataset: str, root: str, shots: int, seed: int) -> Draw:
    """Return a draw of a data set as features."""
    with contextlib.redirect_stdout(sys.stderr):  # its notes are no part of the table
        data = load_dataset(dataset, root=root, shots=shots, seed=seed)
    support, val, test = (
        (store.images(data.paths(part)), torch.tensor(data.labels(part))) for part in ("train", "val", "test")
    )
    count = SENTENCES.get(root, 10)
    bank = load_prompts(data.key, "claude", data.classnames, count, bank=data.prompt_bank)
    sentences = torch.stack([store.texts(texts) for texts in bank])
    template = store.texts([TEMPLATE.replace("{}", name.replace("_", " ")) for name in data.classnames])
    return Draw(support, val, test, sentences, template, float(backbone.logit_scale), seed)


def table(draws: dict[int, list[Draw]]) -> str:
    """Return accuracy and calibration error of each row, averaged over draws, by number of shots."""
    rows = []
    for name, rule in rules():
        cells = []
        for some in draws.values():
            found = [metrics(rule(draw).float(), draw.test[1], range(len(draw.llm))) for draw in some]
            cells.append(" / ".join(f"{fmean(each[key] for each in found):.1f}" for key in ("accuracy", "ece")))
        rows.append([name, *cells])
    return render(["accuracy / ECE (%)", *(f"K = {k}" for k in draws)], rows, "markdown")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m reproduce sensitivity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--datasets", nargs="+", default=list(DEVELOPMENT), help="phantoms (default: the development half)")
    p.add_argument("--folder", help="a folder of your own images, in place of phantoms")
    p.add_argument("--shots", nargs="+", type=positive, default=[1, 4, 16], help="default: 1 4 16")
    p.add_argument("--seeds", nargs="+", type=int, default=[101, 102, 103], help="default: 101 102 103")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    args = parser().parse_args(argv)
    backbone = build_backbone("PhantomCLIP")
    store = FeatureStore(backbone)
    places = [("folder", args.folder)] if args.folder else [(name, PHANTOMS) for name in args.datasets]
    draws = {
        k: [read_draw(backbone, store, name, root, k, seed) for name, root in places for seed in args.seeds]
        for k in args.shots
    }
    what = "own images" if args.folder else f"phantoms {', '.join(args.datasets)}"
    print(f"{what}, seeds {', '.join(map(str, args.seeds))}, PhantomCLIP (phantom)\n\n{table(draws)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
