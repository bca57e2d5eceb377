"""CLIP-Adapter: a bottleneck network adapts the image features, and its output is blended with them.

The paper's equations and its authors' code differ. The equations have one ReLU, inside the bottleneck; the code has a
second one behind it (OUTPUT_RELU). The equations do not mention the length of the blended feature; the code makes it 1
before the logits (NORMALIZE), which are cosines then, as in CLIP. The defaults here are the one ReLU of the equations
and the unit length of the code. The bottleneck of the code gets features of any length, which the store does not keep:
ours gets unit features, as in BiomedCoOp's code.

BiomedCoOp's benchmark, `configs/trainers/CLIPAdapter/published.yaml`, has the second ReLU and no unit length.

References:
    Gao, Geng, Zhang, Ma, Fang, Zhang, Li, Qiao: CLIP-Adapter: Better vision-language models with feature adapters.
    IJCV 2024.
    github.com/gaopengcuhk/CLIP-Adapter: the authors' code.
    github.com/HealthX-Lab/BiomedCoOp: trainers/ClipAdapter/clip_adapter_biomedclip.py, the benchmark.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.validation import Choice, ChosenOnValidation, first_best, right_answers
from trainers.zeroshot import ZeroshotCLIP


class Adapters(nn.Module):
    """One adapter for each of R residual ratios alpha, with outputs along alpha ReLU(f W_1) W_2 + (1 - alpha) f.

    The bottlenecks have no bias, as in the paper's equations, and equal initial values.

    Args:
        dim: D of the features.
        reduction: D / width of the bottleneck.
        ratios: R values of alpha.
        output_relu: apply a second ReLU, to what the bottleneck puts out.
        unit: scale the outputs to unit length.

    Attributes:
        chosen: index [] of the ratio that is used in a test.
    """

    rows = ("down", "up", "ratios")  # of each ratio
    ratios: Tensor
    chosen: Tensor

    def __init__(self, dim: int, reduction: int, ratios: list[float], output_relu: bool = False, unit: bool = True):
        super().__init__()
        self.output_relu, self.unit = output_relu, unit
        down, up = nn.Linear(dim, dim // reduction, bias=False), nn.Linear(dim // reduction, dim, bias=False)
        self.down = nn.Parameter(down.weight.detach().T.repeat(len(ratios), 1, 1))  # W_1 [R, D, D / reduction]
        self.up = nn.Parameter(up.weight.detach().T.repeat(len(ratios), 1, 1))  # W_2 [R, D / reduction, D]
        self.register_buffer("ratios", torch.tensor(ratios))
        self.register_buffer("chosen", torch.tensor(0))

    def forward(self, features: Tensor) -> Tensor:
        """Return the adapted features [R, B, D] of features [B, D]."""
        alpha = self.ratios[:, None, None]
        adapted = (features @ self.down).relu() @ self.up
        blended = alpha * (adapted.relu() if self.output_relu else adapted) + (1 - alpha) * features
        return normalize(blended, dim=-1) if self.unit else blended


@TRAINER_REGISTRY.register()
class CLIPAdapter(ChosenOnValidation, ZeroshotCLIP):
    """Train the adapters of all ratios side by side, each by its own cross-entropy; validation images choose one.

    The paper searches the ratio for each data set too. The class directions are those of the prompt TEMPLATE. Only the
    image side is adapted, as in the main experiments of the paper.
    """

    short = "clip_adapter"
    title = "CLIP-Adapter"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotCLIP.defaults()
        node.VIEWS = "none"  # random views of a training image: "none", "one", or "many", another in each epoch
        node.REDUCTION = 4  # D / width of the bottleneck
        node.OUTPUT_RELU = False  # apply a second ReLU, behind the bottleneck
        node.NORMALIZE = True  # scale the blended features to unit length
        node.ALPHAS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]  # ratios that validation images choose from
        node.ALPHA = 0.2  # ratio without validation images, or if ALPHAS is []
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        s = self.settings
        ratios = s.ALPHAS if s.ALPHAS and self.dm.dataset.val else [s.ALPHA]
        self.names = [f"ce_{ratio:g}" for ratio in ratios]
        self.adapters = Adapters(self.backbone.embed_dim, s.REDUCTION, ratios, s.OUTPUT_RELU, s.NORMALIZE)
        self.learn("adapters", self.adapters)

    def logits_of_all(self, features: Tensor) -> Tensor:
        """Return the logits [R, B, C] with each of the ratios."""
        return super().logits(self.adapters(features))

    def logits(self, features: Tensor) -> Tensor:
        return self.logits_of_all(features)[self.adapters.chosen]

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        each = self.logits_of_all(features)
        terms = {name: cross_entropy(logits, labels) for name, logits in zip(self.names, each, strict=True)}
        return each[self.adapters.chosen[None]][0], terms  # an index of one axis does not make the CPU wait for a GPU

    def choose_settings(self) -> None:
        if self.settings.ALPHAS:
            self.adapters.chosen.fill_(self.choose(self.best_ratio, configured=0))

    def best_ratio(self, features: Tensor, labels: Tensor) -> Choice[int]:
        """Choose the index of the ratio with the most right answers, the first one of equals."""
        right = right_answers(self.logits_of_all(features), labels)
        (best,) = first_best(right)
        return Choice(best, f"alpha {self.adapters.ratios[best]:g}, {right[best]} right")
