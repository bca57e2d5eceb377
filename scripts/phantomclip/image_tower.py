"""First stage: the image tower learns to recognise attributes.

It is trained by multi-label classification of the attributes that captions name; classes are never asked for. A picture
trains it much more than one caption of it would: on two cores, an hour is enough for 14 data sets.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from . import tower
from .learning import StageTrainer
from .pairs import Pairs

SHARPNESS = 16.0  # unit features times this are what the linear classifier sees


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normalise pictures, and move, zoom and mirror each of them a little.

    Args:
        images: uint8 [B, 64, 64, 3].
        generator: random numbers.

    Returns:
        float [B, 3, IMAGE_SIZE, IMAGE_SIZE].
    """
    images = images.permute(0, 3, 1, 2).float().div(255)
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (tower.MEAN, tower.STD))
    zoom = torch.empty(len(images)).uniform_(0.75, 1.05, generator=generator)
    mirror = torch.randint(0, 2, (len(images),), generator=generator) * 2 - 1
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * mirror, zoom
    theta[:, :, 2] = torch.empty(len(images), 2).uniform_(-0.12, 0.12, generator=generator)
    grid = F.affine_grid(theta, [len(images), 3, tower.IMAGE_SIZE, tower.IMAGE_SIZE], align_corners=False)
    images = F.grid_sample((images - mean) / std, grid, padding_mode="border", align_corners=False)
    return images.to(memory_format=torch.channels_last)


def train_image_tower(visual: nn.Module, pairs: Pairs, lr: float, epochs: int, batch: int, seed: int, **where) -> None:
    """Train the image tower in place, together with a linear classifier that is not kept."""
    shown, asked = (torch.from_numpy(x) for x in pairs.labels())
    images = torch.from_numpy(pairs.images)
    model = nn.ModuleDict({"visual": visual, "classifier": nn.Linear(visual.output_dim, shown.shape[1])})
    trainer = StageTrainer("attributes", model=model, lr=lr, epochs=epochs, steps=len(pairs) // batch, **where)

    def train_epoch(epoch: int) -> float:
        model.train()
        order = np.random.default_rng([seed, epoch]).permutation(len(pairs))
        generator, losses = torch.Generator().manual_seed(seed + 7919 * epoch), []
        starts = range(0, len(pairs) - batch + 1, batch)
        for start in tqdm(starts, desc=f"Attributes, epoch {epoch}", mininterval=5):
            chosen = order[start : start + batch]
            features = F.normalize(visual(augment(images[chosen], generator)), dim=-1)
            logits = model["classifier"](SHARPNESS * features)
            mask = asked[chosen]
            losses.append(trainer.step(F.binary_cross_entropy_with_logits(logits[mask], shown[chosen][mask].float())))
        return float(np.mean(losses))

    trainer.run(train_epoch)
    visual.requires_grad_(False).eval()


@torch.no_grad()
def encode_views(visual: nn.Module, pairs: Pairs, views: int, batch: int, seed: int) -> torch.Tensor:
    """Return unit features [views, N, D] of all pictures, moved, zoomed and mirrored differently in each view."""
    images, found = torch.from_numpy(pairs.images), []
    for view in range(views):
        generator = torch.Generator().manual_seed(seed + 104729 * (view + 1))
        chunks = tqdm(images.split(batch), desc=f"Features, view {view}", mininterval=5)
        found.append(torch.cat([F.normalize(visual(augment(chunk, generator)), dim=-1) for chunk in chunks]))
    return torch.stack(found)
