"""`import clip` is quick: libraries of models are imported when a backbone is built."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGE = {"huggingface_hub", "open_clip", "pydicom", "safetensors", "timm", "torchvision", "transformers"}


def loaded_by(code: str) -> set[str]:
    """The packages that a new process has imported after `code`."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_import_loads_torch_and_no_library_of_models():
    loaded = loaded_by("from clip import Backbone, FeatureStore, Tokens, build_backbone")
    assert "torch" in loaded and not loaded & LARGE
