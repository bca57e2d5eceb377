"""Train PhantomCLIP from scratch on captioned phantoms: `python -m scripts.phantomclip.train`.

First the image tower is trained (image_tower.py), then the text tower (text_tower.py). A run that was killed continues
after its last epoch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from datasets.phantoms import PHANTOMS

from . import image_tower, text_tower, tower, vocabulary
from .learning import log_line
from .pairs import Pairs


def parse_arguments() -> argparse.Namespace:
    """Parse the flags of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder",
        type=Path,
        default=tower.FOLDER,
        help="where the model goes, as FOLDER/NAME below the repository root",
    )
    parser.add_argument(
        "--build", type=Path, default=Path("build/phantomclip"), help="pictures, checkpoints, model in the making"
    )
    parser.add_argument("--log", type=Path, default=Path("scripts/phantomclip/train.log"))
    parser.add_argument("--datasets", nargs="+", default=list(PHANTOMS), choices=list(PHANTOMS), help="to learn from")
    parser.add_argument("--per-class", type=int, default=600, help="pictures per class")
    parser.add_argument("--image-epochs", type=int, default=12)
    parser.add_argument("--text-epochs", type=int, default=12)
    parser.add_argument("--image-lr", type=float, default=2e-3)
    parser.add_argument("--text-lr", type=float, default=1e-3)
    parser.add_argument(
        "--views", type=int, default=3, help="stored features per picture that captions are learned with"
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--name-rate", type=float, default=0.003, help="share of captions that name the class")
    parser.add_argument("--new-vocabulary", action="store_true", help="choose the word pieces again from today's texts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def choose_words(new: bool, keys: list[str]) -> list[str]:
    """Return the committed vocabulary, or with `new` one that is chosen from today's texts.

    The committed one is the default because prompt banks grow, and the same command must give the same model.
    """
    stored = tower.FOLDER / "vocab.txt"
    if new or not stored.is_file():
        return vocabulary.choose_vocabulary(vocabulary.corpus(keys))
    return stored.read_text(encoding="utf-8").splitlines()


def main() -> None:
    """Train both towers, then write the folder."""
    args = parse_arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    work = args.build / "model"
    work.mkdir(parents=True, exist_ok=True)
    pairs = Pairs(args.build, args.datasets, args.per_class)
    if not any(args.build.glob("*.pt")):  # nothing to go on from
        words = choose_words(args.new_vocabulary, args.datasets)
        tower.write_configs(work, len(words))
        vocabulary.write_tokenizer(work, words)
        args.log.unlink(missing_ok=True)
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    model = tower.new_model(work).to(memory_format=torch.channels_last)
    with torch.no_grad():  # a word without a meaning stays without an embedding
        model.text.transformer.embeddings.word_embeddings.weight[vocabulary.unused_ids(tokenizer, args.datasets)] = 0
    size = sum(p.numel() for p in model.parameters()) / 1e6
    log_line(args.log, f"{len(pairs)} pictures, {tokenizer.get_vocab_size()} word pieces, {size:.2f} M parameters")

    shared = {"batch": args.batch, "seed": args.seed}
    where = {"folder": args.build, "log": args.log}
    image_tower.train_image_tower(model.visual, pairs, args.image_lr, args.image_epochs, **shared, **where)
    images = image_tower.encode_views(model.visual, pairs, args.views, **shared)
    text_tower.train_text_tower(
        model, tokenizer, pairs, images, args.name_rate, args.text_lr, args.text_epochs, **shared, **where
    )
    tower.save_weights(work, model)
    tower.install(work, args.folder)
    for checkpoint in args.build.glob("*.pt"):
        checkpoint.unlink()


if __name__ == "__main__":
    main()
