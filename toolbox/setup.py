"""The `dassl` distribution: the part of the Dassl API that prompt learning uses, on current PyTorch."""

from setuptools import find_packages, setup

setup(
    name="dassl",
    version="1.0.0",
    description="The Dassl API for prompt learning, on current PyTorch",
    python_requires=">=3.10",
    packages=find_packages(include=["dassl", "dassl.*"]),
    install_requires=[
        "torch>=2.2",
        "torchvision>=0.17",
        "yacs>=0.1.8",
        "numpy>=1.24",
        "pillow>=10.0",
        "scikit-learn>=1.3",
        "tabulate>=0.9",
        "tqdm>=4.64",
    ],
)
