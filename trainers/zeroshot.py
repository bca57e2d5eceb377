"""Zero-shot baselines: one hand-written prompt, the LLM ensemble, and the ensemble without its outliers."""

from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.text_features import TEMPLATE, ensemble, llm_features, selective_ensemble, template_features


class Zeroshot(FeatureTrainer):
    """Nothing is learned: a subclass says which class directions [C, D] to compare with."""

    def class_directions(self, classnames: list[str]) -> Tensor:
        raise NotImplementedError

    def build_method(self, classnames: list[str]) -> None:
        self.directions = self.class_directions(classnames)

    def logits(self, features: Tensor) -> Tensor:
        return self.backbone.logit_scale * features @ self.directions.T


@TRAINER_REGISTRY.register()
class ZeroshotCLIP(Zeroshot):
    """The prompt TEMPLATE filled with the class name."""

    short = "zeroshot"
    seedless = True

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.TEMPLATE = TEMPLATE
        return node

    def class_directions(self, classnames: list[str]) -> Tensor:
        return template_features(self, classnames, self.settings.TEMPLATE)


@TRAINER_REGISTRY.register()
class ZeroshotEnsemble(Zeroshot):
    """The mean of what the LLM wrote about each class."""

    short = "ensemble"
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
    """The LLM ensemble without the prompts that fit the support images unusually well or ill (labels unseen)."""

    short = "selective_ensemble"

    @staticmethod
    def defaults() -> CfgNode:
        node = ZeroshotEnsemble.defaults()
        node.TAU = 1.5  # outlier threshold, in standard deviations
        return node

    def class_directions(self, classnames: list[str]) -> Tensor:
        images = self.plain_features(self.train_items)
        return selective_ensemble(images, llm_features(self, self.settings.N_PROMPTS), self.settings.TAU)
