"""Measure a vMFCoOp run of this code base on stored features, with the store cold or filled."""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import gflops_per_second, peak_memory_mb, seconds
from benchmarks.trainers import ready
from clip import FeatureStore, build_backbone
from runs.spec import RunSpec
from trainers.base.step import backpropagate, compute_losses

TOGETHER = 3  # seeds


def measure(source: str, root: Path, store: Path, device: str, repeats: int, views: int) -> dict[str, float]:
    """Measure the parts of a run.

    Args:
        source: name of the backbone.
        root: folder of images.
        store: folder of the feature store.
        device: "cpu" or "cuda".
        repeats: timings whose median counts.
        views: new views of four images that are encoded for the timing.

    Returns:
        Seconds of start-up, of a step (one seed, and one of three together), of an image and view encoded; FLOPs of a
        step and of an image; GFLOP/s of a wide matrix product, and of one with as many rows as the prompts have tokens,
        just before the steps; peak memory in MB; bytes of a checkpoint.
    """
    with tempfile.TemporaryDirectory() as output:
        trainers = []
        for seed in range(1, TOGETHER + 1):
            began = time.perf_counter()
            trainers.append(_trainer(source, root, store, device, seed, output))
            if seed == 1:
                start = time.perf_counter() - began
        first = trainers[0]
        first.train_features(0)  # the epoch of the steps below
        batches = [trainer.parse_batch_train(next(iter(trainer.train_loader_x))) for trainer in trainers]

        def step(count: int) -> None:
            some = trainers[:count]
            for trainer in some:
                trainer.model_zero_grad()
            steps = compute_losses(some, batches[:count])
            for trainer, each, (_, labels) in zip(some, steps, batches, strict=False):
                trainer.summary(each, labels)
            backpropagate(some, steps)
            for trainer in some:
                trainer.update()

        rows = first.prompt_learner.tokens.ids.numel()
        found = {"start": start, "gflops": gflops_per_second(device), "gflops, rows": gflops_per_second(device, rows)}
        found["step"] = seconds(lambda: step(1), repeats, device)
        found["step, 3 seeds"] = seconds(lambda: step(TOGETHER), repeats, device) / TOGETHER
        with torch.no_grad():
            found["text"] = seconds(first.prompt_features, repeats, device)
        paths = [item.impath for item in first.train_items][:4]
        numbers = [view for view in range(10_000, 10_000 + views) for _ in paths]
        began = time.perf_counter()
        first.store.images(paths * views, first.train_transform, numbers)
        found["image"] = (time.perf_counter() - began) / len(numbers)
        with FlopCounterMode(display=False) as counter:
            step(1)
        found["step FLOPs"] = counter.get_total_flops()
        with FlopCounterMode(display=False) as counter:
            first.backbone.encode_image(torch.randn(1, 3, *[first.backbone.image_size] * 2))
        found["image FLOPs"] = counter.get_total_flops()
        first.max_epoch = 1
        first.save_model(0, output)
        found["written"] = sum(path.stat().st_size for path in Path(output, "prompt_learner").glob("model*"))
    return found | {"memory": peak_memory_mb(device)}


def vocabulary(source: str, store: Path, device: str) -> dict[str, float]:
    """Return the seconds that the vocabulary field takes, once for a backbone."""
    features = FeatureStore(build_backbone(source, device), store)
    return {"seconds": seconds(features.vocabulary, 1, device)}


def _trainer(source: str, root: Path, store: Path, device: str, seed: int, output: str) -> Any:
    options = (("FEATURES.ROOT", str(store)), ("FEATURES.VIEWS", 1))  # more views are encoded for the timing alone
    spec = RunSpec("vMFCoOp", "folder", 1, (seed,), str(root), source, output=output, options=options)
    return ready(spec, device)
