"""Check names from files and command lines, and turn them into names of files and folders."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

from dassl.console import IN_NAME, shown
from dassl.errors import UserError

LONGEST = 200  # characters of a name
OWN_FOLDER = "local-dir:"  # begins the name of a model in a folder of the user
LONGEST_FILE = 150  # bytes of a file's name; file systems take 255, and a suffix may be added


def file_name(text: str) -> str:
    """Return `text` as the name of a file or folder that lies directly in its parent folder.

    Letters and digits of any script, `.`, `_` and `-` stay, all other characters become `-`. Leading dots, which would
    hide the file or lead upwards, become `-`. A long name is cut, and ends in a digest of the whole name.

    >>> file_name("hf-hub:org/model"), file_name("../../etc")
    ('hf-hub-org-model', '---..-etc')
    """
    name = re.sub(r"[^\w.-]", "-", unicodedata.normalize("NFC", text))
    dots = len(name) - len(name.lstrip("."))
    name = "-" * dots + name[dots:] or "-"
    if len(name.encode()) <= LONGEST_FILE:
        return name
    return name.encode()[: LONGEST_FILE - 17].decode(errors="ignore") + "-" + sha256(name.encode()).hexdigest()[:16]


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts seed 2 before seed 10.

    >>> sorted([Path("seed10"), Path("seed2")], key=natural_key)[0].name
    'seed2'
    """
    return [(int(digits or 0), word) for word, digits in re.findall(r"(\D*)(\d*)", path.as_posix())]


def check_name(value: Any, what: str, where: str, longest: int = LONGEST) -> str:
    """Return `value` if it is a name: text of 1 to 200 visible characters.

    Args:
        value: read from a file or a command line.
        what: the kind of thing that it names, for the error.
        where: the file or flag that it comes from, for the error.
        longest: number of characters that it may have instead of 200.

    Raises:
        UserError: `value` is no text, empty, too long, or has invisible characters.
    """
    if isinstance(value, str) and 0 < len(value) <= longest and not IN_NAME.search(value):
        return value
    raise UserError(
        f"Expected the name of a {what} in {where} (up to {longest} characters, no control characters), but got "
        f"{shown(value)}: correct it."
    )


def shared_name(model: str) -> str:
    """Return the name of a model for files that are shared: of a folder's path only the last part.

    >>> shared_name("local-dir:/home/alice/model"), shared_name("hf-hub:org/model")
    ('local-dir:model', 'hf-hub:org/model')
    """
    if not model.startswith(OWN_FOLDER):
        return model
    return OWN_FOLDER + re.split(r"[/\\]", model.removeprefix(OWN_FOLDER).rstrip("/\\"))[-1]


def check_availability(requested: str, available: Iterable[str], what: str = "name") -> None:
    """Raise a UserError that lists the available names, and the nearest, if `requested` is not one of them."""
    names = list(dict.fromkeys(available))
    if requested not in names:
        raise UserError(unknown_name(requested, names, what))


def unknown_name(name: str, names: Iterable[str], what: str) -> str:
    """Return the sentence about a name that does not exist.

    >>> unknown_name("copp", ["coop", "kgcoop"], "method")
    "Expected method to be one of coop, kgcoop, but got 'copp': did you mean 'coop'?"
    """
    names = list(names)
    if not names:
        return f"Expected a registered {what}, but got {shown(name)}, and none is registered: import its module first."
    folded = {known.casefold(): known for known in names}  # BiomedCLIP is as near to "biomedclip" as can be
    close = get_close_matches(str(name).casefold(), folded, n=1)
    advice = f"did you mean {folded[close[0]]!r}?" if close else "choose one of these."
    return f"Expected {what} to be one of {', '.join(names)}, but got {shown(name)}: {advice}"
