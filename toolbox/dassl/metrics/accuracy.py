"""Top-k accuracy of a batch."""

from collections.abc import Sequence

from torch import Tensor


def compute_accuracy(output: Tensor | Sequence[Tensor], target: Tensor, topk: Sequence[int] = (1,)) -> list[Tensor]:
    """Return the share of samples, in percent, whose label is among the k highest scores.

    Args:
        output: scores [B, C], or a sequence that starts with them.
        target: labels [B].
        topk: the values of k.

    Returns:
        One tensor of shape [1] for each k.

    >>> import torch
    >>> compute_accuracy(torch.tensor([[0.1, 0.9, 0.0], [0.2, 0.3, 0.5]]), torch.tensor([1, 1]), topk=(1, 2))
    [tensor([50.]), tensor([100.])]
    """
    scores = output if isinstance(output, Tensor) else output[0]
    ranked = scores.topk(max(topk), dim=1).indices
    hits = ranked.eq(target.view(-1, 1)).float()
    return [hits[:, :k].sum().mul(100.0 / len(target)).view(1) for k in topk]
