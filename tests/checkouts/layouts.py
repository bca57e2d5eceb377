"""Random weights in the layouts in which CLIP and PMC-CLIP are published, for the code of BiomedCoOp."""

from pathlib import Path

import torch
from torch import Tensor

from clip import testing


def visible(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fill `weights` with random numbers of half precision in which attention is far from even, and return them."""
    torch.manual_seed(0)
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or name == "logit_scale":
            continue
        if tensor.ndim == 1 or "running" in name:
            start = 1.0 if name.endswith(("weight", "running_var")) else 0.0
            value = start + 0.05 * torch.randn_like(tensor).abs()
        else:
            value = torch.randn_like(tensor) * (2.0 / tensor[0].numel()) ** 0.5
            if any(word in name for word in ("in_proj", "q_proj", "k_proj", "query", "key")):
                value = value * 1.5
        tensor.copy_(value.half().to(tensor.dtype))
    return weights


def write_pmc_clip(folder: Path) -> Path:
    from open_clip.modified_resnet import ModifiedResNet
    from transformers import BertConfig, BertModel

    folder.mkdir()
    bert = BertModel(
        BertConfig(**{k: v for k, v in testing.bert_config().items() if k not in ("architectures", "model_type")})
    )
    image = ModifiedResNet([3, 4, 6, 3], 768, 8, 224, 64)
    torch.save(visible(bert.state_dict()), folder / "text_encoder.pth")
    torch.save(visible(image.state_dict()), folder / "image_encoder(resnet50).pth")
    torch.save(visible({"p": torch.empty(768, 768)})["p"], folder / "text_projection_layer.pth")
    testing.write_tokenizer(folder)
    return folder
