"""vMFPosterior: the prompts of vMFCoOp, and the posterior of images, prompts and sentences in the test.

It goes beyond the paper, and the gain is the inference's: any method's prompts can be tested so (INFERENCE posterior).
"""

from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.digests import POSTERIOR
from trainers.vmfcoop import vMFCoOp


@TRAINER_REGISTRY.register()
class vMFPosterior(vMFCoOp):
    """Train as vMFCoOp; classify by `trainers.posterior`."""

    @staticmethod
    def defaults() -> CfgNode:
        node = vMFCoOp.defaults()
        node.INFERENCE = POSTERIOR
        return node
