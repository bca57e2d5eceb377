"""Tokenize texts as SigLIP's were for its training."""

import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip.families.transformers_models.names import SIGLIP_VOCABULARY
from clip.families.transformers_models.sentencepiece import read_spiece
from clip.files import Folder
from clip.sanitize import VOCABULARY_LIMIT, read_tokenizer_config
from clip.weights import one_line
from dassl.errors import UserError
from dassl.reading import read_json, read_text
from dassl.utils.tensor_files import is_lfs_pointer, unreadable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PLACEHOLDERS = re.compile(r"<(unused|extra_id_)\d+>")
PUNCTUATION = str.maketrans("", "", string.punctuation)


class SiglipTokenizer:
    """Tokens of texts, followed by a mark of the end, and by padding up to the length of the text tower.

    Args:
        tokenizer: of the library tokenizers.
        config: known keys of a tokenizer_config.json.
        special: ids that stand for no word, beside those of end and padding.
        context_length: number of tokens of a text.

    Attributes:
        end, pad: ids of end and padding, which may be the same.

    Raises:
        ValueError: a mark is not in the vocabulary.
    """

    def __init__(self, tokenizer: "Tokenizer", config: dict[str, Any], special: set[int], context_length: int):
        self.tokenizer, self.context_length = tokenizer, context_length
        self.lower = config.get("do_lower_case") is not False
        # SigLIP 2 has the vocabulary of Gemma, and keeps punctuation.
        self.punctuation = str(config.get("tokenizer_class")).startswith(("Gemma", "Siglip2"))
        self.end, self.pad = self._mark(config, "eos_token"), self._mark(config, "pad_token")
        self.special = {*special, self.end, self.pad}

    def _mark(self, config: dict[str, Any], key: str) -> int:
        """Return the id of the mark that a configuration has at `key`."""
        word = config.get(key) or "</s>"
        word = word.get("content") if isinstance(word, dict) else word
        number = self.tokenizer.token_to_id(str(word))
        if number is None:
            raise ValueError(f'it has no word for {key} "{str(word)[:40]}"')
        return number

    def clean(self, text: str) -> str:
        """Return a text as SigLIP's was: in small letters, without punctuation, with single spaces."""
        text = text.replace("▁", " ")
        text = text.lower() if self.lower else text
        return " ".join((text if self.punctuation else text.translate(PUNCTUATION)).split())

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text with the mark of its end, at most `context_length`, without padding."""
        found = self.tokenizer.encode_batch([self.clean(text) for text in texts], add_special_tokens=False)
        return [[*each.ids[: self.context_length - 1], self.end] for each in found]

    def words(self) -> list[int]:
        """Return the ids of the vocabulary that stand for words or parts of words."""
        vocabulary = self.tokenizer.get_vocab(with_added_tokens=True)
        held_back = {number for word, number in vocabulary.items() if PLACEHOLDERS.fullmatch(word)}
        return sorted({*vocabulary.values()} - held_back - self.special)


def read_siglip_tokenizer(place: Folder, context_length: int) -> SiglipTokenizer:
    """Return the tokenizer of the model at `place`.

    Args:
        place: of the model's files: a tokenizer.json or a spiece.model, and a tokenizer_config.json, which names the
            marks of end and padding if they are not "</s>".
        context_length: number of tokens of a text.

    Raises:
        UserError: a file is missing, damaged or of a kind that is not read here; names it.
    """
    path, described = place.need(*SIGLIP_VOCABULARY), place.find(["tokenizer_config.json"])
    config = read_tokenizer_config(described) if described else {}
    length = config.get("model_max_length")
    if isinstance(length, int) and 1 < length < context_length:
        context_length = length
    if is_lfs_pointer(path):
        raise unreadable(path, EOFError(), "a tokenizer")
    tokenizer, special = (read_spiece if path.name == SIGLIP_VOCABULARY[1] else _read_json)(path)
    try:
        return SiglipTokenizer(tokenizer, config, special, context_length)
    except ValueError as error:
        raise UserError(
            f"Expected the vocabulary {path} to fit its tokenizer_config.json, but {error}: copy both again."
        ) from error


def _read_json(path: Path) -> tuple["Tokenizer", set[int]]:
    """Return the tokenizer of a tokenizer.json, and the ids of its marks."""
    from tokenizers import Tokenizer

    text = read_text(path, VOCABULARY_LIMIT)
    try:
        tokenizer = Tokenizer.from_str(text)
        tokenizer.no_padding()
        tokenizer.no_truncation()
    except Exception as error:  # a bare one
        read_json(path)  # names the file if it is no JSON
        raise UserError(
            f"Expected a tokenizer in {path}, but it cannot be read ({one_line(error)}): copy or download it again."
        ) from error
    return tokenizer, {number for number, word in tokenizer.get_added_tokens_decoder().items() if word.special}
