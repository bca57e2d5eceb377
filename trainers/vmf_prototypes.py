"""vMFPrototypes: the posterior of images and LLM sentences, without a learned prompt and without epochs."""

from torch import Tensor
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.linear_head import affine
from trainers.base.posterior_inference import PosteriorInference


@TRAINER_REGISTRY.register()
class vMFPrototypes(PosteriorInference):
    """Classify by `trainers.posterior`, whose text is the LLM's sentences alone (RHO 1)."""

    title = "vMFPrototypes (no prompt)"

    @staticmethod
    def defaults() -> CfgNode:
        node = PosteriorInference.defaults()
        node.N_PROMPTS = 50  # LLM prompts per class
        return node

    def before_train(self) -> None:
        super().before_train()
        if not self.start_epoch:
            self.choose_settings()
            self.save_model(0, self.output_dir)

    @affine
    def logits(self, features: Tensor) -> Tensor:
        return self.posterior_logits(features, None)
