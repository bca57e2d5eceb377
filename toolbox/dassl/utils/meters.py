"""Running averages for the log."""

from collections import defaultdict
from collections.abc import Mapping

from torch import Tensor


class AverageMeter:
    """The latest value and the average of a number.

    Args:
        ema: average exponentially (0.9 old, 0.1 new) instead of evenly.

    >>> meter = AverageMeter()
    >>> meter.update(2.0)
    >>> meter.update(5.0, n=2)
    >>> meter.val, meter.avg
    (5.0, 4.0)
    """

    def __init__(self, ema: bool = False) -> None:
        self.ema = ema
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        self.val: float = 0
        self.avg: float = 0
        self.sum: float = 0
        self.count = 0

    def update(self, val: float | Tensor, n: int = 1) -> None:
        """Add a value that is the mean of `n` samples."""
        self.val = val.item() if isinstance(val, Tensor) else val
        self.sum += self.val * n
        self.count += n
        self.avg = 0.9 * self.avg + 0.1 * self.val if self.ema else self.sum / self.count


class MetricMeter:
    """One `AverageMeter` per name, printed as `loss 0.5000 (0.6000) acc ...`."""

    def __init__(self, delimiter: str = " ") -> None:
        self.meters: dict[str, AverageMeter] = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict: Mapping[str, float | Tensor] | None) -> None:
        """Add a value to each named meter; None adds nothing."""
        if input_dict is None:
            return
        if not isinstance(input_dict, Mapping):
            raise TypeError(
                f"Expected a dictionary of metrics, but got {type(input_dict).__name__}: give each metric a name."
            )
        for name, value in input_dict.items():
            self.meters[name].update(value)

    def __str__(self) -> str:
        return self.delimiter.join(f"{name} {m.val:.4f} ({m.avg:.4f})" for name, m in self.meters.items())
