"""Take paths and names out of a log before it is shown to others.

A list of what must go is never complete, so this is a list of what may stay: the words that the code itself is written
with, and short numbers. Everything else, whether it is a folder, a patient, a user or a host, becomes "…"; and what
looks like a path becomes "<path>", whatever words it has.
"""

import re
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dassl.console import printable
from dassl.images import SUFFIXES

ROOT = Path(__file__).parents[1]
ROOMS = (
    *("checkouts", "clip", "datasets", "explain", "grid", "report"),
    *("reproduce", "runs", "toolbox", "trainers", "tuning", "vmfcoop"),
)
ERRORS = "Traceback NoneType mat1 mat2 mat singleton broadcast broadcastable nonzero cudnn cublas OutOfMemoryError cpu"
PATH, NAME = "<path>", "…"
WORD = re.compile(r"(?<![/\\@\w])[A-Za-z_]\w*", re.ASCII)  # of a source; not in the middle of a path
FRAME = re.compile(r'^(\s*File )"(.{1,1000})", line (\d{1,6})(?:, in ([\w<>]{1,200}))?$')  # of a traceback
NUMBER = re.compile(r"\d{1,6}(?:x\d{1,6})*|\d{1,6}e", re.ASCII)  # 4, 4x512, and 1.17e-03 as far as a word goes
BREAK = re.compile(r"[/\\~]")
FROM_ROOT = re.compile(r"(?<!\w)[/\\~]|^\W*\.")  # or from a folder above
RATIO = re.compile(r"\W*\d{1,6}(?:/\d{1,6}){1,2}\W*", re.ASCII)  # [58/100]; 6/3/5 images in three parts
FILE = re.compile(r"\w\.(?!\d+\b)[^\W_]{1,11}\W*$|\d+(?:\.\d+){4,}")  # a suffix; a unique identifier of DICOM
CODE = re.compile(r"(?:\w+\.)+\w+\W*", re.ASCII)  # torch.nn.Linear
SIGNS = "!\"#$%&'()*+,-.:;<=>?@[]^_`{|}~±/\\"
LONGEST = 400  # characters of a line


class Scrub:
    """What may stay in a text that is shown to others.

    Args:
        names: what goes though the code has its words: names of a user, of a host and of images.
        log: text whose tracebacks name files of installed packages: the words of these files may stay too.
    """

    def __init__(self, names: Iterable[str] = (), log: str = ""):
        self.names = {name.casefold() for name in names}
        frames = {match[2] for line in log.split("\n") if (match := FRAME.match(line))}
        self.known = set(_own_words())
        for path in filter(None, map(_source, frames)):
            self.known.update(_words_of(path))

    def line(self, text: str) -> str:
        """Return a line without paths and names.

        >>> Scrub().line("Expected images in /home/alice/Smith John, but there is none.")
        'Expected images in <path> … but there is none.'
        """
        if match := FRAME.match(text):
            return self._frame(*match.groups())
        text = printable(text[:LONGEST])
        tokens = text.split()
        shown = list(map(self._shown, tokens))
        first = next((i for i, token in enumerate(tokens) if self._in_path(token)), None)
        if first is not None:  # it ends where the line has its last sign of a path
            last = max(i for i, token in enumerate(tokens) if i == first or BREAK.search(token) or FILE.search(token))
            shown = [*shown[:first], PATH, *map(self._shown_after_path, tokens[last + 1 :])]
        once = (token for i, token in enumerate(shown) if token != NAME or shown[i - 1 : i] != [NAME])
        return text[: len(text) - len(text.lstrip())] + " ".join(once)

    def _frame(self, before: str, path: str, number: str, function: str | None) -> str:
        """Return a line of a traceback; a file of this code or of an installed package is named from its root on."""
        inside = f", in {self._shown(function)}" if function else ""
        if found := _source(path):
            root = max((root for root in _roots() if root in found.parents), key=lambda root: len(root.parts))
            return f'{before}"{found.relative_to(root).as_posix()}", line {number}{inside}'
        return f'{before}"{PATH}", line {number}{inside}'

    def _in_path(self, token: str) -> bool:
        """Return whether a token is a path, or a part of one."""
        if BREAK.search(token) or re.match(r"\W*[A-Za-z]:\w", token):
            harmless = token == "/" or RATIO.fullmatch(token)
            return not (harmless or (not FROM_ROOT.search(token) and self._all_known(token)))
        if not FILE.search(token):
            return False
        suffix = re.sub(r"\W+$", "", token).rpartition(".")[2]
        return f".{suffix.lower()}" in SUFFIXES or not (CODE.fullmatch(token) and self._all_known(token))

    def _all_known(self, token: str) -> bool:
        return all(self._stays(word) and not word[0].isdigit() for word in re.findall(r"\w+", token))

    def _stays(self, word: str) -> bool:
        if word.casefold() in self.names:
            return False
        return word in self.known or word.lower() in self.known or bool(NUMBER.fullmatch(word))

    def _shown(self, token: str) -> str:
        """Return a token if all of its words may stay."""
        odd = "".join(re.findall(r"\W", token)).strip(SIGNS)
        named = token.strip(SIGNS).casefold() in self.names
        return NAME if odd or named or not all(map(self._stays, re.findall(r"\w+", token))) else token

    def _shown_after_path(self, token: str) -> str:
        """Return a token that follows a path, whose end is not known: numbers and capitals may belong to it."""
        return NAME if re.search(r"\d|[A-Z]", token) else self._shown(token)


@cache
def _own_words() -> frozenset[str]:
    """Return the words that the code is written with."""
    sources = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    return frozenset(ERRORS.split()).union(*map(_words_of, sources))


def _words_of(path: Path) -> list[str]:
    return WORD.findall(path.read_text(encoding="utf-8", errors="replace"))


def _roots() -> list[Path]:
    return [ROOT / "toolbox", ROOT, *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib"))]


def _source(path: str) -> Path | None:
    """Return the file of this code, of an installed package or of Python that a traceback names, on any machine."""
    parts = re.split(r"[/\\]", path)
    tails = (Path(*parts[start:]) for start in range(len(parts)))
    safe = [tail for tail in tails if not tail.is_absolute() and ".." not in tail.parts and tail.suffix == ".py"]
    return next((root / tail for tail in safe for root in _roots() if (root / tail).is_file()), None)
