"""Reading files that others may have written."""

import json
import os
import socket

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dassl.errors import UserError
from dassl.reading import read_bytes, read_json, read_text, read_yaml

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("kind", ["a folder", "a named pipe", "a device", "a symbolic link", "a socket"])
@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, read_yaml])
def test_only_files_are_read(read, kind, tmp_path, monkeypatch):
    path = tmp_path / "found"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a socket":
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        socket.socket(socket.AF_UNIX).bind("found")
    else:
        (tmp_path / "aim").write_text("1")
        path.symlink_to("aim")
    with pytest.raises(UserError, match=str(path)):
        read(path, links=kind == "a device")


def test_a_link_is_followed_unless_it_is_of_others(tmp_path):
    (tmp_path / "aim.json").write_text("[1]")
    (tmp_path / "link.json").symlink_to("aim.json")
    assert read_json(tmp_path / "link.json") == [1]


def test_a_file_that_is_too_large_is_named_or_its_end_is_read(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"begin" + b"." * 100 + b"end")
    with pytest.raises(UserError, match=r"at most 50 bytes in .*log\.txt"):
        read_bytes(path, limit=50)
    assert read_bytes(path, limit=8, last=True) == b".....end"
    assert read_bytes(path, limit=108) == path.read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_tells_how_text_is_written(encoding, tmp_path):
    text, mark = "größe\r\nKlasse 1\n脳", {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "classes.txt").write_bytes(mark + text.encode(encoding))
    assert read_text(tmp_path / "classes.txt") == text


def test_text_of_another_encoding_is_named_with_its_line(tmp_path):
    (tmp_path / "classes.txt").write_bytes("one\nzw\xf6lf".encode("latin-1"))
    with pytest.raises(UserError, match=r"classes\.txt, but line 2 has a byte that is none \(0xf6\): save it as UTF-8"):
        read_text(tmp_path / "classes.txt")
    assert read_text(tmp_path / "classes.txt", strict=False) == "one\nzw�lf"


@given(PLAIN)
def test_plain_values_come_back(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("plain", numbered=True)
    (folder / "a.json").write_text(json.dumps(value))
    (folder / "a.yaml").write_text(yaml.safe_dump(value))
    assert read_json(folder / "a.json") == value and read_yaml(folder / "a.yaml") == value


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(9),
        "a: &a [*a]",
        "a: &a {b: *a}",
        "[" * 3000,
        "- " * 3000 + "x",
        "a: !!python/object/apply:os.system [touch sentinel]",
        "a: !!python/name:os.system",
        "\ta: 1",
        "{[]: 1}",
        "a: 2020-99-99",
        "x" * (1024 * 1024 + 1),
    ],
    ids=lambda text: text[:24],
)
def test_a_yaml_of_something_else_is_named(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        read_yaml(tmp_path / "config.yaml")
    assert not (tmp_path / "sentinel").exists()


def test_an_alias_of_reasonable_size_stays_possible(tmp_path):
    (tmp_path / "a.yaml").write_text("base: &base {LR: 0.1}\nmine:\n  <<: *base\n  EPOCHS: 2\n")
    assert read_yaml(tmp_path / "a.yaml")["mine"] == {"LR": 0.1, "EPOCHS": 2}


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": ' * 100_000, "1" * 5000, "{", "", "nothing"], ids=str.__len__)
def test_a_json_of_something_else_is_named(text, tmp_path):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=r"Expected JSON in .*metrics\.json"):
        read_json(tmp_path / "metrics.json")
