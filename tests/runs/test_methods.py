"""Each method's step against the same arithmetic done by hand."""

import pytest
import torch
from torch.nn import functional as F

from datasets.prompts import load_prompts
from trainers import losses, vmf
from trainers.base.step import compute_losses
from trainers.base.text_features import ensemble, selective_ensemble
from trainers.biomedcoop import kdsp_loss, sccm_loss


def first_batch(trainer):
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    return batch, batch["features"], batch["label"]


def step(trainer, features, labels):
    """Logits and loss terms of one batch."""
    return compute_losses([trainer], [(features, labels)])[0]


def bank(trainer) -> torch.Tensor:
    names = trainer.dm.dataset.classnames
    prompts = load_prompts("btmri", "claude", names, 50)
    return torch.stack([trainer.backbone.encode_text(p) for p in prompts])


def written(trainer) -> torch.Tensor:
    return trainer.backbone.encode_text([f"a photo of a {n}." for n in trainer.dm.dataset.classnames])


def test_zero_shot_methods(build):
    trainer = build("ZeroshotCLIP")
    _, features, _ = first_batch(trainer)
    scale = trainer.backbone.logit_scale
    assert torch.allclose(trainer.logits(features), scale * features @ written(trainer).T, atol=1e-4)
    llm = build("ZeroshotEnsemble")
    assert torch.allclose(llm.logits(features), scale * features @ ensemble(bank(llm)).T, atol=1e-4)
    selective = build("ZeroshotSelectiveEnsemble")
    support = selective.plain_features(selective.train_items)
    expected = selective_ensemble(support, bank(selective), 1.5)
    assert torch.allclose(selective.directions, expected, atol=1e-6)
    assert not torch.allclose(selective.directions, llm.directions, atol=1e-6)


def test_coop_takes_a_plain_sgd_step(build):
    trainer = build("CoOp", "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5)
    batch, features, labels = first_batch(trainer)
    ctx = trainer.prompt_learner.ctx
    start = ctx.detach().clone()
    logits = trainer.backbone.logit_scale * features @ trainer.prompt_features().T
    (grad,) = torch.autograd.grad(F.cross_entropy(logits, labels), ctx)
    summary = trainer.forward_backward(batch)
    step = grad + trainer.cfg.OPTIM.WEIGHT_DECAY * start
    assert torch.allclose(ctx, start - 0.5 * step, atol=1e-6)
    assert summary["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert summary["acc"] == pytest.approx((logits.argmax(1) == labels).float().mean().item() * 100)


def test_biomedcoop_losses_golden():
    prompts, target = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert sccm_loss(prompts, target).item() == 1.0  # (1 + 1) / (C x D)
    student, teacher = torch.zeros(1, 2), torch.tensor([[0.0, 3.0**0.5]]).exp().log()
    p = teacher.softmax(1)
    expected = (p * (p.log() - torch.tensor(0.5).log())).sum() / 2
    assert kdsp_loss(student, teacher).item() == pytest.approx(expected.item(), rel=1e-5)
    assert kdsp_loss(teacher, teacher).item() == pytest.approx(0, abs=1e-6)


def test_biomedcoop_terms(build):
    trainer = build("BiomedCoOp")
    _, features, labels = first_batch(trainer)
    s = trainer.settings
    assert (s.SCCM_LAMBDA, s.KDSP_LAMBDA, s.TAU) == (0.5, 0.25, 1.5)  # published for BTMRI
    logits, terms = step(trainer, features, labels)
    scale, prompts = trainer.backbone.logit_scale, written(trainer)
    teacher = scale * features @ selective_ensemble(features, bank(trainer), 1.5).T
    assert torch.allclose(logits, scale * features @ prompts.T, atol=1e-4)
    assert terms["ce"].item() == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert terms["sccm"].item() == pytest.approx(0.5 * sccm_loss(prompts, ensemble(bank(trainer))).item(), rel=1e-4)
    assert terms["kdsp"].item() == pytest.approx(0.25 * kdsp_loss(logits, teacher).item(), rel=1e-4)


def test_vmfcoop_anchors_and_terms(build, capsys):
    weights = ("TRAINER.VMFCOOP.LAMBDA_ANC", 0.7, "TRAINER.VMFCOOP.LAMBDA_SC", 0.3, "TRAINER.VMFCOOP.SCE_EPS", 1e-3)
    trainer = build("vMFCoOp", *weights)
    log = capsys.readouterr().out
    field, classes = vmf.fit(trainer.backbone.encode_vocabulary()), vmf.fit(bank(trainer))
    anchors = vmf.fuse(field, classes).float()
    assert torch.allclose(trainer.anchors, anchors, atol=1e-5)
    assert f"kappa_C {field.kappa:.1f}" in log
    assert all(f"kappa_L {kappa:.1f}" in log for kappa in classes.kappa)
    assert f"Mean cosine between anchors: {vmf.mean_cosine(anchors):.3f}" in log
    assert "Accuracy of the anchors alone on the support set" in log

    _, features, labels = first_batch(trainer)
    logits, terms = step(trainer, features, labels)
    prompts = written(trainer)
    assert terms["sce"].item() == pytest.approx(losses.symmetric_cross_entropy(logits, labels, 1e-3).item(), rel=1e-4)
    assert terms["anc"].item() == pytest.approx(0.7 * (prompts - anchors).square().sum(1).mean().item(), rel=1e-4)
    sc = losses.spherical_contrastive_loss(prompts, anchors, trainer.settings.TAU_0)
    assert terms["sc"].item() == pytest.approx(0.3 * sc.item(), rel=1e-4)
    last = trainer.total_iterations
    trainer.epoch, trainer.batch_idx = trainer.max_epoch, 0
    assert trainer.iteration == last
    sc = losses.spherical_contrastive_loss(prompts, anchors, trainer.settings.TAU_MAX)
    assert step(trainer, features, labels)[1]["sc"].item() == pytest.approx(0.3 * sc.item(), rel=1e-4)


def test_vmfcoop_terms_can_be_switched_off(build):
    node = "TRAINER.VMFCOOP."
    trainer = build("vMFCoOp", node + "LAMBDA_ANC", 0.0, node + "LAMBDA_SC", 0.0, node + "SCE", False)
    assert trainer.get_model_names() == ["prompt_learner"]
    _, features, labels = first_batch(trainer)
    logits, terms = step(trainer, features, labels)
    assert terms.keys() == {"ce"}
    assert terms["ce"].item() == pytest.approx(F.cross_entropy(logits, labels).item())


def test_vmfcoop_learns_context_offsets_and_alpha(build):
    trainer = build("vMFCoOp", "OPTIM.WARMUP_EPOCH", 0)
    batch, _, _ = first_batch(trainer)
    before = [p.detach().clone() for p in (trainer.prompt_learner.ctx, trainer.offsets.delta)]
    assert trainer.offsets.alpha.item() == pytest.approx(0.1) and not before[1].any()
    trainer.forward_backward(batch)
    trainer.forward_backward(batch)  # alpha moves once delta has left zero
    for start, now in zip(before, (trainer.prompt_learner.ctx, trainer.offsets.delta), strict=True):
        assert not torch.equal(start, now)
    assert trainer.offsets.alpha.item() != pytest.approx(0.1, abs=1e-12) and trainer.offsets.alpha > 0


@pytest.mark.parametrize("kappa", ["mle", "debiased"])
def test_vmfcoop_kappa_variants_change_the_anchors(build, kappa):
    trainer = build("vMFCoOp", "TRAINER.VMFCOOP.KAPPA", kappa)
    field, classes = vmf.fit(trainer.backbone.encode_vocabulary(), kappa), vmf.fit(bank(trainer), kappa)
    assert torch.allclose(trainer.anchors, vmf.fuse(field, classes).float(), atol=1e-5)


def test_vmfcoop_projected_vocabulary(build):
    encoded, projected = build("vMFCoOp"), build("vMFCoOp", "TRAINER.VMFCOOP.VOCAB_SPACE", "projected")
    assert projected.vocabulary().shape == encoded.vocabulary().shape
    assert not torch.allclose(encoded.anchors, projected.anchors, atol=1e-2)
    with pytest.raises(ValueError, match=r"encoded.*projected.*got \"raw\""):
        build("vMFCoOp", "TRAINER.VMFCOOP.VOCAB_SPACE", "raw")
