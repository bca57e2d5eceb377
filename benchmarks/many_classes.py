"""Measure one training step with many classes: `python benchmarks/many_classes.py [--classes 1000]`.

BiomedCLIP's architecture with random weights, prompts of 12 tokens, a batch of 4 images. CoOp's prompts are one
per class, CoCoOp's one per class and image; the text tower is run in chunks whose activations are computed again in
backward. Each method is measured in a process of its own.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

METHODS, BATCH = ("CoOp", "CoCoOp"), 4


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    p.add_argument("--classes", type=int, default=1000)
    p.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    p.add_argument("--out", type=Path, default=ROOT / "build/benchmarks", help="folder of the weights")
    p.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return p


def step(method: str, classes: int, folder: Path, device: str) -> str:
    """Take one step of a method, and return its row of the table."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    from benchmarks.few_shot_cost import class_names
    from benchmarks.timing import peak_memory_mb
    from clip import Tokens, build_backbone
    from trainers.base.prompt_learner import PromptLearner
    from trainers.cocoop import ConditionalPromptLearner

    backbone = build_backbone(f"local-dir:{folder}", device)
    features = normalize(torch.randn(BATCH, backbone.embed_dim, device=device), dim=-1)
    labels = torch.arange(BATCH, device=device) % classes
    began = time.perf_counter()
    learner: PromptLearner
    if method == "CoCoOp":
        learner = ConditionalPromptLearner(backbone, class_names(classes)).to(device)
        tokens = Tokens(*(part.repeat(BATCH, 1) for part in learner.tokens))
        prompts = backbone.encode_tokens(learner.shifted(features).flatten(0, 1), tokens)
        cosines = (prompts.view(BATCH, classes, -1) @ features[..., None]).squeeze(-1)
    else:
        learner = PromptLearner(backbone, class_names(classes)).to(device)
        cosines = features @ backbone.encode_tokens(learner(), learner.tokens).T
    cross_entropy(backbone.logit_scale * cosines, labels).backward()
    assert learner.ctx.grad is not None
    norm = learner.ctx.grad.norm().item()  # also waits for a GPU
    seconds = time.perf_counter() - began
    count = classes * (BATCH if method == "CoCoOp" else 1)
    return f"{method:8s}{count:8d} prompts{seconds:9.1f} s{peak_memory_mb(device):9.0f} MB   |gradient| {norm:.3g}"


def main() -> None:
    args = parser().parse_args()
    if args.one:
        print(step(args.methods[0], args.classes, args.out / "BiomedCLIP", args.device))
        return
    from clip.testing import write_biomedclip

    if not (args.out / "BiomedCLIP/open_clip_model.safetensors").is_file():
        write_biomedclip(args.out / "BiomedCLIP")
    for method in args.methods:
        line = [sys.executable, __file__, "--one", "--methods", method, "--classes", str(args.classes)]
        subprocess.run([*line, "--device", args.device, "--out", str(args.out)], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
