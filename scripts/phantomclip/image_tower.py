"""First stage: the image tower learns to see attributes.

Multi-label classification of the attributes that captions name; classes are never asked for. It is a far stronger
signal per picture than captions are, and what makes 14 data sets possible in an hour on two cores.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from . import tower
from .learning import Learning
from .pairs import Pairs

SHARPNESS = 16.0  # unit features times this are what the linear classifier sees


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normalise uint8 [B, 64, 64, 3] and move, zoom and mirror each a little; float [B, 3, IMAGE_SIZE, IMAGE_SIZE]."""
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


def learn(visual: nn.Module, pairs: Pairs, lr: float, epochs: int, batch: int, seed: int, **where) -> None:
    """Train the image tower in place, together with a linear classifier that is thrown away."""
    shown, asked = (torch.from_numpy(x) for x in pairs.labels())
    images = torch.from_numpy(pairs.images)
    model = nn.ModuleDict({"visual": visual, "classifier": nn.Linear(visual.output_dim, shown.shape[1])})
    learning = Learning("attributes", model=model, lr=lr, epochs=epochs, steps=len(pairs) // batch, **where)

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
            losses.append(learning.step(F.binary_cross_entropy_with_logits(logits[mask], shown[chosen][mask].float())))
        return float(np.mean(losses))

    learning.run(train_epoch)
    visual.requires_grad_(False).eval()


@torch.no_grad()
def features(visual: nn.Module, pairs: Pairs, views: int, batch: int, seed: int) -> torch.Tensor:
    """Unit features [views, N, D] of every picture, moved, zoomed and mirrored in another way in each view."""
    images, found = torch.from_numpy(pairs.images), []
    for view in range(views):
        generator = torch.Generator().manual_seed(seed + 104729 * (view + 1))
        chunks = tqdm(images.split(batch), desc=f"Features, view {view}", mininterval=5)
        found.append(torch.cat([F.normalize(visual(augment(chunk, generator)), dim=-1) for chunk in chunks]))
    return torch.stack(found)
