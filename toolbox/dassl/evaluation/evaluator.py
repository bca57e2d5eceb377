"""Classification results: accuracy, macro-F1, per-class accuracy, confusion matrix."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from dassl.utils import atomic_write

from .build import EVALUATOR_REGISTRY
from .metrics import metrics


class EvaluatorBase:
    """What every evaluator does: `reset`, then `process` each batch, then `evaluate`."""

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Take the model's output and the ground truth of a batch."""
        raise NotImplementedError

    def evaluate(self) -> dict[str, float]:
        """Print and return the results; the first one is what `trainer.test()` returns."""
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Accuracy, error rate and macro-F1 in percent, with per-class accuracy and confusion matrix on request.

    Args:
        cfg: reads TEST.PER_CLASS_RESULT, TEST.COMPUTE_CMAT and OUTPUT_DIR.
        lab2cname: class name of each label; needed for per-class results.
    """

    def __init__(self, cfg: CfgNode, lab2cname: dict[int, str] | None = None, **_: Any) -> None:
        super().__init__(cfg)
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise ValueError("TEST.PER_CLASS_RESULT needs class names: build the evaluator with lab2cname.")
        self._lab2cname = lab2cname
        self.reset()

    def reset(self) -> None:
        self._batches: list[tuple[Tensor, Tensor]] = []

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Take scores [B, C] and labels [B]."""
        self._batches.append((mo.detach().cpu(), gt.cpu()))

    def evaluate(self) -> dict[str, float]:
        if not self._batches:
            raise ValueError("Nothing to evaluate: no batch was processed; is the split empty?")
        scores, y_true = map(torch.cat, zip(*self._batches, strict=True))
        y_pred = scores.argmax(dim=1)
        hits = y_true == y_pred
        found = metrics(scores, y_true, range(scores.shape[1]))
        results = {
            "accuracy": found["accuracy"],
            "error_rate": 100.0 - found["accuracy"],
            "macro_f1": found["macro_f1"],
        }
        print(
            "=> result\n"
            f"* total: {len(hits):,}\n"
            f"* correct: {int(hits.sum()):,}\n"
            f"* accuracy: {results['accuracy']:.2f}%\n"
            f"* error: {results['error_rate']:.2f}%\n"
            f"* macro_f1: {results['macro_f1']:.2f}%"
        )
        if self.cfg.TEST.PER_CLASS_RESULT:
            results["perclass_accuracy"] = self._per_class(y_true, hits, found)
        if self.cfg.TEST.COMPUTE_CMAT:
            self._save_confusion(y_true, y_pred)
        return results

    def _per_class(self, y_true: Tensor, hits: Tensor, found: dict) -> float:
        print("=> per-class result")
        for label, recall in found["per_class"].items():
            if recall is None:
                continue
            of_class = hits[y_true == label]
            print(
                f"* class: {label} ({self._lab2cname[label]})\t"
                f"total: {len(of_class):,}\t"
                f"correct: {int(of_class.sum()):,}\t"
                f"acc: {recall:.2f}%"
            )
        print(f"* average: {found['balanced_accuracy']:.2f}%")
        return found["balanced_accuracy"]

    def _save_confusion(self, y_true: Tensor, y_pred: Tensor) -> None:
        """Row = true class, column = predicted, each row summing to 1 where the class occurs."""
        from sklearn.metrics import confusion_matrix

        labels = sorted(self._lab2cname) if self._lab2cname else None
        matrix = confusion_matrix(y_true, y_pred, labels=labels, normalize="true")
        path = Path(self.cfg.OUTPUT_DIR) / "cmat.pt"
        with atomic_write(path, "wb") as file:
            torch.save(torch.from_numpy(matrix), file)
        print(f"Confusion matrix is saved to {path}")
