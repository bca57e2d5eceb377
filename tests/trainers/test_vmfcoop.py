"""vMFCoOp on a backbone in memory: anchors, loss terms, learned parameters, and lines of the log."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from datasets.prompts import load_prompts
from trainers import losses, vmf
from trainers.vmfcoop import AnchorOffsets, vMFCoOp

NODE = "TRAINER.VMFCOOP."
pytestmark = pytest.mark.usefixtures("tiny")


def bank(trainer, n: int = 50) -> torch.Tensor:
    prompts = load_prompts("btmri", "claude", trainer.dm.dataset.classnames, n)
    return torch.stack([trainer.backbone.encode_text(texts) for texts in prompts])


def features_of(trainer, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(3)
    features = normalize(torch.randn(n, trainer.backbone.embed_dim, generator=g), dim=1)
    return features, torch.arange(n) % 4


def terms_of(trainer) -> tuple[torch.Tensor, dict[str, float]]:
    features, labels = features_of(trainer)
    logits, terms = trainer.loss(features, labels, trainer.prompt_features())
    return logits, {name: term.item() for name, term in terms.items()}


def test_settings_start_at_the_papers_values():
    assert dict(vMFCoOp.defaults()) == {
        "INFERENCE": "prompts",  # as published; the five below are the posterior's
        "RHO": 0.5,
        "N_0": 8.0,
        "IMAGES": True,
        "REFINE": 1.0,
        "CONCENTRATION": False,
        "ANCHORS": "fused",
        "PREC": "fp32",
        "N_CTX": 4,
        "CTX_INIT": "a photo of a",
        "CSC": False,
        "CLASS_TOKEN_POSITION": "end",
        "N_PROMPTS": 50,
        "LAMBDA_ANC": 1.0,
        "LAMBDA_SC": 1.0,
        "SCE": True,
        "SCE_EPS": 0.01,
        "TAU_0": 1.0,
        "TAU_MAX": 10.0,
        "ALPHA_0": 0.1,
        "KAPPA": "paper",
        "VIEWS": "many",
        "VOCAB_SPACE": "encoded",
    }


@pytest.mark.parametrize("kappa", ["paper", "mle", "debiased"])
def test_anchors_fuse_the_vocabularys_field_with_the_prompts_prototypes(build, kappa):
    trainer = build("vMFCoOp", NODE + "KAPPA", kappa, NODE + "N_PROMPTS", 20)
    field = vmf.fit(trainer.backbone.encode_vocabulary(), kappa)
    expected = vmf.fuse(field, vmf.fit(bank(trainer, 20), kappa)).float()
    assert trainer.anchors.dtype == torch.float32
    assert torch.allclose(trainer.anchors, expected, atol=1e-5)
    if kappa != "paper":
        usual = vmf.fuse(vmf.fit(trainer.backbone.encode_vocabulary()), vmf.fit(bank(trainer, 20))).float()
        assert not torch.allclose(trainer.anchors, usual, atol=1e-5)


def test_a_projected_vocabulary_is_the_embeddings_through_the_projection(build, tiny):
    trainer = build("vMFCoOp", NODE + "VOCAB_SPACE", "projected")
    assert torch.allclose(trainer.vocabulary(), tiny.project_vocabulary(), atol=1e-6)
    assert not torch.allclose(trainer.vocabulary(), tiny.encode_vocabulary(), atol=1e-2)
    with pytest.raises(ValueError, match=r"VOCAB_SPACE.*encoded.*projected.*got \"raw\""):
        build("vMFCoOp", NODE + "VOCAB_SPACE", "raw")


def test_the_log_says_what_was_estimated(build, capsys):
    trainer = build("vMFCoOp")
    log = capsys.readouterr().out
    field, found = vmf.fit(trainer.backbone.encode_vocabulary()), vmf.fit(bank(trainer))
    assert f"CLIP semantic anchor field: kappa_C {field.kappa:.1f} (R {field.R:.3f})\n" in log
    for name, kappa, r in zip(trainer.dm.dataset.classnames, found.kappa, found.R, strict=True):
        assert f"LLM semantic prototype field: kappa_L {kappa:.1f} (R {r:.3f}) {name}\n" in log
    after, before = vmf.mean_cosine(trainer.anchors), vmf.mean_cosine(found.mu)
    assert after > before
    assert f"Mean cosine between anchors: {after:.3f} (between the LLM's mean directions: {before:.3f})\n" in log
    support = trainer.plain_features(trainer.train_items)
    right = sum(
        int((row @ trainer.anchors.T).argmax()) == item.label
        for row, item in zip(support, trainer.train_items, strict=True)
    )
    assert f"Accuracy of the anchors alone on the support set: {100 * right / 8:.2f}%\n" in log


def test_anchor_accuracy_counts_the_images_nearest_to_their_own_anchor(build):
    trainer = build("vMFCoOp")
    features, labels = trainer.anchors[[0, 1, 2, 3]], torch.tensor([0, 1, 2, 0])
    assert trainer.anchor_accuracy(features, labels) == 75.0
    assert trainer.extra_metrics(features, labels) == {"anchor_accuracy": 75.0}
    assert trainer.extra_metrics(features, torch.tensor([1, 2, 3, 0])) == {"anchor_accuracy": 0.0}
    assert isinstance(trainer.anchor_accuracy(features, labels), float)


def test_offsets_start_at_zero_and_alpha_is_the_exponential_of_what_is_learned(build):
    offsets = AnchorOffsets(3, 5, 0.25)
    assert torch.equal(offsets.delta, torch.zeros(3, 5)) and offsets.alpha.item() == pytest.approx(0.25)
    with torch.no_grad():
        offsets.log_alpha.fill_(-40.0)
    assert 0 < offsets.alpha.item() < 1e-15
    assert {name for name, _ in offsets.named_parameters()} == {"delta", "log_alpha"}
    trainer = build("vMFCoOp", NODE + "ALPHA_0", 0.3)
    assert trainer.offsets.delta.shape == (4, 16) and trainer.offsets.alpha.item() == pytest.approx(0.3)


def test_alpha_and_delta_are_learned_without_weight_decay_and_the_context_with_it(build):
    trainer = build("vMFCoOp", "OPTIM.WEIGHT_DECAY", 0.03)
    assert trainer.get_model_names() == ["prompt_learner", "anchor_offsets"]
    groups = {name: trainer._optims[name].param_groups for name in trainer.get_model_names()}
    assert [group["weight_decay"] for group in groups["anchor_offsets"]] == [0.0]
    assert [group["weight_decay"] for group in groups["prompt_learner"]] == [0.03]
    held = [p for group in groups["anchor_offsets"] for p in group["params"]]
    assert {id(p) for p in held} == {id(trainer.offsets.delta), id(trainer.offsets.log_alpha)}
    assert [group["lr"] for name in groups for group in groups[name]] == [1e-5] * 2  # of the first epoch


def test_a_step_without_gradient_leaves_alpha_where_it_is(build):
    trainer = build("vMFCoOp", "OPTIM.WEIGHT_DECAY", 0.5, "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5)
    for parameter in trainer.offsets.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trainer.model_update("anchor_offsets")
    assert trainer.offsets.alpha.item() == pytest.approx(0.1, rel=1e-6)


def test_terms_are_weighted_and_tau_follows_the_iteration(build):
    opts = (NODE + "LAMBDA_ANC", 0.7, NODE + "LAMBDA_SC", 0.3, NODE + "SCE_EPS", 1e-3, "OPTIM.MAX_EPOCH", 4)
    trainer = build("vMFCoOp", *opts, "DATALOADER.TRAIN_X.BATCH_SIZE", 4)
    with torch.no_grad():
        trainer.offsets.delta.normal_(generator=torch.Generator().manual_seed(0))
    features, labels = features_of(trainer)
    prompts, anchors = trainer.prompt_features(), trainer.anchors
    trainer.epoch, trainer.batch_idx = 1, 1
    logits, terms = terms_of(trainer)
    assert torch.allclose(logits, 20.0 * features @ prompts.T, atol=1e-5)
    target = normalize(anchors + 0.1 * trainer.offsets.delta, dim=1)
    assert list(terms) == ["sce", "anc", "sc"]
    assert terms["sce"] == pytest.approx(losses.symmetric_cross_entropy(logits, labels, 1e-3).item(), rel=1e-5)
    assert terms["anc"] == pytest.approx(0.7 * (prompts - target).square().sum(1).mean().item(), rel=1e-4)
    tau = losses.annealed_temperature(3, 8, 1.0, 10.0)  # step 3 of 4 epochs of 2
    expected = losses.spherical_contrastive_loss(prompts, anchors, tau)
    assert terms["sc"] == pytest.approx(0.3 * expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("opts", "terms", "modules"),
    [
        (("LAMBDA_ANC", 0.0), ["sce", "sc"], ["prompt_learner"]),
        (("LAMBDA_SC", 0.0), ["sce", "anc"], ["prompt_learner", "anchor_offsets"]),
        (("SCE", False), ["ce", "anc", "sc"], ["prompt_learner", "anchor_offsets"]),
        (("LAMBDA_ANC", 0.5, "LAMBDA_SC", 2.0), ["sce", "anc", "sc"], ["prompt_learner", "anchor_offsets"]),
    ],
)
def test_each_term_can_be_switched_off(build, opts, terms, modules):
    opts = [NODE + word if isinstance(word, str) else word for word in opts]
    trainer = build("vMFCoOp", *opts)
    logits, found = terms_of(trainer)
    assert list(found) == terms and trainer.get_model_names() == modules
    if "ce" in found:
        assert found["ce"] == pytest.approx(cross_entropy(logits, features_of(trainer)[1]).item(), rel=1e-6)


def test_centred_anchors_are_compared_by_what_tells_the_classes_apart(build):
    trainer = build("vMFCoOp", "TRAINER.VMFCOOP.ANCHORS", "centred")
    plain = build("vMFCoOp")
    prompts, terms = trainer.prompt_features(), terms_of(trainer)[1]
    assert torch.equal(trainer.anchors, plain.anchors), "the anchors of eq. 4 are the same"
    p, u = (normalize(x - x.mean(dim=0), dim=1) for x in (prompts, trainer.anchors))
    assert terms["anc"] == pytest.approx((p - u).square().sum(dim=1).mean().item(), rel=1e-5)  # delta starts from 0
    affinity = (p @ u.T).log_softmax(dim=1)
    assert terms["sc"] == pytest.approx(-affinity.diagonal().mean().item(), rel=1e-5)  # tau starts from 1
    others = terms_of(plain)[1]
    assert terms["sce"] == others["sce"] and abs(terms["anc"] - others["anc"]) > 1e-3
