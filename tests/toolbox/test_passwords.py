"""Passwords and keys in URLs are shown nowhere: not on the terminal, not in a log, not in what a run says of itself."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassl.console import Console, printable, printable_text, without_password
from dassl.errors import UserError, command
from dassl.utils import Logger, collect_env_info

WORD = st.text("abcXYZ019-._~%:@!$&'()*+,;=|é", min_size=1).map(lambda text: "pw" + text.replace("'", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://alice:pw@host/v1", "https://***@host/v1"),
        ("https://pw@host", "https://***@host"),
        ("proxy http://alice:p@w@host:8080, then socks5h://b:pw@c", "proxy http://***@host:8080, then socks5h://***@c"),
        ("https://host/v1?api_key=pw&n=2#top", "https://host/v1?api_key=***&n=2#top"),
        ("https://host/v1?n=2&X-Amz-Signature=pw", "https://host/v1?n=2&X-Amz-Signature=***"),
        ("<a href='https://host?access_token=pw'>", "<a href='https://host?access_token=***'>"),
        ("https://host/pkg@1.0?q=a@b", "https://host/pkg@1.0?q=a@b"),
        ("https://host#a@b and mail alice@host", "https://host#a@b and mail alice@host"),
        ("no address, token=stays", "no address, token=stays"),
    ],
)
def test_what_is_left_of_a_url(text, expected):
    assert without_password(text) == without_password(expected) == expected


@given(WORD, WORD, st.sampled_from(["http", "https", "socks5", "hf+https", "ray"]))
def test_no_password_is_left(user, password, scheme):
    shown = without_password(f"from {scheme}://{user}:{password}@host:80/v1, but got 401")
    assert shown == f"from {scheme}://***@host:80/v1, but got 401"


def test_all_that_is_shown_is_without(tmp_path, capsys):
    text, stream = "at https://alice:pw@host/v1", io.StringIO()
    assert "pw" not in printable(text) and "pw" not in printable_text(text)
    Console(stream).write(text)
    assert stream.getvalue() == "at https://***@host/v1"
    with Logger(tmp_path / "log.txt") as log:
        log.write(text + "\n")
    assert (tmp_path / "log.txt").read_text() == "at https://***@host/v1\n"
    capsys.readouterr()

    @command
    def main() -> int:
        print(text)
        print(text, file=sys.stderr)
        raise UserError(f"Expected an answer {text}.")

    assert main() == 1
    shown = "".join(capsys.readouterr())
    assert shown.count("***@host") == 3 and "pw" not in shown


def test_what_a_run_says_of_itself_has_no_secrets(monkeypatch):
    for name in ("HTTPS_PROXY", "HF_TOKEN", "OPENAI_API_KEY", "HF_ENDPOINT", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "https://alice:hidden@host")
    assert "hidden" not in collect_env_info() and "alice" not in collect_env_info()
