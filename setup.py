"""Dependencies of vMFCoOp; nothing is installed as a package.

The rooms `clip/`, `datasets/` and `trainers/` are imported from the repository root, as in CoOp: installing them
would overwrite the unrelated packages that PyPI carries under the names `clip` and `datasets`.
"""

from setuptools import setup

setup(
    name="vmfcoop",
    version="0.1.0",
    description="Few-shot prompt learning for biomedical vision-language models on the hypersphere",
    python_requires=">=3.10",
    packages=[],
    py_modules=[],
    install_requires=[
        "dassl>=1.0",
        "torch>=2.2",
        "torchvision>=0.17",  # left to pip: it must be the build that belongs to torch
        "open_clip_torch>=2.30",
        "timm>=1.0.9",
        "transformers>=4.41",
        "safetensors>=0.4",
        "filelock>=3.12",
        "platformdirs>=4.0",
        "gdown>=5.0",
        "pyyaml>=6.0",
        "yacs>=0.1.8",
        "tabulate>=0.9",
        "tqdm>=4.64",
        "numpy>=1.24",
        "scipy>=1.10",
        "pillow>=10.0",
        "scikit-learn>=1.3",
        "matplotlib>=3.7",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "hypothesis>=6.100",
            "mpmath>=1.3",
            "nilearn>=0.10.4",
            "openai>=1.30",
            "optuna>=3.5",
            "opencv-python-headless>=4.8",  # what it and tifffile read is held against what we read
            "pydicom>=3.0",
            "pylibjpeg>=2.0",
            "pylibjpeg-libjpeg>=2.1",
            "pylibjpeg-openjpeg>=2.0",
            "tifffile>=2024.1.30",
            "pytest-xdist>=3.5",
            "ray>=2.9",
            "ruff>=0.6",
        ],
        "llm": ["openai>=1.30"],  # python -m datasets.prompts.generate
        "ukb": ["pydicom>=3.0"],  # python -m datasets.ukb
        # DICOM files among one's own images, compressed ones too
        "dicom": ["pydicom>=3.0", "pylibjpeg>=2.0", "pylibjpeg-libjpeg>=2.1", "pylibjpeg-openjpeg>=2.0"],
        "ray": ["ray>=2.9"],  # python -m grid --ray ADDRESS
        "tune": ["optuna>=3.5"],  # scripts/vmfcoop/tune.sh
        "medmnist": ["medmnist>=3.0"],  # python -m datasets.download --medmnist
    },
)
