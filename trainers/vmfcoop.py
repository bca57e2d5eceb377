"""vMFCoOp: learned prompts are aligned on the unit sphere with anchors that fuse CLIP's vocabulary and LLM prompts.

Both sources are von Mises-Fisher distributions (eqs. 2 to 4); the prompts are learned by a symmetric cross-entropy
(eq. 10), the distance to the anchors (eqs. 5, 6) and a contrast between the anchors (eqs. 7 to 9).

Reference:
    Shao et al.: vMFCoOp: Towards equilibrium on a unified hyperspherical manifold for prompting biomedical VLMs. AAAI.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from trainers import vmf
from trainers.base.choices import check_choices
from trainers.base.feature_trainer import Step
from trainers.base.labels import labels_of
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import llm_features
from trainers.losses import (
    anchor_loss,
    annealed_temperature,
    spherical_contrastive_loss,
    symmetric_cross_entropy,
)


class AnchorOffsets(nn.Module):
    """Learned offsets delta [C, D] of the anchors and their step size alpha > 0 (eq. 5).

    Args:
        n_classes: C.
        dim: D.
        alpha_0: initial alpha; delta is initially 0.
    """

    def __init__(self, n_classes: int, dim: int, alpha_0: float):
        super().__init__()
        self.delta = nn.Parameter(torch.zeros(n_classes, dim))
        self.log_alpha = nn.Parameter(torch.tensor(math.log(alpha_0)))

    @property
    def alpha(self) -> Tensor:
        """The step size [], exp(log_alpha)."""
        return self.log_alpha.exp()


@TRAINER_REGISTRY.register()
class vMFCoOp(PromptTrainer):
    """Add the anchor loss and the contrastive loss, each times its weight, to the symmetric cross-entropy."""

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.N_PROMPTS = 50  # LLM prompts per class
        node.LAMBDA_ANC = 1.0  # weight of L_anc; 0 omits the term
        node.LAMBDA_SC = 1.0  # weight of L_sc; 0 omits the term
        node.SCE = True  # symmetric cross-entropy; False: plain cross-entropy
        node.SCE_EPS = 1e-2  # of eq. 10
        node.TAU_0 = 1.0  # tau of eq. 8 at the first step
        node.TAU_MAX = 10.0  # tau of eq. 8 at the last step
        node.ALPHA_0 = 0.1  # alpha of eq. 5 at the first step
        node.KAPPA = "paper"  # estimate of kappa: "paper" (eqs. 2, 3), "mle" or "debiased"
        node.ANCHORS = "fused"  # in eqs. 5 to 8: those of eq. 4, or "centred", how these differ from their mean
        node.VOCAB_SPACE = "encoded"  # vocabulary: "encoded", each token as a text, or "projected", its embedding alone
        return node

    def build_training(self, classnames: list[str]) -> None:
        super().build_training(classnames)
        s = self.settings
        field = vmf.fit(self.vocabulary(), s.KAPPA)
        prototypes = vmf.fit(llm_features(self, s.N_PROMPTS).cpu(), s.KAPPA)  # on the CPU: equal on all devices
        self.anchors = vmf.fuse(field, prototypes).float().to(self.device)
        self.targets = self.compared(self.anchors)
        self.log_fields(field, prototypes, classnames)
        if s.LAMBDA_ANC:
            self.offsets = AnchorOffsets(len(classnames), self.backbone.embed_dim, s.ALPHA_0)
            self.learn("anchor_offsets", self.offsets, WEIGHT_DECAY=0.0)  # decay would pull alpha towards 1

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        check_choices(cfg, {"ANCHORS": ("fused", "centred")})

    def compared(self, x: Tensor) -> Tensor:
        """Return what eqs. 5 to 8 compare of anchors or prompts [C, D]: themselves, or what tells the classes apart."""
        return vmf.centred(x) if self.settings.ANCHORS == "centred" else x

    def vocabulary(self) -> Tensor:
        """Return the unit vectors [V, D] of the vocabulary, from which the CLIP semantic anchor field is estimated."""
        space = self.settings.VOCAB_SPACE
        if space not in ("encoded", "projected"):
            raise UserError(f'Expected VOCAB_SPACE to be "encoded" or "projected", but got "{space}": choose one.')
        return self.store.vocabulary() if space == "encoded" else self.backbone.project_vocabulary().cpu()

    def log_fields(self, field: vmf.VMF, prototypes: vmf.VMF, classnames: list[str]) -> None:
        """Print the estimated fields, and the accuracy of the anchors alone on the support set."""
        print(f"CLIP semantic anchor field: kappa_C {field.kappa:.1f} (R {field.R:.3f})")
        for name, kappa, r in zip(classnames, prototypes.kappa.tolist(), prototypes.R.tolist(), strict=True):
            print(f"LLM semantic prototype field: kappa_L {kappa:.1f} (R {r:.3f}) {name}")
        before, after = vmf.mean_cosine(prototypes.mu), vmf.mean_cosine(self.anchors)
        print(f"Mean cosine between anchors: {after:.3f} (between the LLM's mean directions: {before:.3f})")
        if not self.on_novel_classes:  # which have no support set
            accuracy = self.anchor_accuracy(self.plain_features(self.train_items), labels_of(self.train_items))
            print(f"Accuracy of the anchors alone on the support set: {accuracy:.2f}%")

    def anchor_accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Return the accuracy, in percent, of the nearest anchor for features [N, D] and labels [N] on the CPU."""
        return ((features @ self.anchors.T).argmax(dim=1).cpu() == labels).double().mean().item() * 100

    def extra_metrics(self, features: Tensor, labels: Tensor) -> dict[str, float]:
        found = super().extra_metrics(features, labels)
        return found | {"anchor_accuracy": self.anchor_accuracy(features, labels)}  # nothing is chosen by it

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        s = self.settings
        logits = self.cosine_logits(features, prompts)
        if s.SCE:
            terms = {"sce": symmetric_cross_entropy(logits, labels, s.SCE_EPS)}
        else:
            terms = {"ce": cross_entropy(logits, labels)}
        compared = self.compared(prompts)
        if s.LAMBDA_ANC:
            terms["anc"] = s.LAMBDA_ANC * anchor_loss(compared, self.targets, self.offsets.delta, self.offsets.alpha)
        if s.LAMBDA_SC:
            tau = annealed_temperature(self.iteration, self.total_iterations, s.TAU_0, s.TAU_MAX)
            terms["sc"] = s.LAMBDA_SC * spherical_contrastive_loss(compared, self.targets, tau)
        return logits, terms
