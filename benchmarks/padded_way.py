"""Measure a training step as prompt-learning code bases take it: all in one forward pass, nothing stored.

Prompts padded to the tokenizer's full length, the frozen image tower run twice (once for the teacher), the text tower
again for every test batch, and a checkpoint of the whole model. It computes what BiomedCoOp's published code does, but
on our backbone, so that only the computation differs.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy, mse_loss

from benchmarks.timing import peak_memory_mb, seconds
from clip import Backbone, Tokens, backbone, build_backbone
from trainers.biomedcoop import kdsp_loss

BATCH, TEST_BATCH = 4, 100


def padded(tokens: Tokens, length: int) -> Tokens:
    """Return tokens [N, length]; padding has the id 0, as BERT's."""
    missing = (0, length - tokens.ids.shape[1])
    return Tokens(torch.nn.functional.pad(tokens.ids, missing), torch.nn.functional.pad(tokens.mask, missing))


def measure(source: str, classnames: list[str], device: str, repeats: int) -> dict[str, float]:
    """Return seconds of start-up, of a step, of a test image; peak memory in MB; bytes that a run writes."""
    backbone.TOKENS_AT_ONCE = sys.maxsize  # no chunks: activations are kept, as they are there
    towers: list[Backbone] = []
    start = seconds(lambda: towers.extend(build_backbone(source, device) for _ in range(2)), 1, device)  # and a teacher
    student, teacher = towers
    tokens = padded(student.tokenize([f"a photo of a {name}." for name in classnames]), student.context_length)
    fixed = student.embed(tokens.ids)
    ctx = torch.nn.Parameter(fixed[0, 1:5].clone())
    optimizer = torch.optim.SGD([ctx], lr=0.0025)
    target = torch.nn.functional.normalize(torch.randn(len(classnames), student.embed_dim, device=device), dim=-1)
    size = (student.image_size, student.image_size)
    images = torch.randn(BATCH, 3, *size, device=device)
    labels = torch.arange(BATCH, device=device) % len(classnames)

    def text() -> torch.Tensor:
        embeddings = torch.cat([fixed[:, :1], ctx.expand(len(fixed), -1, -1), fixed[:, 5:]], dim=1)
        return student.encode_tokens(embeddings, tokens)

    def step() -> None:
        prompts = text()
        logits = student.logit_scale * student.encode_image(images) @ prompts.T
        taught = teacher.logit_scale * teacher.encode_image(images) @ target.T
        loss = cross_entropy(logits, labels) + mse_loss(prompts, target) + kdsp_loss(logits, taught)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    found = {"start": start, "step": seconds(step, repeats, device)}
    with torch.no_grad():
        found["image"] = seconds(lambda: student.encode_image(images), repeats, device) / BATCH
        found["test image"] = found["image"] + seconds(text, repeats, device) / TEST_BATCH
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        state = {
            f"{name}.{key}": value
            for name, t in zip("st", towers, strict=True)
            for key, value in t.state_dict().items()
        }
        if device == "cpu":  # written once, to see what it takes
            torch.save(state, file.name)
            found["written"] = Path(file.name).stat().st_size
        else:
            found["written"] = sum(v.numel() * v.element_size() for v in state.values())
    return found | {"memory": peak_memory_mb(device)}
