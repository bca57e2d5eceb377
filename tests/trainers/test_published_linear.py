"""The linear probe and LP++ under their published protocol, beside the functions of the original BiomedCoOp."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tests.trainers.originals import Seen, check, original, signs, unit
from trainers.base.labels import labels_of
from trainers.lppp import BlendedProbe

MODEL = SimpleNamespace(
    encode_image=torch.clone,  # the images are features
    text=SimpleNamespace(transformer=SimpleNamespace(dtype=torch.float32)),
)
CLASSES, TEST = 4, 97

pytestmark = pytest.mark.usefixtures("tiny")


class Case:
    """K images per class, validation and test images: unit features of 16 entries whose classes overlap.

    Their entries are 1/4 and -1/4, which half precision adds up exactly, plus `noise`.
    """

    def __init__(self, seed: int, shots: int, val_labels: Tensor, noise: float):
        self.seed, self.shots = seed, shots
        self.labels, self.val_labels = torch.arange(CLASSES * shots) % CLASSES, val_labels
        self.test_labels = torch.arange(TEST) % CLASSES
        centres = signs(seed, CLASSES)
        self.outputs, self.val_outputs, self.test = (
            self.around(centres[labels], seed + i, noise)
            for i, labels in enumerate((self.labels, self.val_labels, self.test_labels), start=1)
        )
        # The original divides by the norm, which rounds; L-BFGS makes a hundred times as much of it.
        self.features, self.val = (x / x.norm(dim=-1, keepdim=True) for x in (self.outputs, self.val_outputs))
        self.text = unit(seed + 4, CLASSES, 16)

    @staticmethod
    def around(centres: Tensor, seed: int, noise: float) -> Tensor:
        """Return centres with a third of their signs drawn anew, and noise."""
        drawn = unit(seed, *centres.shape)
        moved = torch.where(drawn > -0.1, centres, signs(seed, len(centres)))
        return normalize(moved + noise * drawn, dim=1) if noise else moved

    def theirs(self, method: nn.Module, text: Tensor) -> tuple[float, float]:
        """Return the loss and the test accuracy in percent that a method of the original reports."""
        return method(
            train_loader=[(self.outputs, self.labels)],
            val_loader=[(self.val_outputs, self.val_labels)],
            test_features=self.test,
            test_labels=self.test_labels,
            text_weights=text.T,
            model=MODEL,
            classnames=[str(k) for k in range(CLASSES)],
        )

    def arguments(self) -> dict:
        return {"lr": 0.001, "train_epoch": 300, "shots": self.shots, "num_step": 8, "output_dir": ""}


@pytest.fixture
def fitted(build, monkeypatch):
    """fitted(method, seed, shots): a case, and the test logits of a trainer of the published protocol, fitted to it."""

    def fit(method: str, seed: int, shots: int):
        trainer = build(f"{method}:published", "OPTIM.MAX_EPOCH", 0)
        case = Case(seed, shots, labels_of(trainer.dm.dataset.val), noise=0.0 if method == "lppp" else 0.3)
        monkeypatch.setattr(trainer, "plain_features", lambda items: case.val)
        if method == "lppp":
            trainer.probe.text.copy_(case.text)
        with torch.no_grad():
            if method == "lppp":
                torch.manual_seed(seed)
                trainer.probe.bias.copy_(nn.Linear(16, CLASSES).bias)
            trainer.fit(case.features, case.labels)
            return case, trainer.logits(case.test)

    return fit


def right(logits: Tensor, labels: Tensor) -> Tensor:
    return 100 * (logits.argmax(dim=1) == labels).double().mean()


# In these, each end of an interval is the better one at times, and none is so by the rounding of one kind of processor.
@pytest.mark.parametrize(("shots", "seed"), [(1, 7), (1, 35), (4, 6), (4, 7)])
def test_the_linear_probe_is_the_benchmarks(fitted, seed, shots):
    case, logits = fitted("linear_probe", 100 * seed, shots)

    def theirs():
        with original("trainers.LP.linear_probe_biomedclip") as module:
            fits = []

            class Kept(module.LogisticRegression):
                def predict(self, features):
                    fits.append(self.decision_function(features))
                    return super().predict(features)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "LogisticRegression", Kept)
                _, accuracy = case.theirs(module.LinearProbe_BiomedCLIP(case.arguments()), case.text)
        return {"logits": torch.from_numpy(fits[-1])[:6], "accuracy": torch.tensor(accuracy)}

    check(
        f"LinearProbe {seed} {shots}",
        {"logits": logits[:6], "accuracy": right(logits, case.test_labels)},
        theirs,
        elsewhere=2e-2,  # L-BFGS stops where the rounding of a processor lets it
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shots", [1, 4])
def test_lppp_is_the_benchmarks(fitted, seed, shots):
    case, logits = fitted("lppp", 100 * seed, shots)

    def theirs():
        with original("trainers.LP2.linear_probe_p2_biomedclip") as module, Seen(TEST) as seen:
            torch.manual_seed(case.seed)  # of the bias
            _, accuracy = case.theirs(module.LinearProbe_P2_BiomedCLIP(case.arguments()), case.text)
        return {"logits": seen.logits[:6], "accuracy": torch.tensor(accuracy)}

    check(f"LPpp {seed} {shots}", {"logits": logits[:6], "accuracy": right(logits, case.test_labels)}, theirs)


def test_the_bias_starts_as_that_of_a_linear_layer():
    text = unit(0, 5, 16)
    torch.manual_seed(1)
    bias = BlendedProbe(text, learn_bias=True).bias
    torch.manual_seed(1)
    assert torch.equal(bias, nn.Linear(16, 5).bias) and bias.unique().numel() == 5
    assert BlendedProbe(text, learn_bias=False).bias is None
