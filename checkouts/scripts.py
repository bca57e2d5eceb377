"""Read what shell scripts run, as data: nothing is executed.

Known are assignments, loops, `$NAME`, `${NAME}`, `${NAME:-default}` and calls of train.py; all else is passed over.
What a script takes from elsewhere, as from its command line, stays a variable: `CFG=$4` makes `${CFG}` into `${4}`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^{}$]*))?\}|(\d|[A-Za-z_]\w*))", re.ASCII)
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.ASCII | re.DOTALL)
KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+")  # such as OPTIM.LR
OUTPUT_OF_COMMAND = re.compile(r"\$\(+[^()]*\)+|`[^`]*`")
REDIRECTION = re.compile(r"(?<=\s)[\d&]?[<>]+&?\s*[^\s;&|]+")
SEPARATORS = ";&|()"
OPENING, CLOSING = ("if", "case"), ("fi", "esac")
PREFIXES = ("then", "elif", "else", "do", "while", "until", "!", "time", "exec", "export", "local", "declare")


class Call(NamedTuple):
    """A call of train.py. Words keep variables whose values the script does not tell.

    Attributes:
        flags: value of each flag, "" for one without.
        options: the KEY VALUE pairs behind the flags.
        others: words behind the flags that are no such pairs.
    """

    flags: dict[str, str]
    options: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()

    def with_values(self, values: Mapping[str, str]) -> "Call":
        """Return the call with `values` of variables, and with their defaults for those that have one."""

        def put(word: str) -> str:
            return substitute(word, values, defaults=True)

        flags = {name: put(value) for name, value in self.flags.items()}
        options = tuple((key, put(value)) for key, value in self.options)
        return Call(flags, options, tuple(map(put, self.others)))


def read_calls(text: str) -> list[Call]:
    r"""Return the calls of train.py in the text of a script, in their order.

    An assignment below `if` or `case` leaves its variable without a value, unless it had the same before.

    >>> read_calls("N=4 # tokens\npython train.py --trainer CoOp_$3 \\\n  --eval-only A.N ${N}")
    [Call(flags={'--trainer': 'CoOp_${3}', '--eval-only': ''}, options=(('A.N', '4'),), others=())]
    """
    values: dict[str, str] = {}
    calls = []
    depth = shifts = 0
    for words in _commands(text):
        while words and words[0] in (*PREFIXES, *OPENING, *CLOSING):
            depth += (words[0] in OPENING) - (words[0] in CLOSING)
            words.pop(0)
        while words and (match := ASSIGNMENT.fullmatch(words[0])):
            name, more, value = match.groups()
            value = (values.get(name, f"${{{name}}}") if more else "") + substitute(value, values)
            if depth > 0 and values.get(name) != value:
                values.pop(name, None)
            else:
                values[name] = value
            words.pop(0)
        words = [substitute(word, values) for word in words]
        if words[:1] == ["for"] and words[2:3] == ["in"]:
            values.pop(words[1], None)
            if len(words) == 4:
                values[words[1]] = words[3]
        elif words[:1] == ["shift"]:
            shifts += int(words[1]) if words[1:] and words[1].isdigit() else 1
            values |= {str(number): f"${{{number + shifts}}}" for number in range(1, 10)}
        elif words[:1] != ["echo"]:
            places = [place for place, word in enumerate(words) if word.rpartition("/")[2] == "train.py"]
            calls += [_call(words[places[0] + 1 :])] if places else []
    return calls


def substitute(word: str, values: Mapping[str, str], defaults: bool = False) -> str:
    """Return a word with the values of its variables; those without one stay, as `${NAME}`.

    Args:
        word: of a script.
        values: by name.
        defaults: replace a variable without a value by its default, if it has one.

    >>> substitute("$TRAINER/${CFG}_${3:-16}", {"TRAINER": "CoOp"})
    'CoOp/${CFG}_${3:-16}'
    """

    def value(match: re.Match) -> str:
        name, default = match[1] or match[3], match[2]
        if name in values:
            return values[name]
        if default is None:
            return f"${{{name}}}"
        return default if defaults else f"${{{name}:-{default}}}"

    return VARIABLE.sub(value, word)


def solve(wanted: Mapping[str, str]) -> dict[str, str] | None:
    """Return values of variables with which each word becomes what is wanted of it; None if there are none.

    Args:
        wanted: by word; the words are taken in their order.

    >>> solve({"CoOp_${4}": "CoOp_BiomedCLIP", "${2}": "btmri"})
    {'4': 'BiomedCLIP', '2': 'btmri'}
    >>> solve({"CoOp_${4}": "CoOp_CLIP", "Zeroshot${4}": "ZeroshotBiomedCLIP"})
    """
    values: dict[str, str] = {}
    for word, text in wanted.items():
        word = substitute(word, values)
        names: list[str] = []
        pattern, end = "", 0
        for match in VARIABLE.finditer(word):
            name = match[1] or match[3]
            pattern += re.escape(word[end : match.start()])
            pattern += f"(?:\\{names.index(name) + 1})" if name in names else "(.+)"
            names += [] if name in names else [name]
            end = match.end()
        found = re.fullmatch(pattern + re.escape(word[end:]), text)
        if not found:
            return None
        values |= dict(zip(names, found.groups(), strict=True))
    return values


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command; lines with a quotation mark that is not closed are passed over."""
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\\\n", " ")
    for line in text.split("\n"):
        line = REDIRECTION.sub("", OUTPUT_OF_COMMAND.sub("${_}", line))  # `$_` is never assigned
        lexer = shlex.shlex(line, posix=True, punctuation_chars=SEPARATORS)
        lexer.whitespace_split = True
        command: list[str] = []
        try:
            for word in lexer:
                if word.strip(SEPARATORS):
                    command.append(word)
                else:
                    yield command
                    command = []
        except ValueError:
            continue
        yield command


def _call(words: list[str]) -> Call:
    """Return a call, given its words behind train.py."""
    flags: dict[str, str] = {}
    options, others = [], []
    name = ""
    words = list(filter(None, words))
    while words and not KEY.fullmatch(words[0]):
        word = words.pop(0)
        if word.startswith("--"):
            name, _, flags[name] = word.partition("=")
        elif name:
            flags[name] = f"{flags[name]} {word}".strip()
        else:
            others.append(word)
    while words:
        word = words.pop(0)
        if KEY.fullmatch(word) and words:
            options.append((word, words.pop(0)))
        else:
            others.append(word)
    return Call(flags, tuple(options), tuple(others))
