"""The losses of CoOp, CoCoOp, KgCoOp and BiomedCoOp beside the functions of the original BiomedCoOp.

Prompts are what the text tower returns, and images what the image tower returns, up to their length.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tests.trainers.originals import Numbers, check, original, unit
from trainers.base.text_features import ensemble

CLASSES, BATCH, SENTENCES = 4, 6, 8
FEATURES, LABELS = unit(1, BATCH, 16), torch.arange(BATCH) * 3 % CLASSES

pytestmark = pytest.mark.usefixtures("tiny")


class Learner:
    """A prompt learner that returns the same prompts for all images."""

    training = True

    def __init__(self, prompts: Tensor, **fields):
        self.prompts = prompts
        vars(self).update(fields)

    def __call__(self, *images: Tensor) -> Tensor:
        return self.prompts


def model(learner: Learner, **more) -> SimpleNamespace:
    """Return what the original's `CustomCLIP.forward` uses; its towers return vectors of length 2."""
    return SimpleNamespace(
        prompt_learner=learner,
        tokenized_prompts=None,
        image_encoder=lambda image: 2 * image,
        text_encoder=lambda prompts, tokens: 2 * prompts,
        logit_scale=torch.tensor(math.log(20.0)),
        dtype=torch.float32,
        **more,
    )


def tangent(gradient: Tensor, prompts: Tensor) -> Tensor:
    """Return a gradient without its part along the prompts, which the original's division by the norm removes."""
    return gradient - (gradient * prompts).sum(dim=-1, keepdim=True) * prompts


def with_gradient(loss: Tensor, prompts: Tensor, **terms: Tensor) -> Numbers:
    """Return the loss, its terms, and its gradient with respect to prompts on the sphere."""
    (gradient,) = torch.autograd.grad(loss, prompts)
    return {"loss": loss, "gradient": tangent(gradient, prompts.detach()), **terms}


def ours(trainer, rows: int = CLASSES) -> Numbers:
    prompts = unit(2, rows, 16).requires_grad_()
    terms = trainer.loss(FEATURES, LABELS, prompts)[1]
    return with_gradient(sum(terms.values()), prompts, **terms)


def test_coop_is_the_benchmarks(build):
    def theirs() -> Numbers:
        prompts = unit(2, CLASSES, 16).requires_grad_()
        with original("trainers.CoOp.coop_biomedclip") as module:
            loss = cross_entropy(module.CustomCLIP.forward(model(Learner(prompts)), FEATURES), LABELS)
        return with_gradient(loss, prompts, ce=loss)

    check("CoOp", ours(build("CoOp")), theirs)


def test_cocoop_is_the_benchmarks(build):
    def theirs() -> Numbers:
        prompts = unit(2, BATCH * CLASSES, 16).requires_grad_()
        own = Learner(prompts.view(BATCH, CLASSES, 16))
        with original("trainers.CoCoOp.cocoop_biomedclip") as module:
            loss = module.CustomCLIP.forward(model(own), FEATURES, LABELS)
        return with_gradient(loss, prompts, ce=loss)

    check("CoCoOp", ours(build("CoCoOp"), BATCH * CLASSES), theirs)


def test_kgcoop_is_the_benchmarks(build):
    trainer = build("KgCoOp")
    trainer.hand_written = unit(3, CLASSES, 16)

    def theirs() -> Numbers:
        prompts, losses = unit(2, CLASSES, 16).requires_grad_(), []
        with original("trainers.KgCoOp.kgcoop_biomedclip") as module:
            clip = model(Learner(prompts), ori_embedding=2 * trainer.hand_written)
            stub = SimpleNamespace(
                cfg=trainer.cfg,
                w=trainer.settings.W,
                model=lambda image: module.CustomCLIP.forward(clip, image),
                parse_batch_train=lambda batch: (FEATURES, LABELS),
                model_backward_and_update=losses.append,
                batch_idx=0,
                num_batches=2,
            )
            module.KgCoOp_BiomedCLIP.forward_backward(stub, {})
            logits, score = stub.model(FEATURES)
        return with_gradient(losses[0], prompts, ce=cross_entropy(logits, LABELS), kg=trainer.settings.W * score)

    check("KgCoOp", ours(trainer), theirs)


def test_biomedcoop_is_the_benchmarks_without_dropout(build):
    trainer = build("BiomedCoOp", "TRAINER.BIOMEDCOOP.N_PROMPTS", SENTENCES)
    trainer.llm = unit(4, CLASSES, SENTENCES, 16)
    trainer.ensemble = ensemble(trainer.llm)

    def theirs() -> Numbers:
        prompts = unit(2, CLASSES, 16).requires_grad_()
        fixed = {"fixed_embeddings": 2 * trainer.llm, "ZS_image_encoder": lambda image: 2 * image}
        with original("trainers.BiomedCoOp.biomedcoop_biomedclip") as module:
            clip = model(Learner(prompts, **fixed), cfg=trainer.cfg)
            _, ce, sccm, kdsp = module.CustomCLIP.forward(clip, FEATURES, LABELS)
        return with_gradient(ce + sccm + kdsp, prompts, ce=ce, sccm=sccm, kdsp=kdsp)

    check("BiomedCoOp", ours(trainer), theirs)
