"""Measure a checkout of the published BiomedCoOp code, which runs unchanged through `train.py --with`."""

import tempfile
import time
from itertools import islice
from pathlib import Path

import torch

from benchmarks.timing import peak_memory_mb, seconds
from benchmarks.trainers import ready
from runs.spec import PHANTOMS, RunSpec

DATASET, TRAINER = "btmri", "BiomedCoOp_BiomedCLIP"  # it brings prompts for its own data sets alone: 4 classes here


def measure(checkout: Path, source: str, device: str, repeats: int) -> dict[str, float]:
    """Return seconds of start-up, of a step, of a test image; peak memory in MB; bytes of a checkpoint.

    The pictures are phantoms, which have the size of others in memory; the weights are those at `source`.
    """
    with tempfile.TemporaryDirectory() as output:
        spec = RunSpec(TRAINER, DATASET, 16, (1,), PHANTOMS, source, output=output, checkout=str(checkout))
        began = time.perf_counter()
        trainer = ready(spec, device)
        found = {"start": time.perf_counter() - began}
        batches = iter(list(islice(trainer.train_loader_x, repeats + 2)))
        with trainer.inside_checkout():
            trainer.set_model_mode("train")
            found["step"] = seconds(lambda: trainer.forward_backward(next(batches)), repeats, device)
            trainer.set_model_mode("eval")
            images = trainer.parse_batch_test(next(iter(trainer.test_loader)))[0]
            with torch.no_grad():
                found["test image"] = seconds(lambda: trainer.model_inference(images), 1, device) / len(images)
        trainer.save_model(0, output)
        found["written"] = sum(path.stat().st_size for path in Path(output).rglob("model.pth.tar*"))
    return found | {"memory": peak_memory_mb(device)}
