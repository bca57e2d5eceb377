"""Why a vMFCoOp run did what it did: its anchors, offsets, loss terms and their gradients, before and after training.

    python -m report.diagnose output/btmri/shots_16/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend/seed1

"before" is the first step with what a run starts from, "after" the last one with what it learned. Losses and gradients
are those of the whole support set under that epoch's view, so that no choice of mini-batch is in them.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from dassl.errors import UserError, command
from report.ablation import METHOD
from report.tables import FORMATS, GAP, render
from trainers import vmf
from trainers.llm import llm_features
from trainers.losses import anchor_loss, reverse_cross_entropy


class Moment(NamedTuple):
    """A run at one step.

    Attributes:
        prompts: features [C, D] of its prompts.
        terms: its loss terms by name, each with its weight; symmetric cross-entropy as its two parts.
        gradients: of each term, with respect to the context, flat.
        accuracy: of the prompts on the support set, in percent.
        alpha, shift: of the offsets, and the mean norm of alpha delta.
        kept, bare: L_anc without its weight as it is, and as it would be without the offsets.
    """

    prompts: Tensor
    terms: dict[str, float]
    gradients: dict[str, Tensor]
    accuracy: float
    alpha: float | None = None
    shift: float | None = None
    kept: float | None = None
    bare: float | None = None


def load(folder: Path):
    """The trainer of a run, as it was before the first step.

    Raises:
        UserError: no run lies in `folder`; or it is one of another method.
    """
    from dassl.config import get_cfg_default
    from dassl.engine import build_trainer
    from trainers import extend_cfg

    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"Expected a run's config.yaml in {folder}, but there is none: name its seed<n> folder.")
    cfg = get_cfg_default()
    extend_cfg(cfg)
    cfg.merge_from_file(str(path))
    if cfg.TRAINER.NAME != METHOD:
        raise UserError(f"Expected a run of {METHOD}, but {folder} is one of {cfg.TRAINER.NAME}: name another folder.")
    cfg.OUTPUT_DIR = str(folder)
    cfg.freeze()
    return build_trainer(cfg)


def moment(trainer, epoch: int, step: int) -> Moment:
    """What a trainer is like at a step of an epoch, both counted from 0."""
    trainer.epoch, trainer.batch_idx = epoch, step
    features = trainer.train_features(epoch).to(trainer.device)
    labels = torch.tensor([item.label for item in trainer.train_items], device=trainer.device)
    prompts, s = trainer.prompt_features(), trainer.settings
    logits, terms = trainer.loss(features, labels, prompts)
    if "sce" in terms:
        parts = {"ce": cross_entropy(logits, labels), "reverse": reverse_cross_entropy(logits, labels, s.SCE_EPS)}
        terms = parts | {name: term for name, term in terms.items() if name != "sce"}
    ctx = trainer.prompt_learner.ctx
    gradients = {name: torch.autograd.grad(t, ctx, retain_graph=True)[0].flatten() for name, t in terms.items()}
    accuracy = (logits.argmax(dim=1) == labels).double().mean().item() * 100
    found = Moment(prompts.detach(), {name: t.item() for name, t in terms.items()}, gradients, accuracy)
    if not s.LAMBDA_ANC:
        return found
    with torch.no_grad():
        delta, alpha = trainer.offsets.delta, trainer.offsets.alpha
        kept, bare = (anchor_loss(prompts, trainer.anchors, each, alpha).item() for each in (delta, 0 * delta))
        shift = (alpha * delta).norm(dim=-1).mean().item()
    return found._replace(alpha=alpha.item(), shift=shift, kept=kept, bare=bare)


# ------------------------------------------------------------------------------------------------------------ tables


Table = tuple[list[str], list[list[str]]]  # headers and rows


def directions(means: Tensor, anchors: Tensor, before: Tensor, after: Tensor) -> Table:
    """How far apart the classes are in each set of directions [C, D]."""
    names = ["LLM means", "anchors u", "prompts before", "prompts after"]
    rows = []
    for name, u in zip(names, (means, anchors, before, after), strict=True):
        cosines = (u @ u.T)[~torch.eye(len(u), dtype=torch.bool, device=u.device)]
        own = (u * anchors).sum(dim=-1).mean().item()
        rows.append([name, *(f"{x:.3f}" for x in (cosines.mean(), cosines.min(), cosines.max(), own))])
    return ["cosines between classes", "mean", "min", "max", "to own anchor"], rows


def offsets(before: Moment, after: Moment) -> Table:
    """How much of the anchor loss the learned offsets take away."""
    rows = []
    for name, m in (("before", before), ("after", after)):
        taken = GAP if not m.bare else f"{100 * (1 - m.kept / m.bare):.1f} %"
        rows.append([name, f"{m.alpha:.4f}", f"{m.shift:.2e}", f"{m.kept:.4f}", f"{m.bare:.4f}", taken])
    return ["offsets", "alpha", "|alpha delta|", "L_anc", "L_anc without", "taken by offsets"], rows


def terms(before: Moment, after: Moment) -> Table:
    """Each term with its weight, its gradient's norm, and the cosine of that gradient with cross-entropy's."""
    rows = []
    for name in before.terms:
        cells = []
        for m in (before, after):
            gradient, guide = m.gradients[name], m.gradients["ce"]
            along = cosine_similarity(gradient, guide, dim=0).item()
            cells.append([f"{m.terms[name]:.4f}", f"{gradient.norm():.2e}", f"{along:+.2f}"])
        rows.append([name, *(cell for pair in zip(*cells, strict=True) for cell in pair)])
    heads = ("size", "gradient", "cosine with ce's")
    return ["loss term", *(f"{head} {when}" for head in heads for when in ("before", "after"))], rows


def scalars(trainer, field: vmf.VMF, prototypes: vmf.VMF, before: Moment, after: Moment) -> Table:
    """Concentrations, logit scale, weights, accuracies on the support set, share of the reverse term."""
    s, kappa = trainer.settings, prototypes.kappa
    anchors = trainer.anchor_accuracy(
        trainer.plain_features(trainer.train_items), torch.tensor([item.label for item in trainer.train_items])
    )
    rows = [
        ["kappa_C", f"{field.kappa:.1f}"],
        ["kappa_L", f"{kappa.min():.1f} to {kappa.max():.1f}"],
        ["logit scale", f"{float(trainer.backbone.logit_scale):.2f}"],
        ["LAMBDA_ANC, LAMBDA_SC, SCE_EPS", f"{s.LAMBDA_ANC:g}, {s.LAMBDA_SC:g}, {s.SCE_EPS:g}"],
        ["anchors on the support set", f"{anchors:.2f} %"],
        ["prompts on the support set", f"{before.accuracy:.2f} % before, {after.accuracy:.2f} % after"],
    ]
    if "reverse" in before.terms:
        size = [_share(m.terms) for m in (before, after)]
        gradient = [_share({name: g.norm().item() for name, g in m.gradients.items()}) for m in (before, after)]
        rows.append(["reverse term's share of L_SCE", "{:.1f} % before, {:.1f} % after".format(*size)])
        rows.append(["... of the norms of its gradients", "{:.1f} % before, {:.1f} % after".format(*gradient)])
    return ["", f"{METHOD} on {trainer.cfg.DATASET.NAME}, {trainer.backbone.name}"], rows


def _share(values: Mapping[str, float]) -> float:
    """Percentage of the reverse term in what it and cross-entropy sum to."""
    total = values["ce"] + values["reverse"]
    return 100 * values["reverse"] / total if total else 0.0


def tables(folder: Path) -> list[Table]:
    """All tables of the run in `folder`.

    Raises:
        UserError: it is of another method, or not finished.
    """
    with Path(os.devnull).open("w") as silence, contextlib.redirect_stdout(silence):
        trainer = load(folder)
        s = trainer.settings
        field, prototypes = vmf.fit(trainer.vocabulary(), s.KAPPA), vmf.fit(llm_features(trainer, s.N_PROMPTS), s.KAPPA)
        before = moment(trainer, 0, 0)
        found = trainer.resume_model_if_exist(str(folder))
        if found != trainer.max_epoch:
            raise UserError(
                f"Expected a finished run in {folder}, but it is at epoch {found} of {trainer.max_epoch}: resume it."
            )
        after = moment(trainer, trainer.max_epoch - 1, len(trainer.train_loader_x) - 1)
    means = prototypes.mu.to(trainer.anchors)
    found = [
        scalars(trainer, field, prototypes, before, after),
        directions(means, trainer.anchors, before.prompts, after.prompts),
        terms(before, after),
    ]
    return [*found, offsets(before, after)] if s.LAMBDA_ANC else found


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = argparse.ArgumentParser(
        prog="python -m report.diagnose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("runs", nargs="+", type=Path, help="folders of finished runs of vMFCoOp")
    p.add_argument("--format", default="text", choices=FORMATS, help="of the tables")
    args = p.parse_args(argv)
    for folder in args.runs:
        print(f"{folder}\n")
        for headers, rows in tables(folder):
            print(render(headers, rows, args.format), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
