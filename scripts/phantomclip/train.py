"""Train PhantomCLIP from scratch on captioned phantoms: `python -m scripts.phantomclip.train`.

Plain CLIP training (symmetric InfoNCE) of both towers together. Captions name attributes; they name the class with
probability --name-rate only, which is what sets how strong zero-shot classification by class name is.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from datasets.phantoms import PHANTOMS

from . import tower, vocabulary
from .pairs import TAUGHT, Pairs

MAX_LOGIT_SCALE = math.log(100)
WARM_UP = 100  # steps


def arguments() -> argparse.Namespace:
    """Flags of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=tower.FOLDER, help="where the model goes")
    parser.add_argument(
        "--build", type=Path, default=Path("build/phantomclip"), help="pictures, checkpoint, model in the making"
    )
    parser.add_argument("--log", type=Path, default=Path("scripts/phantomclip/train.log"))
    parser.add_argument("--datasets", nargs="+", default=TAUGHT, choices=list(PHANTOMS), help="phantoms to learn from")
    parser.add_argument("--per-class", type=int, default=1300, help="pictures per class")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--name-rate", type=float, default=0.0015, help="share of captions that name the class")
    parser.add_argument("--new-vocabulary", action="store_true", help="choose the word pieces again from today's texts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normalise uint8 [B, 64, 64, 3] and move, zoom and mirror each picture a little; float [B, 3, 64, 64]."""
    images = images.permute(0, 3, 1, 2).float().div(255)
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (tower.MEAN, tower.STD))
    zoom = torch.empty(len(images)).uniform_(0.75, 1.05, generator=generator)
    mirror = torch.randint(0, 2, (len(images),), generator=generator) * 2 - 1
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * mirror, zoom
    theta[:, :, 2] = torch.empty(len(images), 2).uniform_(-0.12, 0.12, generator=generator)
    grid = F.affine_grid(theta, images.shape, align_corners=False)
    images = F.grid_sample((images - mean) / std, grid, padding_mode="border", align_corners=False)
    return images.to(memory_format=torch.channels_last)


def token_ids(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids [N, L] padded with 0 to the longest text."""
    encoded = [e.ids[: tower.CONTEXT_LENGTH] for e in tokenizer.encode_batch(texts)]
    ids = torch.zeros(len(encoded), max(map(len, encoded)), dtype=torch.long)
    for row, tokens in zip(ids, encoded, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    return ids


def batches(texts: list[str], size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Random batches whose captions are of similar length, so that little padding is computed."""
    order, lengths = rng.permutation(len(texts)), np.array([len(text) for text in texts])
    pools = [order[i : i + 8 * size] for i in range(0, len(order), 8 * size)]
    ordered = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    found = [ordered[i : i + size] for i in range(0, len(ordered) - size + 1, size)]
    return [found[i] for i in rng.permutation(len(found))]


def clip_loss(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE of unit features [B, D]: each picture finds its caption and each caption its picture."""
    logits = scale * images @ texts.T
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def choose_words(new: bool, keys: list[str]) -> list[str]:
    """The committed vocabulary, or one chosen from the texts of today.

    It stays what it was by default: prompt banks grow, and the same command must give the same model.
    """
    stored = tower.FOLDER / "vocab.txt"
    if new or not stored.is_file():
        return vocabulary.choose_vocabulary(vocabulary.corpus(keys))
    return stored.read_text(encoding="utf-8").splitlines()


def optimization(model: torch.nn.Module, lr: float, weight_decay: float, steps: int) -> tuple[AdamW, LambdaLR]:
    """AdamW with weight decay on matrices only, and a cosine schedule after a short warm-up."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=lr, betas=(0.9, 0.98))

    def factor(step: int) -> float:
        return min(1, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))

    return optimizer, LambdaLR(optimizer, factor)


def main() -> None:
    """Train, and write the folder at the end; a run that was killed goes on from its last epoch."""
    args = arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    started, work, checkpoint = time.time(), args.build / "model", args.build / "checkpoint.pt"
    pairs = Pairs(args.build, args.datasets, args.per_class)
    images = torch.from_numpy(pairs.images)

    resumed = checkpoint.is_file()
    if not resumed:
        work.mkdir(parents=True, exist_ok=True)
        words = choose_words(args.new_vocabulary, args.datasets)
        vocabulary.write_tokenizer(work, words)
        tower.write_configs(work, len(words))
        args.log.write_text("")
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    model = tower.new_model(work).to(memory_format=torch.channels_last)
    with torch.no_grad():  # a word without a meaning stays without an embedding
        model.text.transformer.embeddings.word_embeddings.weight[vocabulary.unheard(tokenizer, args.datasets)] = 0
    steps = args.epochs * (len(pairs) // args.batch)
    optimizer, schedule = optimization(model, args.lr, args.weight_decay, steps)
    parts, first = {"model": model, "optimizer": optimizer, "schedule": schedule}, 0
    if resumed:
        state = torch.load(checkpoint, weights_only=True)
        first = state.pop("epoch") + 1
        for name, part in parts.items():
            part.load_state_dict(state[name])

    def train_epoch(epoch: int) -> float:
        """Mean loss of one pass over all pictures, each with a new caption."""
        texts = pairs.captions(epoch, args.name_rate)
        rng = np.random.default_rng([args.seed, epoch])
        generator = torch.Generator().manual_seed(args.seed + 7919 * epoch)
        losses = []
        for batch in tqdm(batches(texts, args.batch, rng), desc=f"Epoch {epoch}", mininterval=5):
            ids = token_ids(tokenizer, [texts[i] for i in batch])
            image_features = model.encode_image(augment(images[batch], generator), normalize=True)
            text_features = model.encode_text(ids, normalize=True)
            loss = clip_loss(image_features, text_features, model.logit_scale.exp())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
            losses.append(loss.item())
        return float(np.mean(losses))

    def say(line: str) -> None:
        tqdm.write(line)
        with args.log.open("a") as log:
            log.write(line + "\n")

    size = sum(p.numel() for p in model.parameters()) / 1e6
    say(f"{len(pairs)} pictures, {tokenizer.get_vocab_size()} word pieces, {size:.2f} M parameters, from epoch {first}")
    for epoch in range(first, args.epochs):
        model.train()
        loss = train_epoch(epoch)
        fresh = checkpoint.with_suffix(".partial")
        torch.save({"epoch": epoch, **{name: part.state_dict() for name, part in parts.items()}}, fresh)
        fresh.replace(checkpoint)
        scale, seconds = model.logit_scale.exp().item(), time.time() - started
        say(f"epoch {epoch}: loss {loss:.3f}, logit scale {scale:.1f}, {seconds:.0f} s")
    tower.save_weights(work, model)
    tower.install(work, args.folder)
    checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
