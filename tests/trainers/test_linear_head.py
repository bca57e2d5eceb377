"""The linear head of every method, and the gradients of its logits with respect to image features."""

import pytest
import torch
from torch.nn.functional import normalize

from tests.gpu.sides import METHODS, options
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.linear_head import head_of, is_affine
from trainers.zeroshot import ZeroshotCLIP

CURVED = ("CoCoOp", "TipAdapter", "TipAdapterF", "CLIPAdapter")
AVERAGED = ("TRAINER.VMFPOSTERIOR.CONCENTRATION", True)
CASES = [
    *((method, ()) for method in METHODS),
    ("vMFPosterior", AVERAGED),
    ("CoOp", ("TRAINER.COOP.INFERENCE", "posterior")),
]


@pytest.fixture
def trained(build, tiny):
    """trained(method, key, value, ...) -> a trainer that has learned, and the unit features [N, D] of test images."""

    def make(method: str, *opts):
        trainer = build(method, *options(method), "OPTIM.LR", 0.05, "TEST.NO_TEST", True, *opts)
        trainer.train()
        trainer.set_model_mode("eval")
        return trainer, trainer.plain_features(trainer.dm.dataset.test)

    return make


@pytest.mark.parametrize(("method", "opts"), CASES)
def test_a_head_gives_the_logits_of_its_method_and_none_means_that_they_are_curved(trained, method, opts):
    trainer, images = trained(method, *opts)
    features = torch.cat([images, normalize(torch.randn(20, 16, generator=torch.Generator().manual_seed(0)), dim=1)])
    with torch.no_grad():
        logits, mirrored = trainer.logits(features), trainer.logits(-features)
        head = trainer.linear_head()
    largest = logits.abs().max().item()
    if head is None:
        assert method in CURVED or opts == AVERAGED
        twice_the_bias = logits + mirrored  # of what is affine
        assert (twice_the_bias - twice_the_bias[0]).abs().max() > 1e-3 * largest
        return
    assert method not in CURVED and opts != AVERAGED
    assert head.weight.shape == (4, 16) and head.bias.shape == (4,)
    torch.testing.assert_close(head.logits(features), logits.double(), atol=1e-5 * largest, rtol=0)


@pytest.mark.parametrize(("method", "opts"), CASES)
def test_gradients_reach_the_features(trained, method, opts):
    trainer, images = trained(method, *opts)
    features = images[:6].clone().requires_grad_()
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(6, 4, generator=generator)
    (gradient,) = torch.autograd.grad((trainer.logits(features) * weights).sum(), features)
    assert gradient.isfinite().all() and (gradient.norm(dim=1) > 1e-3).all()
    for _ in range(3):
        way = normalize(torch.randn(6, 16, generator=generator), dim=1)
        with torch.no_grad():
            ends = [((trainer.logits(images[:6] + step * way)).double() * weights).sum() for step in (2e-3, -2e-3)]
        found, expected = (gradient * way).sum().item(), ((ends[0] - ends[1]) / 4e-3).item()
        assert found == pytest.approx(expected, abs=1e-2 * gradient.norm().item())


def test_what_overrides_the_logits_of_a_linear_method_is_not_taken_for_linear():
    class Squared(ZeroshotCLIP):
        def logits(self, features):
            return super().logits(features).square()

    assert is_affine(ZeroshotCLIP) and not is_affine(Squared) and not is_affine(FeatureTrainer)


def test_logits_that_are_marked_as_affine_and_are_not_give_no_head():
    prompts = torch.eye(4, 8)
    assert torch.allclose(head_of(lambda v: 5 * v @ prompts.T - 1, 8).weight, 5 * prompts.double(), atol=1e-5)
    for curved in (lambda v: (v @ prompts.T).square(), lambda v: (v - 0.1).norm(dim=1, keepdim=True) * prompts[:, 0]):
        with pytest.raises(TypeError, match="affine"):
            head_of(curved, 8)
