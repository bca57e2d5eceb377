"""Make texts from files and servers safe to show: they cannot steer a terminal, hide characters or show passwords.

`tell` prints what a user must see.
"""

import re
import sys
from typing import Any, TextIO

# Control characters; invisible characters that change how others look (of direction, without width, tags); and the
# surrogates that stand in Python for bytes that are no UTF-8.
UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
UNSEEN += "\U000e0000-\U000e007f\ud800-\udfff"
IN_TEXT = re.compile(f"[{UNSEEN}]")
IN_NAME = re.compile(f"[{UNSEEN}\t\n]")
USER = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
KEY = re.compile(r"([?&][\w.-]*(?:token|key|secret|passw|signature|credential)[\w.-]*=)[^&#\s\"'<>]+", re.IGNORECASE)


def printable(text: str) -> str:
    r"""Return `text` on one line, with characters that steer a terminal or are invisible written as `\x1b` or `\u202e`.

    Passwords and keys in URLs are replaced, as by `without_password`.

    >>> printable("tumour\x1b[2J")
    'tumour\\x1b[2J'
    """
    return IN_NAME.sub(_escape, without_password(text))


def printable_text(text: str) -> str:
    """Return `text` as `printable` does, but keep its line breaks and tabs."""
    return IN_TEXT.sub(_escape, without_password(text))


def shown(value: Any) -> str:
    """Return the first 100 characters of the `repr` of a value, printable, for an error message.

    >>> shown({"label": None})
    "{'label': None}"
    """
    try:
        return printable(repr(value)[:100])
    except RecursionError:
        return "brackets too deep"


def without_password(text: str) -> str:
    """Return `text` with `***` in place of the user names, passwords and keys in its URLs.

    >>> without_password("from https://alice:secret@host/v1?api_key=abc")
    'from https://***@host/v1?api_key=***'
    """
    return KEY.sub(r"\1***", USER.sub("***@", text)) if "://" in text else text


def _escape(match: re.Match) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()


def tell(words: str) -> None:
    """Print a line that a user must see; a run, which prints to its log alone, shows it on the console too."""
    getattr(sys.stdout, "write_both", print)(words)


class Console:
    """Wrap a text stream such as `sys.stdout` so that everything written to it is printable.

    Args:
        stream: receives the text.
        keep: further characters to write as they are, such as the carriage return of progress bars.
    """

    def __init__(self, stream: TextIO, keep: str = ""):
        self.stream, self.keep = stream, keep

    def write(self, text: str) -> int:
        """Write `text`; characters that the stream's encoding lacks are escaped as well."""
        safe = "".join(part if part in self.keep else printable_text(part) for part in self._parts(text))
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(safe.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def _parts(self, text: str) -> list[str]:
        return re.split(f"([{self.keep}])", text) if self.keep else [text]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
