"""The device that a run computes on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import torch

from dassl.errors import UserError

DRIVER_FILE = Path("/dev/nvidiactl")  # exists if NVIDIA's driver runs
ADVICE = (
    "update the driver, or install a PyTorch built for this GPU and driver (such as pip install torch torchvision "
    "--index-url https://download.pytorch.org/whl/cu126; https://pytorch.org/get-started lists them), or set "
    "USE_CUDA False to run on the CPU"
)


def choose_device(use_cuda: bool = True) -> torch.device:
    """Return the GPU if there is one and `use_cuda` is set, else the CPU.

    Raises:
        UserError: there is a GPU that this PyTorch cannot use, and CUDA_VISIBLE_DEVICES does not hide it.
    """
    if not use_cuda:
        return torch.device("cpu")
    if torch.cuda.is_available():
        _check_architecture()
        return torch.device("cuda")
    if not _is_gpu_hidden() and _has_gpu():
        raise UserError(
            f"Expected PyTorch {torch.__version__} to use the GPU of this machine, but it cannot ({_cuda_problem()}): "
            f"{ADVICE}."
        )
    return torch.device("cpu")


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, such as "NVIDIA A100-SXM4-80GB", or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def describe_device(device: torch.device) -> str:
    """Return the words for a log: "cuda (NVIDIA A100-SXM4-80GB)" or "cpu"."""
    return f"cuda ({device_name(device)})" if device.type == "cuda" else device.type


def runs_on(capability: tuple[int, int], built_for: Iterable[str]) -> bool:
    """Return whether kernels built for some architectures run on a GPU of a compute capability.

    "sm_86" is machine code for 8.6 and later minor versions of 8. "compute_90" is translated for 9.0 and all later.

    >>> runs_on((8, 9), ["sm_86"]), runs_on((9, 0), ["sm_86"])
    (True, False)
    """
    for kind, digits in re.findall(r"\b(sm|compute)_(\d+)", " ".join(built_for)):
        built = divmod(int(digits), 10)
        if built <= capability and (kind == "compute" or built[0] == capability[0]):
            return True
    return False


def _check_architecture() -> None:
    """Raise a UserError if this PyTorch has no kernels for the first GPU."""
    built_for = torch.cuda.get_arch_list()
    if torch.version.cuda is None or not built_for:  # AMD's GPUs have other architectures
        return
    capability = torch.cuda.get_device_capability(0)
    if not runs_on(capability, built_for):
        raise UserError(
            f"Expected a GPU of the architectures {', '.join(built_for)} that PyTorch {torch.__version__} is built "
            f"for, but the {torch.cuda.get_device_name(0)} has compute capability {'.'.join(map(str, capability))}: "
            f"{ADVICE}."
        )


def _is_gpu_hidden() -> bool:
    """Return whether CUDA_VISIBLE_DEVICES hides all GPUs; its first entry decides."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named is not None and named.partition(",")[0].strip() in ("", "-1", "NoDevFiles")


def _has_gpu() -> bool:
    """Return whether NVIDIA's driver runs or its `nvidia-smi` lists a GPU."""
    if DRIVER_FILE.exists():
        return True
    if not (command := shutil.which("nvidia-smi")):  # WSL has nvidia-smi, but not the driver's file
        return False
    try:
        listed = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "GPU 0" in listed


def _cuda_problem() -> str:
    """Return the first sentence of PyTorch's error about CUDA."""
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        return " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    return "it finds none"
