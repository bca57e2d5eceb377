"""Names from files and flags: checked when they are read, and made safe when they become part of a path."""

import re
import unicodedata
from hashlib import sha256
from typing import Any

from dassl.console import IN_NAME, printable
from dassl.errors import UserError

LONGEST = 200  # characters of a name; `file_name` gives no more than 150 bytes
OWN_FOLDER = "local-dir:"  # begins the name of a model that lies in a folder
LONGEST_FILE = 150  # bytes of a file's name; file systems take 255, and a suffix comes after it


def file_name(text: str) -> str:
    """Return `text` as the name of one file or folder, below whatever folder it is put into.

    Letters and digits of any script, `.`, `_` and `-` stay, everything else becomes `-`; a name that would be hidden or
    lead upwards loses its first dots; a long one is cut, and ends in a digest of the whole.

    >>> file_name("hf-hub:org/model"), file_name("../../etc")
    ('hf-hub-org-model', '---..-etc')
    """
    name = re.sub(r"[^\w.-]", "-", unicodedata.normalize("NFC", text))
    dots = len(name) - len(name.lstrip("."))
    name = "-" * dots + name[dots:] or "-"
    if len(name.encode()) <= LONGEST_FILE:
        return name
    return name.encode()[: LONGEST_FILE - 17].decode(errors="ignore") + "-" + sha256(name.encode()).hexdigest()[:16]


def check_name(value: Any, what: str, where: str) -> str:
    """Return `value` if it is a name: 1 to 200 characters, all of which are seen.

    Args:
        value: read from a file or a command line.
        what: what it is the name of, in the words of an error.
        where: the file or flag that it comes from.

    Raises:
        UserError: it is no text, empty, too long, or has control characters.
    """
    if isinstance(value, str) and 0 < len(value) <= LONGEST and not IN_NAME.search(value):
        return value
    found = printable(repr(value)[:100])
    raise UserError(
        f"Expected the name of a {what} in {where} (up to {LONGEST} characters, no control characters), but got "
        f"{found}: correct it."
    )


def shared_name(model: str) -> str:
    """Return the name of a model as it stands in what is shared: of a folder its last part, not where it lies.

    >>> shared_name("local-dir:/home/alice/model"), shared_name("hf-hub:org/model")
    ('local-dir:model', 'hf-hub:org/model')
    """
    if not model.startswith(OWN_FOLDER):
        return model
    return OWN_FOLDER + re.split(r"[/\\]", model.removeprefix(OWN_FOLDER).rstrip("/\\"))[-1]
