"""Names for participants that only the holder of the salt can make again."""

import hmac
import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dassl.errors import UserError

LEAST = 16  # characters of a salt

Pseudonym = Callable[[str], str]


def pseudonyms(path: Path, out: Path) -> Pseudonym:
    """A function from eid to pseudonym (16 hexadecimal digits), by a salt that is kept in a file.

    Args:
        path: of the salt; made with mode 0600 unless it is there.
        out: where images go; the salt must lie elsewhere, as whoever has both can find participants by trying.

    Raises:
        UserError: the file lies within `out`, or is too short for a salt.
    """
    path = path.expanduser()
    if path.resolve().is_relative_to(out.resolve()):
        raise UserError(f"Expected the salt outside {out}, which you may hand on, but got {path}: choose another.")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        print(f"A new salt is in {path}: keep it, and to yourself; the same participants need it again.")
    salt = path.read_bytes().strip()
    if len(salt) < LEAST:
        raise UserError(
            f"Expected a salt of at least {LEAST} characters in {path}, but found {len(salt)}: restore the file, or "
            "remove it to have a new one made."
        )
    return partial(_digest, salt)


def _digest(salt: bytes, eid: str) -> str:
    return hmac.digest(salt, eid.encode(), "sha256").hex()[:16]
