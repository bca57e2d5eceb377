"""What a schedule counts: epochs or iterations, and how many of them."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from dassl.config import get_cfg_default
from dassl.errors import UserError
from tests.trainers.biomedcoop_adapters import rates
from tests.trainers.helpers import BATCHES
from trainers import extend_cfg
from trainers.base.schedule import in_steps

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.mark.parametrize(("step", "length", "steps"), [("epoch", 0, 6), ("iteration", 0, 30), ("iteration", 7, 7)])
def test_its_length_is_all_of_the_training_unless_it_is_given(step, length, steps):
    cfg = get_cfg_default()
    extend_cfg(cfg)
    assert in_steps(cfg.OPTIM, batches=5).MAX_EPOCH == cfg.OPTIM.MAX_EPOCH  # Dassl's
    cfg.merge_from_list(["OPTIM.MAX_EPOCH", 6, "OPTIM.SCHEDULE_STEP", step, "OPTIM.SCHEDULE_LENGTH", length])
    cfg.freeze()
    assert in_steps(cfg.OPTIM, batches=5) == cfg.OPTIM | {"MAX_EPOCH": steps} and cfg.OPTIM.MAX_EPOCH == 6


def test_other_steps_are_refused(build):
    with pytest.raises(UserError, match=r"OPTIM.SCHEDULE_STEP.*epoch, iteration.*batch"):
        build("CoOp", "OPTIM.SCHEDULE_STEP", "batch")


@pytest.mark.parametrize("length", [0, 3])
def test_the_rate_of_each_iteration_is_that_of_pytorchs_cosine_behind_one_of_warm_up(build, length):
    steps = ("OPTIM.SCHEDULE_STEP", "iteration", "OPTIM.SCHEDULE_LENGTH", length)
    trainer = build("CoOp", *BATCHES, *steps, "OPTIM.MAX_EPOCH", 6, "OPTIM.LR", 0.1, "TEST.NO_TEST", True)
    with rates() as found:
        trainer.train()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule, expected = CosineAnnealingLR(optimizer, length or 12), [1e-5]
    for _ in range(11):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert len({round(rate, 9) for rate in found}) == (5 if length else 12)  # a shorter one goes down and up again
