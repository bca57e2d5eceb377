"""Second stage: the text tower learns which caption belongs to which picture; the image tower is frozen.

The loss is symmetric InfoNCE against stored features of the pictures. Captions name attributes; a share `name_rate` of
them names the class, which decides how strong zero-shot classification by class name is.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn
from tqdm import tqdm

from . import tower
from .learning import StageTrainer
from .pairs import Pairs

MAX_LOGIT_SCALE = math.log(100)


def token_ids(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Return token ids [N, L], padded with 0 to the longest text."""
    encoded = [e.ids[: tower.CONTEXT_LENGTH] for e in tokenizer.encode_batch(texts)]
    ids = torch.zeros(len(encoded), max(map(len, encoded)), dtype=torch.long)
    for row, tokens in zip(ids, encoded, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    return ids


def draw_batches(texts: list[str], size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw random batches of captions of similar length, so that there is little padding."""
    order, lengths = rng.permutation(len(texts)), np.array([len(text) for text in texts])
    pools = [order[i : i + 8 * size] for i in range(0, len(order), 8 * size)]
    ordered = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    found = [ordered[i : i + size] for i in range(0, len(ordered) - size + 1, size)]
    return [found[i] for i in rng.permutation(len(found))]


def clip_loss(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return the symmetric InfoNCE loss of unit features [B, D] of pictures and of their captions, in one order."""
    logits = scale * images @ texts.T
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def train_text_tower(
    model: nn.Module,
    tokenizer: Tokenizer,
    pairs: Pairs,
    images: torch.Tensor,
    name_rate: float,
    lr: float,
    epochs: int,
    batch: int,
    seed: int,
    **where,
) -> None:
    """Train the text tower and the logit scale in place.

    Args:
        model: both towers.
        tokenizer: of the texts.
        pairs: N captions per epoch, new ones in each.
        images: unit features of the pictures [views, N, D]; an epoch uses one view.
        name_rate: probability that a caption names the class.
        lr: highest learning rate.
        epochs: number of epochs.
        batch: captions in a batch.
        seed: of the order of the captions.
        where: `folder` and `log` of `StageTrainer`.
    """
    trainer = StageTrainer("captions", model=model, lr=lr, epochs=epochs, steps=len(pairs) // batch, **where)

    def train_epoch(epoch: int) -> float:
        model.text.train()
        texts = pairs.captions(epoch, name_rate)
        view, losses = images[epoch % len(images)], []
        chosen = draw_batches(texts, batch, np.random.default_rng([seed, epoch]))
        for rows in tqdm(chosen, desc=f"Captions, epoch {epoch}", mininterval=5):
            features = model.encode_text(token_ids(tokenizer, [texts[i] for i in rows]), normalize=True)
            losses.append(trainer.step(clip_loss(view[rows], features, model.logit_scale.exp())))
            with torch.no_grad():
                model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        return float(np.mean(losses))

    trainer.run(train_epoch)
