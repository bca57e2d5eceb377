"""Print and return accuracy, macro-F1, per-class accuracy and the confusion matrix of a classification."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from dassl.console import tell
from dassl.utils import atomic_write

from .build import EVALUATOR_REGISTRY
from .metrics import Metrics, metrics


class EvaluatorBase:
    """Base of the evaluators: `reset`, then `process` each batch, then `evaluate`."""

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg

    def reset(self) -> None:
        """Forget all batches."""
        raise NotImplementedError

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Collect the model's output and the ground truth of a batch."""
        raise NotImplementedError

    def evaluate(self) -> dict[str, float]:
        """Print and return the results. `trainer.test()` returns the first one."""
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Evaluate accuracy, error rate and macro-F1 in percent, and per-class accuracy and confusion matrix on request.

    Args:
        cfg: reads TEST.PER_CLASS_RESULT, TEST.COMPUTE_CMAT and OUTPUT_DIR.
        lab2cname: class name of each label; needed for per-class results.
    """

    def __init__(self, cfg: CfgNode, lab2cname: dict[int, str] | None = None, **_: Any) -> None:
        super().__init__(cfg)
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise ValueError(
                "Expected class names for TEST.PER_CLASS_RESULT, but got none: build the evaluator with lab2cname."
            )
        self._lab2cname = lab2cname or {}
        self.reset()

    def reset(self) -> None:
        self._batches: list[tuple[Tensor, Tensor]] = []

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Collect scores [B, C] and labels [B]."""
        self._batches.append((mo.detach().cpu(), gt.cpu()))

    def evaluate(self) -> dict[str, float]:
        if not self._batches:
            raise ValueError("Expected scores to evaluate, but no batch was processed: call process() first.")
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
            self._print_per_class(y_true, hits, found)
            results["perclass_accuracy"] = found["balanced_accuracy"]
        if self.cfg.TEST.COMPUTE_CMAT:
            self._save_confusion(y_true, y_pred)
        return results

    def _print_per_class(self, y_true: Tensor, hits: Tensor, found: Metrics) -> None:
        print("=> per-class result")
        for label, name in sorted(self._lab2cname.items()):
            recall = found["per_class"].get(label)
            if recall is None:  # no image
                continue
            of_class = hits[y_true == label]
            print(
                f"* class: {label} ({name})\t"
                f"total: {len(of_class):,}\t"
                f"correct: {int(of_class.sum()):,}\t"
                f"acc: {recall:.2f}%"
            )
        print(f"* average: {found['balanced_accuracy']:.2f}%")

    def _save_confusion(self, y_true: Tensor, y_pred: Tensor) -> None:
        """Save the confusion matrix [C, C]: a row for each true class, whose shares of predicted classes sum to 1."""
        from sklearn.metrics import confusion_matrix

        matrix = confusion_matrix(y_true, y_pred, labels=sorted(self._lab2cname) or None, normalize="true")
        path = Path(self.cfg.OUTPUT_DIR) / "cmat.pt"
        with atomic_write(path, "wb") as file:
            torch.save(torch.from_numpy(matrix), file)
        tell(f"Confusion matrix is saved to {path}")
