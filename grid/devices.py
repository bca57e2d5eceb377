"""The devices of this machine."""

from collections.abc import Sequence
from typing import Any

from dassl.errors import UserError


def devices(asked: Sequence[str] | None, options: Sequence[tuple[str, Any]] = ()) -> list[str]:
    """Return the devices that are asked for; by default every visible GPU, or the CPU without one.

    With USE_CUDA False in `options` it is the CPU too.

    Raises:
        UserError: there is no such device, or a GPU that PyTorch cannot use.
    """
    import torch

    from dassl.utils import choose_device

    use_cuda = str(dict(options).get("USE_CUDA")) != "False"
    if set(asked or ["any"]) != {"cpu"}:
        choose_device(use_cuda)
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    for device in asked or []:
        if device not in ("cpu", *gpus):
            raise UserError(f'Expected devices of {", ".join(["cpu", *gpus])}, but got "{device}".')
    return list(asked or gpus * use_cuda or ["cpu"])
