"""The versions of the packages that a run's figures depend on."""

import platform
from importlib import metadata

MAIN = ("torch", "torchvision", "open_clip_torch", "transformers", "timm", "vmfcoop")  # those that are told in tables
NEEDED = (  # the others that setup.py asks for
    *("huggingface_hub", "safetensors", "tokenizers", "filelock", "platformdirs", "requests", "pyyaml", "yacs"),
    *("tabulate", "jinja2", "tqdm", "numpy", "scipy", "pillow", "tifffile", "scikit-learn", "matplotlib"),
)
BELOW = (  # what these need in turn; torch itself names one version of each of its own libraries for a GPU
    *("regex", "ftfy", "wcwidth", "joblib", "threadpoolctl", "fsspec", "packaging", "typing_extensions", "sympy"),
    *("mpmath", "networkx", "markupsafe", "urllib3", "certifi", "charset-normalizer", "idna", "hf-xet"),
)
PACKAGES = (*MAIN, *NEEDED, *BELOW)


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that figures depend on.

    One of MAIN that is importable but not installed has None; others that are not installed are left out.
    """
    found = {name: _version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | {k: v for k, v in found.items() if v or k in MAIN}


def _version(package: str) -> str | None:
    """Return None for a package that is not installed: no reason to lose a run that is done."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
