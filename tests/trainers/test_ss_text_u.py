"""SS-Text-U: Sinkhorn's plan against known ones, the rounds by hand, and SS-Text without unlabelled images."""

import pytest
import torch
from scipy.optimize import minimize
from torch.nn.functional import normalize

import train
from tests.run_folders import record, run_folder
from trainers.ss_text_u import sinkhorn

U = "TRAINER.SSTEXTU."


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def test_rows_and_columns_add_up_to_what_they_should():
    shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.double)
    plan = sinkhorn(3 * drawn(40, 3), shares, iterations=500)
    assert torch.allclose(plan.sum(dim=1), torch.ones(40).double())
    assert torch.allclose(plan.sum(dim=0), 40 * shares, atol=1e-9)


def test_the_plan_of_two_images_and_two_classes():
    """Rows and columns of one leave (p, 1 - p; 1 - p, p), and p^2 / (1 - p)^2 is the odds ratio of the kernel."""
    logits = torch.tensor([[2.0, 0.5], [1.0, 0.7]])
    odds = torch.tensor((2.0 - 0.5) - (1.0 - 0.7)).exp().sqrt()
    p = odds / (1 + odds)
    plan = sinkhorn(logits, torch.tensor([0.5, 0.5]), iterations=200)
    assert torch.allclose(plan, torch.stack([torch.stack([p, 1 - p]), torch.stack([1 - p, p])]), atol=1e-6)


def test_the_plan_is_the_best_with_these_sums():
    logits, shares = drawn(4, 3, seed=1), torch.tensor([0.5, 0.25, 0.25], dtype=torch.double)
    plan = sinkhorn(logits, shares, iterations=500)

    def cost(z):
        z = torch.from_numpy(z).view(4, 3).clamp(min=1e-12)
        return (z * (z.log() - logits)).sum().item()

    def sums(z):  # the last column follows from the others
        z = z.reshape(4, 3)
        return [*(z.sum(1) - 1), *(z.sum(0) - 4 * shares.numpy())[:2]]

    found = minimize(cost, [1 / 3] * 12, constraints={"type": "eq", "fun": sums}, tol=1e-12)
    assert found.success
    assert torch.allclose(plan, torch.from_numpy(found.x).view(4, 3), atol=1e-4)


def test_no_iteration_is_the_softmax_and_one_is_the_authors_step():
    logits, shares = drawn(5, 3), torch.tensor([0.2, 0.3, 0.5], dtype=torch.double)
    assert torch.allclose(sinkhorn(logits, shares, 0), logits.softmax(1))
    kernel = logits.exp()
    kernel = kernel / kernel.sum(dim=0) * shares
    assert torch.allclose(sinkhorn(logits, shares, 1), kernel / kernel.sum(dim=1, keepdim=True))


def test_large_logits_do_not_overflow():
    plan = sinkhorn(torch.tensor([[200.0, 0.0], [199.0, 0.0]]), torch.tensor([0.5, 0.5]), 300)
    assert torch.isfinite(plan).all() and plan[0, 0] > 0.5 > plan[1, 0]


@pytest.mark.parametrize("off", ["N_UNLABELLED", "ROUNDS"])
def test_without_unlabelled_images_it_is_ss_text(build, off):
    kept = build("SSText", "TRAINER.SSTEXT.LAMBDA", 0.7)
    assert torch.equal(build("SSTextU", U + off, 0, U + "LAMBDA", 0.7).directions, kept.directions)
    assert not torch.allclose(build("SSTextU", U + "LAMBDA", 0.7).directions, kept.directions, atol=1e-3)
    published = build("SSText", "TRAINER.SSTEXT.LAMBDA", 2 / 2)  # 2 / K
    assert torch.allclose(build("SSTextU", U + off, 0).directions, published.directions)


def test_rounds_by_hand(build):
    trainer = build("SSTextU", U + "ROUNDS", 2, U + "SINKHORN", 5)
    data, scale = trainer.dm.dataset, trainer.backbone.logit_scale
    text = build("ZeroshotEnsemble").directions
    support = trainer.plain_features(trainer.train_items).view(4, 2, -1)  # class after class, two images each
    others = trainer.plain_features(data.unlabelled(24, 1))
    assert len(others) == 16  # of 6 images of each class 4 are left
    weights = text
    for _ in range(2):
        plan = (scale * others @ normalize(weights, dim=1).T).double().exp()
        for _ in range(5):
            plan = plan / plan.sum(dim=0) / 4
            plan = plan / plan.sum(dim=1, keepdim=True)
        # K = 2: lambda is 1, so that the shots weigh scale / N
        weights = text + scale / 8 * support.sum(dim=1) + scale / 16 * plan.float().T @ others
    assert torch.allclose(trainer.directions, normalize(weights, dim=1), atol=1e-5)


def test_unlabelled_images_are_told_and_part_of_what_a_run_is_known_by(build, capsys):
    one = build("SSTextU")
    assert "Unlabelled images: 4 of each class, others of the training split than the shots; no test image" in (
        capsys.readouterr().out
    )
    fewer = build("SSTextU", U + "N_UNLABELLED", 3)
    assert one.hashes["support"] != fewer.hashes["support"] != build("SSText").hashes["support"]
    assert build("SSTextU", U + "N_UNLABELLED", 0).hashes["support"] == build("SSText").hashes["support"]


def test_all_images_as_shots_leave_none(flags, tmp_path, capsys):
    assert train.main(flags("SSTextU", "OPTIM.MAX_EPOCH", 0, shots=6)) == 0
    assert "Unlabelled images: 0 of each class" in capsys.readouterr().out
    assert record(run_folder(tmp_path, "SSTextU", shots=6))["total"] == 20
