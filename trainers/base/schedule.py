"""What a learning-rate schedule counts: epochs, as Dassl does, or iterations."""

from yacs.config import CfgNode

from dassl.utils import check_availability

ITERATION = "iteration"
STEPS = ("epoch", ITERATION)


def in_steps(optim: CfgNode, batches: int) -> CfgNode:
    """Return the section OPTIM with the length of the schedule, its MAX_EPOCH, counted in steps of the schedule.

    These are epochs or iterations, as SCHEDULE_STEP says. Their number is SCHEDULE_LENGTH or, if that is 0, all of the
    training. A cosine that is shorter than the training goes up again after its end, as PyTorch's does.

    Args:
        optim: the section `cfg.OPTIM`.
        batches: number of iterations in an epoch.

    Raises:
        UserError: there is no such step.
    """
    check_availability(optim.SCHEDULE_STEP, STEPS, what="OPTIM.SCHEDULE_STEP")
    whole = optim.MAX_EPOCH * (batches if optim.SCHEDULE_STEP == ITERATION else 1)
    counted = optim.clone()
    counted.merge_from_list(["MAX_EPOCH", optim.SCHEDULE_LENGTH or whole])
    return counted
