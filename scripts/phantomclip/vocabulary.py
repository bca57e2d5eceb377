"""PhantomCLIP's WordPiece vocabulary, chosen from the words of captions, class names and prompt banks."""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from dassl.reading import read_json
from dassl.writing import atomic_write
from datasets.phantoms import PHANTOMS
from datasets.phantoms.captions import JOINTS, NAMINGS, OPENINGS

from .tower import CONTEXT_LENGTH

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation + "–—‘’“”…°±×·•→≈≤≥µμαβγδκλτ½²³"
SIZE, ENDINGS = 5000, 250
PROMPTS = Path("datasets/prompts/claude")


def caption_texts(keys: Iterable[str]) -> list[str]:
    """Return all texts that captions of these phantoms are made of."""
    texts = [opening.format(m="") for opening in OPENINGS] + list(JOINTS)
    texts += [naming.format(n="", s="") for naming in NAMINGS]
    for phantom in map(PHANTOMS.get, keys):
        texts += [*phantom.classes, *phantom.modality, *(text for texts in phantom.phrases.values() for text in texts)]
    return texts


def corpus(keys: Iterable[str]) -> Counter[str]:
    """Count the texts that the vocabulary is made for; the parts of captions count most."""
    texts = Counter(dict.fromkeys(caption_texts(keys), 50))
    for bank in sorted(PROMPTS.glob("*.json")):
        for prompts in read_json(bank)["prompts"].values():
            texts.update(prompts)
    return texts


def unused_ids(tokenizer: Tokenizer, keys: Iterable[str]) -> list[int]:
    """Return the ids of the word pieces that no caption of these phantoms can contain."""
    used = {i for encoded in tokenizer.encode_batch(caption_texts(keys)) for i in encoded.ids}
    return [i for i in range(len(SPECIAL), tokenizer.get_vocab_size()) if i not in used]


def choose_vocabulary(texts: Counter[str], size: int = SIZE) -> list[str]:
    """Return at most `size` word pieces: special tokens, all characters, common endings, then the most frequent words.

    They are found by counting and sorting: the trainer of the `tokenizers` library breaks ties at random, and the same
    texts must give the same vocabulary.
    """
    words: Counter[str] = Counter()
    split = _tokenizer({"[UNK]": 0})
    for text, times in texts.items():
        normal = split.normalizer.normalize_str(text)
        words.update(dict.fromkeys((word for word, _ in split.pre_tokenizer.pre_tokenize_str(normal)), times))
    endings = Counter(f"##{word[-n:]}" for word in words for n in range(2, 6) if word.isalpha() and len(word) > n + 2)
    characters = [*CHARACTERS, *(f"##{c}" for c in CHARACTERS)]
    chosen = dict.fromkeys([*SPECIAL, *characters, *_most_common(endings)[:ENDINGS], *_most_common(words)])
    return list(chosen)[:size]


def _most_common(counts: Counter[str]) -> list[str]:
    """Return the keys by falling count, ties in alphabetical order."""
    return sorted(counts, key=lambda key: (-counts[key], key))


def write_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    """Write the files of the tokenizer as transformers reads them."""
    ids = {token: i for i, token in enumerate(vocabulary)}
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": CONTEXT_LENGTH,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    }
    for name, text in (
        ("tokenizer.json", _tokenizer(ids).to_str(pretty=True)),
        ("vocab.txt", "\n".join(vocabulary) + "\n"),
        ("tokenizer_config.json", json.dumps(settings, indent=2) + "\n"),
    ):
        with atomic_write(folder / name) as file:
            file.write(text)


def _tokenizer(ids: dict[str, int]) -> Tokenizer:
    """Return BERT's uncased tokenizer over these word pieces."""
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    if "[CLS]" in ids:
        ends = [("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ends)
    return tokenizer
