"""SS-Text (Silva-Rodríguez et al. 2025): a linear probe in closed form, between class means and text prototypes."""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from trainers.base.closed_set import ClosedSet
from trainers.base.text_features import ensemble, llm_features
from trainers.zeroshot import ZeroshotCLIP


def solve(text: Tensor, features: Tensor, labels: Tensor, scale: float, weight: float) -> Tensor:
    """The w [C, D] that minimise -(scale / N) sum_i f_i . w_{y_i} + (weight / 2) sum_c |w_c - t_c|^2.

    The first term is what pulls in a cross-entropy: its other part, which pushes, is left out, and so the minimum is
    w_c = t_c + scale / (N weight) sum_{i: y_i = c} f_i.

    Args:
        text: text prototypes t [C, D].
        features: support features f [N, D].
        labels: their classes y [N].
        scale: 1 / temperature of the backbone.
        weight: lambda, how strongly the text holds.
    """
    sums = one_hot(labels, len(text)).to(features).T @ features
    return text + scale / (len(features) * weight) * sums


@TRAINER_REGISTRY.register()
class SSText(ClosedSet, ZeroshotCLIP):
    """Zero-shot classification with prototypes that the support images have moved; no validation images are needed.

    As published, prototypes are means over several descriptions of a class, lambda is 1 / N, and images are seen
    without augmentation. SS-Text+, the variant for classes of unequal size (which K shots do not have), is not here.
    """

    short = "ss_text"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotCLIP.defaults()
        node.TEXT = "ensemble"  # prototypes: "ensemble" of what the LLM wrote, or "template", the prompt TEMPLATE
        node.N_PROMPTS = 50  # LLM prompts per class
        node.LAMBDA = 0.0  # weight of the text; 0 is 1 / N
        return node

    def text_prototypes(self, classnames: list[str]) -> Tensor:
        s = self.settings
        if s.TEXT not in ("ensemble", "template"):
            raise UserError(f'Expected TEXT to be "ensemble" or "template", but got "{s.TEXT}".')
        if s.TEXT == "ensemble":
            return ensemble(llm_features(self, s.N_PROMPTS))
        return super().class_directions(classnames)

    def class_directions(self, classnames: list[str]) -> Tensor:
        features = self.plain_features(self.train_items)
        labels = torch.tensor([item.label for item in self.train_items], device=self.device)
        weight = self.settings.LAMBDA or 1 / len(labels)
        text = self.text_prototypes(classnames)
        return normalize(solve(text, features, labels, self.backbone.logit_scale, weight), dim=-1)
