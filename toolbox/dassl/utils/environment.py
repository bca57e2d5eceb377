"""Versions and devices of a run, for the head of its log."""

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "scikit-learn")


def collect_env_info() -> str:
    """Return versions, number of CPU threads and GPUs, one per line."""
    lines = [f"Python: {platform.python_version()}", f"Platform: {platform.platform()}"]
    for name in _PACKAGES:
        try:
            lines.append(f"{name}: {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name}: not found")
    lines.append(f"CPU threads: {torch.get_num_threads()}")
    lines.append(f"CUDA: {torch.version.cuda if torch.cuda.is_available() else 'not available'}")
    lines += [f"GPU {i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return "\n".join(lines)
