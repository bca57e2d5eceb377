"""Writes a small model with open_clip's own text tower, as in OpenAI's CLIP."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def write_clip(folder: Path, seed: int = 0, **changes) -> str:
    """Write a model of random weights; return its name for `build_backbone`.

    Args:
        folder: is made.
        seed: of the weights.
        changes: replace keys of `CONFIG`.
    """
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    config = {**CONFIG, **changes}
    folder.mkdir(exist_ok=True)
    model = CLIP(**json.loads(json.dumps(config)))
    for parameter in model.parameters():  # its initial values are so small that all texts look alike
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return f"local-dir:{folder}"
