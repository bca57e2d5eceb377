"""Zero-shot baselines: one hand-written prompt, the LLM ensemble, and the ensemble without outliers.

References:
    Radford et al.: Learning transferable visual models from natural language supervision. ICML 2021.
    Koleilat, Asgariandehkordi, Rivaz, Xiao: BiomedCoOp: Learning to prompt for biomedical vision-language models.
    CVPR 2025 (the selective ensemble).
"""

from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.linear_head import affine
from trainers.base.text_features import TEMPLATE, ensemble, llm_features, selective_ensemble, template_features


class Zeroshot(FeatureTrainer):
    """Classify by the nearest class direction, without learning; a subclass defines `class_directions`."""

    def class_directions(self, classnames: list[str]) -> Tensor:
        """Return the directions [C, D] of the classes, unit norm."""
        raise NotImplementedError

    def build_method(self, classnames: list[str]) -> None:
        self.directions = self.class_directions(classnames)

    def text_directions(self) -> Tensor | None:
        return self.directions if type(self).logits is Zeroshot.logits else None  # adapters decide otherwise

    @affine
    def logits(self, features: Tensor) -> Tensor:
        return self.backbone.logit_scale * features @ self.directions.T


class ZeroshotText(Zeroshot):
    """Classify by the text that TEXT names: the start of methods that add images to it."""

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.TEXT = "ensemble"  # text prototypes: "ensemble" of the LLM's prompts, or "template", the prompt TEMPLATE
        node.N_PROMPTS = 50  # LLM prompts per class
        node.TEMPLATE = TEMPLATE  # prompt with {} in place of the class name
        return node

    def class_directions(self, classnames: list[str]) -> Tensor:
        s = self.settings
        if s.TEXT not in ("ensemble", "template"):
            raise UserError(f'Expected TEXT to be "ensemble" or "template", but got "{s.TEXT}": choose one of them.')
        if s.TEXT == "ensemble":
            return ensemble(llm_features(self, s.N_PROMPTS))
        return template_features(self, classnames, s.TEMPLATE)


@TRAINER_REGISTRY.register()
class ZeroshotCLIP(Zeroshot):
    """Use the features of the prompt TEMPLATE with each class name."""

    short = "zeroshot"
    title = 'zero-shot, "a photo of a {}."'
    seedless = True

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.TEMPLATE = TEMPLATE  # prompt with {} in place of the class name
        return node

    def class_directions(self, classnames: list[str]) -> Tensor:
        return template_features(self, classnames, self.settings.TEMPLATE)


@TRAINER_REGISTRY.register()
class ZeroshotEnsemble(Zeroshot):
    """Use the mean direction of the LLM's prompts of each class."""

    short = "ensemble"
    title = "zero-shot, LLM ensemble"
    seedless = True

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.N_PROMPTS = 50  # LLM prompts per class
        return node

    def class_directions(self, classnames: list[str]) -> Tensor:
        return ensemble(llm_features(self, self.settings.N_PROMPTS))


@TRAINER_REGISTRY.register()
class ZeroshotSelectiveEnsemble(Zeroshot):
    """Use the LLM ensemble without the prompts whose score on the support images is an outlier; no label is used.

    On novel classes the support images are those of the base classes.
    """

    short = "selective_ensemble"
    title = "zero-shot, selective ensemble"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotEnsemble.defaults()
        node.TAU = 1.5  # outlier threshold, in standard deviations
        return node

    def class_directions(self, classnames: list[str]) -> Tensor:
        images = self.plain_features(self.train_items)
        return selective_ensemble(images, llm_features(self, self.settings.N_PROMPTS), self.settings.TAU)
