"""What is shown on a terminal or written to a log: texts from elsewhere can neither steer it nor hide in it."""

import re
from typing import Any, TextIO

# Control characters, and characters that are not seen but change how others are: of direction, without width, tags;
# and the surrogates by which Python stands for bytes that are no UTF-8.
UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
UNSEEN += "\U000e0000-\U000e007f\ud800-\udfff"
IN_TEXT = re.compile(f"[{UNSEEN}]")
IN_NAME = re.compile(f"[{UNSEEN}\t\n]")
USER = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
KEY = re.compile(r"([?&][\w.-]*(?:token|key|secret|passw|signature|credential)[\w.-]*=)[^&#\s\"'<>]+", re.IGNORECASE)


def printable(text: str) -> str:
    r"""Return `text` on one line, with what a terminal would obey or not show as `\x1b`, `\n` or `\u202e`.

    Passwords and keys in URLs are left out, as by `without_password`.

    >>> printable("tumour\x1b[2J")
    'tumour\\x1b[2J'
    """
    return IN_NAME.sub(_escape, without_password(text))


def printable_text(text: str) -> str:
    """Return `text` as `printable` does, but with its line breaks and tabs."""
    return IN_TEXT.sub(_escape, without_password(text))


def without_password(text: str) -> str:
    """Return `text` with the names, passwords and keys in its URLs as `***`.

    >>> without_password("from https://alice:secret@host/v1?api_key=abc")
    'from https://***@host/v1?api_key=***'
    """
    return KEY.sub(r"\1***", USER.sub("***@", text)) if "://" in text else text


def _escape(match: re.Match) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()


class Console:
    """A text stream whose every write is made harmless, such as `sys.stdout` while a command runs.

    Args:
        stream: where the text goes.
        keep: characters that pass beside line breaks and tabs; the carriage return of progress bars.
    """

    def __init__(self, stream: TextIO, keep: str = ""):
        self.stream, self.keep = stream, keep

    def write(self, text: str) -> int:
        """Write `text`; what the stream's encoding lacks is escaped as well."""
        harmless = "".join(part if part in self.keep else printable_text(part) for part in self._parts(text))
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(harmless.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def _parts(self, text: str) -> list[str]:
        return re.split(f"([{self.keep}])", text) if self.keep else [text]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
