"""The same run on both devices, and how far apart the two may be."""

from functools import cache
from pathlib import Path

import pytest
import torch

from dassl.engine import TRAINER_REGISTRY
from runs.config import configure
from runs.record import GAP_PARTS
from runs.spec import RunSpec
from tests.run_folders import record
from trainers import register_all
from trainers.base.closed_set import ClosedSet
from trainers.base.feature_trainer import FeatureTrainer

CPU, GPU = ("USE_CUDA", False), ("USE_CUDA", True)
register_all()
METHODS = [
    name for name in TRAINER_REGISTRY.registered_names() if issubclass(TRAINER_REGISTRY.get(name), FeatureTrainer)
]
OPEN = [name for name in METHODS if not issubclass(TRAINER_REGISTRY.get(name), ClosedSet)]
SHORTER = {  # searches are as long as they need to be to choose something
    "LPpp": ("TRAINER.LPPP.ITERATIONS", 30),
    "TipAdapter": ("TRAINER.TIPADAPTER.SEARCH_STEP", [5, 5]),
    "TipAdapterF": ("TRAINER.TIPADAPTERF.SEARCH_STEP", [5, 5]),
    # Where ProGrad starts from the written prompts, the guide of its first step is rounding alone, and the direction of
    # that is taken out of the gradient: two devices then differ by 2e-4. From noise there is a guide.
    "ProGrad": ("TRAINER.PROGRAD.CTX_INIT", ""),
}


@cache
def options(method: str) -> tuple:
    """KEY VALUE pairs of a run of two steps: one epoch, but none for methods that learn without."""
    spec = RunSpec(method, "btmri", backbone="PhantomCLIP", root="data")
    epochs = min(1, configure(spec).OPTIM.MAX_EPOCH)
    return ("OPTIM.MAX_EPOCH", epochs, "DATALOADER.TRAIN_X.BATCH_SIZE", 4, *SHORTER.get(method, ()))


def learned_by(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the checkpoints that a run left, by module and name."""
    found = {}
    for path in sorted(folder.glob("*/model.pth.tar-*")):
        state = torch.load(path, weights_only=True)["state_dict"]
        found |= {f"{path.parent.name}/{name}": tensor for name, tensor in state.items()}
    return found


def check_alike(folder: Path, other: Path, tolerance: float = 1e-5) -> None:
    """Check that two runs learned the same tensors, and have the same figures.

    Args:
        tolerance: absolute and relative, of a tensor's elements; figures in percent may differ by 100 times as much.
    """
    learned, expected = learned_by(folder), learned_by(other)
    assert learned.keys() == expected.keys()
    for name, tensor in learned.items():
        torch.testing.assert_close(
            tensor, expected[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )
    figures, others = (record(each)["metrics"] for each in (folder, other))
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "auroc", "ece"):
        assert figures[name] == pytest.approx(others[name], abs=100 * tolerance), name
    gap, others_gap = (record(each)["gap"] or {} for each in (folder, other))  # none of another checkout's trainer
    assert gap.keys() == others_gap.keys()
    for name in GAP_PARTS:
        assert gap.get(name) == pytest.approx(others_gap.get(name), abs=100 * tolerance), name
    assert figures["per_class"] == pytest.approx(others["per_class"], abs=100 * tolerance)
