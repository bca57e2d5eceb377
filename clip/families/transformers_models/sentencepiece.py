"""Read a `spiece.model`, a vocabulary of sentencepiece, without that library."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip.weights import one_line
from dassl.errors import UserError
from dassl.reading import MB, read_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LIMIT = 64 * MB
# Numbers of the fields that are read, from sentencepiece's description of its format.
PIECES, TRAINER, NORMALIZER = 1, 2, 3
WORD, SCORE, TYPE = 1, 2, 3  # of a piece
NORMAL, UNKNOWN, CONTROL, UNUSED = 1, 2, 3, 5  # types of pieces
MODEL_TYPE, UNIGRAM = 3, 1  # of the trainer
CHARSMAP = 2  # of the normalizer


def read_spiece(path: Path) -> tuple["Tokenizer", set[int]]:
    """Return the tokenizer of a vocabulary in a unigram model, and the ids of its marks.

    Texts get no marks of beginning and end. Words are cut as by sentencepiece: after normalisation by the file's table,
    at spaces, and within words into the pieces of the highest sum of scores.

    Raises:
        UserError: the file is damaged, or of a kind that is not read here.
    """
    content = read_bytes(path, LIMIT)
    try:
        fields = list(_fields(content))
        pieces = [dict(_fields(value)) for number, value in fields if number == PIECES]
        trainer, normalizer = (
            dict(pair for number, value in fields if number == part for pair in _fields(value))
            for part in (TRAINER, NORMALIZER)
        )
        kinds = [piece.get(TYPE, NORMAL) for piece in pieces]
        words = [(piece[WORD].decode(), struct.unpack("<f", piece.get(SCORE, bytes(4)))[0]) for piece in pieces]
        if trainer.get(MODEL_TYPE, UNIGRAM) != UNIGRAM or not {*kinds} <= {NORMAL, UNKNOWN, CONTROL, UNUSED}:
            raise UserError(
                f"Expected a unigram model of plain pieces in {path}, but it is of another kind: bring the "
                "tokenizer.json of the model, or let transformers write one."
            )
        tokenizer = _unigram(words, kinds.index(UNKNOWN), normalizer.get(CHARSMAP, b""))
    except UserError:
        raise
    except Exception as error:  # of many kinds, as bytes that are no vocabulary lead to
        raise UserError(
            f"Expected a vocabulary of sentencepiece in {path}, but it is damaged or another kind of file "
            f"({one_line(error)}): copy or download it again."
        ) from error
    return tokenizer, {number for number, kind in enumerate(kinds) if kind != NORMAL}


def _unigram(words: list[tuple[str, float]], unknown: int, charsmap: bytes) -> "Tokenizer":
    """Return the tokenizer of a unigram model.

    Args:
        words: pieces and their scores.
        unknown: id of the piece for what no other one covers.
        charsmap: sentencepiece's table of normalisation; may be empty.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.Unigram(words, unk_id=unknown, byte_fallback=False))
    table = [normalizers.Precompiled(charsmap)] if charsmap else []
    tokenizer.normalizer = normalizers.Sequence([*table, normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    return tokenizer


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message of protocol buffers: its number, and its value as a number or as bytes.

    >>> list(_fields(bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69])))
    [(1, 150), (2, b'hi')]
    """
    place = 0
    while place < len(content):
        key, place = _number(content, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _number(content, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _number(content, place)
        else:
            size = {1: 8, 5: 4}[kind]
        if place + size > len(content):
            raise EOFError("it is cut short")
        yield number, content[place : place + size]
        place += size


def _number(content: bytes, place: int) -> tuple[int, int]:
    """Return the number of variable length that begins at `place`, and the place behind it."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
