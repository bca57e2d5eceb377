"""Names from elsewhere, in paths and on terminals."""

import io
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dassl.console import Console, printable, printable_text, shown
from dassl.errors import UserError, command
from dassl.names import check_name, file_name

ANY = st.text(st.characters(), max_size=300)  # surrogates too: bytes of a file name that are not UTF-8
HOSTILE = ["\x1b]52;c;cm0=\x07", "\x1b[2J", "a\r\nb", "\u202egnp.exe", "\u200bx", "\x9b2J", "\udce9", "\U000e0041"]


def steers(character: str) -> bool:
    """Return whether Unicode calls a character a control, a surrogate, a line's end, or one of direction."""
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in DIRECTIONS


DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@given(ANY)
@example("..")
@example("...")
@example("")
@example(".ssh")
@example("a/../../b")
@example("脳" * 200)
def test_a_file_name_is_one_name_that_is_seen_and_short(text):
    name = file_name(text)
    path = Path("/root") / name
    assert path.parent == Path("/root") and path.name == name and not name.startswith(".")
    assert 0 < len(name.encode()) <= 150
    assert file_name(name) == name


def test_long_names_do_not_meet():
    assert len({file_name("x" * 300 + end) for end in "abc"}) == 3


def test_usual_names_stay():
    for name in ("btmri", "hf-hub-org-model", "vMFCoOp_BiomedCLIP", "v1.2", "größe", "脳"):
        assert file_name(name) == name
    assert file_name("local-dir:/data/my model") == "local-dir--data-my-model"


@given(ANY)
def test_what_is_shown_cannot_steer_a_terminal(text):
    assert not any(map(steers, printable(text)))
    assert not any(map(steers, set(printable_text(text)) - {"\n", "\t"}))
    printable(text).encode()


def test_any_value_is_shown_in_a_few_printable_characters():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(["\x1b[2J", "x" * 200]) == repr(["\x1b[2J", "x" * 200])[:100]
    assert shown("https://alice:secret@host") == "'https://***@host'"
    assert shown(nested) == "brackets too deep"


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"]), max_size=50))
def test_what_is_seen_is_shown_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_command_prints_nothing_that_steers(text, capsys):
    @command
    def main() -> int:
        print(text)
        print(text, file=sys.stderr)
        raise UserError(f"Expected nothing, but got {text}")

    assert main() == 1
    out, err = capsys.readouterr()
    assert not any(map(steers, set(out + err) - {"\n", "\r"})) and "\\" in out and "\\" in err


def test_what_the_console_cannot_encode_is_escaped():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252")
    print("größe 脳", file=Console(stream))
    stream.flush()
    assert raw.getvalue() == "größe \\u8133\n".encode("cp1252")


def test_a_progress_bar_keeps_its_carriage_return():
    stream = io.StringIO()
    print("\r50%\x1b[A", end="", file=Console(stream, keep="\r"))
    assert stream.getvalue() == "\r50%\\x1b[A"


@pytest.mark.parametrize("value", [None, 1, [], {}, "", "x" * 201, "a\nb", "a\tb", *HOSTILE])
def test_a_name_is_a_short_text_that_is_seen(value):
    with pytest.raises(UserError, match=r"Expected the name of a data set in metrics\.json") as caught:
        check_name(value, "data set", "metrics.json")
    assert not any(map(steers, str(caught.value)))


@pytest.mark.parametrize("value", ["btmri", "Größe 2", "a/b", "../x", "脳腫瘍", "x" * 200])
def test_a_name_may_be_anything_that_is_seen(value):
    assert check_name(value, "class", "classes.txt") == value
