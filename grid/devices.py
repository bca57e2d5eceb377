"""The devices of this machine."""

from collections.abc import Sequence

from dassl.errors import UserError


def devices(asked: Sequence[str] | None) -> list[str]:
    """What is asked for; by default every GPU that is visible, or else the CPU.

    Raises:
        UserError: there is no such device.
    """
    import torch

    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    for device in asked or []:
        if device not in ("cpu", *gpus):
            raise UserError(f'Expected devices of {", ".join(["cpu", *gpus])}, but got "{device}".')
    return list(asked or gpus or ["cpu"])
