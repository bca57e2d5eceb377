"""The geometry and the losses are imported without any model code."""

import json
import subprocess
import sys

HEAVY = {
    "clip",
    "dassl.data",
    "dassl.engine",
    "datasets",
    "open_clip",
    "sklearn",
    "timm",
    "torchvision",
    "transformers",
}
CODE = "import json, sys; from trainers import losses, vmf; print(json.dumps(sorted(sys.modules)))"


def test_geometry_and_losses_load_no_model_code():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {"torch", "trainers.vmf", "trainers.losses"} <= loaded and not HEAVY & loaded
