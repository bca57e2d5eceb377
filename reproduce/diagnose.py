"""Diagnose a vMFCoOp run: its anchors, offsets, loss terms and their gradients, before and after training.

    python -m reproduce.diagnose output/btmri/shots_16/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend_claude/seed1

The settings that decide the run's numbers are read from its config.yaml. Where models and data lie is not, since the
folder may have come from elsewhere: give --root and --backbone, unless the run was made with phantoms or a short name
such as BiomedCLIP.

"before" is the first step with the initial values, "after" the last step with the learned ones. Losses and gradients
are those of the whole support set under that epoch's view, so that they do not depend on mini-batches.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from clip.families import known_models
from dassl.errors import UserError, command
from report.render import FORMATS, GAP, render
from report.tables.ablation import METHOD
from runs.spec import PHANTOMS
from runs.stored import deciding, known_name, read_config
from trainers import vmf
from trainers.base.labels import labels_of
from trainers.base.text_features import llm_features
from trainers.losses import anchor_loss, reverse_cross_entropy


class Moment(NamedTuple):
    """A run at one step.

    Attributes:
        prompts: features [C, D] of the prompts.
        terms: its loss terms by name, each with its weight; symmetric cross-entropy as its two parts.
        gradients: of each term, with respect to the context, flat.
        accuracy: of the prompts on the support set, in percent.
        alpha, shift: of the offsets, and the mean norm of alpha delta.
        kept: L_anc without its weight.
        bare: the same without the offsets.
    """

    prompts: Tensor
    terms: dict[str, float]
    gradients: dict[str, Tensor]
    accuracy: float
    alpha: float | None = None
    shift: float | None = None
    kept: float | None = None
    bare: float | None = None


def load_trainer(folder: Path, backbone: str = "", root: str = "") -> Any:
    """Return the trainer of a run, as it was before the first step.

    Args:
        folder: of the run.
        backbone: name of the backbone; that of the run by default, where it is one of ours.
        root: folder of the data sets; "phantoms" by default, where the run was made with them.

    Raises:
        UserError: no run lies in `folder`; it is one of another method; or `backbone` or `root` has to be given.
    """
    from dassl.engine import build_trainer
    from trainers.base.digests import config_digest

    found = read_config(folder)
    if found.TRAINER.NAME != METHOD:
        raise UserError(
            f"Expected a run of {METHOD}, but {folder} is one of {found.TRAINER.NAME}: name another folder."
        )
    if found.DATASET.SUBSAMPLE_CLASSES == "new":
        raise UserError(
            f"Expected a run that has learned, but {folder} tests novel classes: name that on the base classes."
        )
    cfg = deciding(found)
    cfg.MODEL.BACKBONE.NAME = backbone or known_name(found.MODEL.BACKBONE.NAME, known_models(), "--backbone", folder)
    cfg.DATASET.ROOT = root or known_name(found.DATASET.ROOT, [PHANTOMS], "--root", folder)
    cfg.OUTPUT_DIR = str(folder)
    cfg.freeze()
    trainer = build_trainer(cfg)
    trainer.hashes["config"] = config_digest(found)  # the backbone may have another name here; its files are compared
    return trainer


def moment_at(trainer: Any, epoch: int, step: int) -> Moment:
    """Return the state of a trainer at a step of an epoch, both counted from 0."""
    trainer.epoch, trainer.batch_idx = epoch, step
    features = trainer.train_features(epoch).to(trainer.device)
    labels = labels_of(trainer.train_items, trainer.device)
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
        compared, targets = trainer.compared(prompts), trainer.targets
        kept, bare = (anchor_loss(compared, targets, each, alpha).item() for each in (delta, 0 * delta))
        shift = (alpha * delta).norm(dim=-1).mean().item()
    return found._replace(alpha=alpha.item(), shift=shift, kept=kept, bare=bare)


Table = tuple[list[str], list[list[str]]]  # headers and rows


def directions_table(means: Tensor, anchors: Tensor, before: Tensor, after: Tensor) -> Table:
    """Return the cosines between classes in each set of directions [C, D]."""
    names = ["LLM means", "anchors u", "prompts before", "prompts after"]
    rows = []
    for name, u in zip(names, (means, anchors, before, after), strict=True):
        cosines = (u @ u.T)[~torch.eye(len(u), dtype=torch.bool, device=u.device)]
        own = (u * anchors).sum(dim=-1).mean().item()
        rows.append([name, *(f"{x:.3f}" for x in (cosines.mean(), cosines.min(), cosines.max(), own))])
    return ["cosines between classes", "mean", "min", "max", "to own anchor"], rows


def offsets_table(before: Moment, after: Moment) -> Table:
    """Return how much of the anchor loss the learned offsets take away."""
    rows = []
    for name, m in (("before", before), ("after", after)):
        if m.alpha is None or m.shift is None or m.kept is None or m.bare is None:
            continue
        taken = f"{100 * (1 - m.kept / m.bare):.1f} %" if m.bare else GAP
        rows.append([name, f"{m.alpha:.4f}", f"{m.shift:.2e}", f"{m.kept:.4f}", f"{m.bare:.4f}", taken])
    return ["offsets", "alpha", "|alpha delta|", "L_anc", "L_anc without", "taken by offsets"], rows


def terms_table(before: Moment, after: Moment) -> Table:
    """Return each weighted term, the norm of its gradient, and that gradient's cosine with cross-entropy's."""
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


def scalars_table(trainer: Any, field: vmf.VMF, prototypes: vmf.VMF, before: Moment, after: Moment) -> Table:
    """Return concentrations, logit scale, weights, accuracies on the support set, share of the reverse term."""
    s, kappa = trainer.settings, prototypes.kappa
    anchors = trainer.anchor_accuracy(trainer.plain_features(trainer.train_items), labels_of(trainer.train_items))
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
    """Return the percentage of the reverse term in the sum of it and cross-entropy.

    >>> _share({"ce": 1.0, "reverse": 3.0})
    75.0
    """
    total = values["ce"] + values["reverse"]
    return 100 * values["reverse"] / total if total else 0.0


def tables(folder: Path, backbone: str = "", root: str = "") -> list[Table]:
    """Return all tables of the run in `folder`; the arguments are those of `load_trainer`.

    Raises:
        UserError: it is of another method, or not finished.
    """
    with Path(os.devnull).open("w") as silence, contextlib.redirect_stdout(silence):
        trainer = load_trainer(folder, backbone, root)
        s = trainer.settings
        field, prototypes = vmf.fit(trainer.vocabulary(), s.KAPPA), vmf.fit(llm_features(trainer, s.N_PROMPTS), s.KAPPA)
        before = moment_at(trainer, 0, 0)
        epoch = trainer.resume_model_if_exist(str(folder))
        if epoch != trainer.max_epoch:
            raise UserError(
                f"Expected a finished run in {folder}, but it is at epoch {epoch} of {trainer.max_epoch}: resume it."
            )
        after = moment_at(trainer, trainer.max_epoch - 1, len(trainer.train_loader_x) - 1)
    means = prototypes.mu.to(trainer.anchors)
    found = [
        scalars_table(trainer, field, prototypes, before, after),
        directions_table(means, trainer.anchors, before.prompts, after.prompts),
        terms_table(before, after),
    ]
    return [*found, offsets_table(before, after)] if s.LAMBDA_ANC else found


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables of each run."""
    p = argparse.ArgumentParser(
        prog="python -m reproduce.diagnose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("runs", nargs="+", type=Path, help="folders of finished runs of vMFCoOp")
    p.add_argument("--backbone", default="", help="what the runs were made with, unless it is one of ours")
    p.add_argument("--root", default="", help="folder of the data sets that they were made with, unless phantoms")
    p.add_argument("--format", default="text", choices=FORMATS, help="of the tables")
    args = p.parse_args(argv)
    for folder in args.runs:
        print(f"{folder}\n")
        for headers, rows in tables(folder, args.backbone, args.root):
            print(render(headers, rows, args.format), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
