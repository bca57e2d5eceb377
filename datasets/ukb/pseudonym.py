"""Make pseudonyms of participants that only the holder of the salt can make again."""

import hmac
import os
import re
import secrets
import string
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from dassl.errors import UserError
from dassl.reading import read_bytes
from dassl.writing import make_folder

BYTES = 32  # of a new salt
LEAST = 32  # hexadecimal digits of a salt: 128 bits
MOST = 1024  # bytes of its file
DIGITS = re.compile(rb"[0-9a-fA-F]+")
TEXT = frozenset(string.printable.encode())

Pseudonym = Callable[[str], str]


def pseudonyms(path: Path, out: Path, name: str) -> Pseudonym:
    """Return a function from eid to pseudonym (16 hexadecimal digits), by a salt that is kept in a file.

    A participant has another pseudonym in each data set, so that two data sets that were passed on cannot be joined.

    Args:
        path: of the salt; a new one is made there, with mode 0600, if there is none.
        out: folder of the images. The salt must lie elsewhere: whoever has both can find participants by trying.
        name: of the data set.

    Raises:
        UserError: the file lies in `out`, can be read by others, or holds no salt.
    """
    path = path.expanduser()
    if path.resolve().is_relative_to(out.resolve()):
        raise UserError(f"Expected the salt outside {out}, which you may hand on, but got {path}: choose another.")
    if not path.is_file():
        _make(path)
    salt = _read(path)

    def pseudonym(eid: str) -> str:
        return hmac.digest(salt, f"{name} {eid}".encode(), "sha256").hex()[:16]

    return pseudonym


def fingerprint(pseudonym: Pseudonym) -> str:
    """Return 16 digits that tell one salt from another; they are kept beside the images.

    Whoever has them can test guesses of the salt, as with a pseudonym of a participant whose number is known. A salt of
    128 random bits cannot be guessed; this is why no other salt is taken.
    """
    return pseudonym("salt")  # no participant's number


def looks_random(salt: bytes) -> bool:
    """Tell whether hexadecimal digits look random: they are no text, no pattern and no sequence.

    One random salt in a million is refused; a digest of a phrase passes, and is as bad as the phrase.

    >>> looks_random(b"9f1c72d80b6e35a4e81d0c4f7a92b653"), looks_random(b"0123456789abcdef" * 2)
    (True, False)
    """
    digits = salt.decode().lower()
    steps = {(int(b, 16) - int(a, 16)) % 16 for a, b in pairwise(digits)}
    eights = [digits[i : i + 8] for i in range(len(digits) - 7)]
    is_text = TEXT.issuperset(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    return len(set(digits)) >= 8 and len(steps) >= 8 and len(set(eights)) == len(eights) and not is_text


def _make(path: Path) -> None:
    """Write a new salt to a file that only its owner can read."""
    make_folder(path.parent, private=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(BYTES) + "\n")
    print(f"A new salt is in {path}: keep it, and to yourself; the same participants need it again.")


def _read(path: Path) -> bytes:
    """Return the salt in a file; the error says nothing of what else it holds, which may be a password."""
    if os.name != "nt" and path.stat().st_mode & 0o077:
        raise UserError(
            f"Expected a salt that you alone can read in {path}, but others can: chmod 600 it, and if others may have "
            "read it, remove it and prepare into another --out with a new one."
        )
    salt = read_bytes(path, MOST).strip()
    if not DIGITS.fullmatch(salt) or len(salt) < LEAST or not looks_random(salt):
        raise UserError(
            f"Expected a salt of {LEAST} or more random hexadecimal digits in {path}, but found something else: "
            "restore the file, or remove it to have a new one made."
        )
    return salt.lower()
