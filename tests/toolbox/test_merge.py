"""Settings from yaml files and command lines."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from yacs.config import CfgNode

from dassl.config import merge_file, merge_pairs
from dassl.errors import UserError

DEFAULTS = {
    "LR": 0.1,
    "N": 4,
    "ON": True,
    "WORD": "a",
    "LIST": [1],
    "TUPLE": (1, 2),
    "NODE": {"DEEP": 1.5},
    "ANY": None,
    "FLOATS": [0.5, 0.5],
    "NONE": (),
    "ONE": (-1,),
}
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="'\""), min_size=1, max_size=20)


@pytest.fixture
def cfg() -> CfgNode:
    return CfgNode(DEFAULTS)


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("LR", "1", 1.0),
        ("LR", "1e-5", 1e-5),
        ("N", "1e2", 100),
        ("N", "16", 16),
        ("ON", "False", False),
        ("ON", "false", False),
        ("WORD", "2024", "2024"),
        ("WORD", "007", "007"),
        ("WORD", "1e5", "1e5"),
        ("WORD", "None", "None"),
        ("WORD", "[1]", "[1]"),
        ("WORD", "'quoted'", "quoted"),
        ("WORD", "two words", "two words"),
        ("LR", "10", 10.0),
        ("LIST", "(3, 4)", [3, 4]),
        ("LIST", "3", [3]),
        ("LIST", "(1e1, 4.0)", [10, 4]),
        ("FLOATS", "[0, 1]", [0.0, 1.0]),
        ("FLOATS", (1, 2), [1.0, 2.0]),
        ("ONE", "3", (3,)),
        ("ONE", "3,4", (3, 4)),
        ("NONE", "normalize", ("normalize",)),
        ("NONE", "[1, 'a']", (1, "a")),
        ("TUPLE", "[3, 4]", (3, 4)),
        ("NODE.DEEP", "2", 2.0),
        ("ANY", "3", 3),
        ("ANY", "0,1,2", "0,1,2"),
        ("ANY", "1_0", "1_0"),
        ("ANY", "1e3", "1e3"),
        ("ANY", "None", None),
        ("ANY", "{[1]: 2}", "{[1]: 2}"),
        ("WORD", "{[1]}", "{[1]}"),
        ("WORD", "0x" + "f" * 6000, "0x" + "f" * 6000),
    ],
)
def test_a_value_becomes_what_its_default_is(cfg, key, word, value):
    merge_pairs(cfg, [key, word])
    found = cfg.NODE.DEEP if key == "NODE.DEEP" else cfg[key]
    assert found == value and type(found) is type(value)
    if isinstance(value, (list, tuple)):
        assert [type(item) for item in found] == [type(item) for item in value]


@given(WORDS)
def test_a_word_stays_as_it_was_written(word):
    cfg = CfgNode(DEFAULTS)
    merge_pairs(cfg, ["WORD", word])
    assert word == cfg.WORD


@pytest.mark.parametrize("text", ["LR: 1", "LR: 1e-5", "WORD: 4", "NODE:\n  DEEP: 2", "LIST: !!set {}", ""])
def test_a_yaml_file_is_merged_likewise(cfg, tmp_path, text):
    path = tmp_path / "a.yml"
    path.write_text("" if "!!" in text else text)
    merge_file(cfg, path)
    expected = CfgNode(DEFAULTS)
    for key, value in (("LR: 1", 1.0), ("LR: 1e-5", 1e-5)):
        expected.LR = value if text == key else expected.LR
    expected.WORD = "4" if "WORD" in text else "a"
    expected.NODE.DEEP = 2.0 if "DEEP" in text else 1.5
    assert cfg == expected


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("LR", "fast"),
        ("N", "1.5"),
        ("N", "True"),
        ("ON", "1"),
        ("LR", "1" + "0" * 400),
        ("LR", "None"),
        ("ON", "None"),
        ("LIST", "a"),
        ("LIST", "[1, 2.5]"),
        ("LIST", "None"),
        ("TUPLE", "3"),
        ("FLOATS", "[0, True]"),
        ("FLOATS", "('a', 'b')"),
        ("ONE", "1.5"),
        ("NODE", "3"),
        ("NODE.DEEP.X", "3"),
        ("NODE.WIDE", "3"),
        ("lr", "3"),
        ("", "3"),
        ("N", "-" * 200_000),
        ("N", "9" * 9000),
        ("N", "[" * 9000),
    ],
)
def test_what_is_no_setting_is_refused_with_its_name(cfg, key, word):
    with pytest.raises(UserError, match=f"{key.removesuffix('.X')}.*in the settings|in the settings.*{key}"):
        merge_pairs(cfg, [key, word])
    assert cfg == CfgNode(DEFAULTS)


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("NODE.DEPP", "did you mean NODE.DEEP?"),
        ("DEEP", "did you mean NODE.DEEP?"),
        ("deep", "did you mean NODE.DEEP?"),
        ("NODE.WORD", "did you mean WORD?"),
        ("XYZ", "config.yaml of a run lists all keys"),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_was_meant(cfg, key, advice, tmp_path):
    with pytest.raises(UserError, match=f"no key {key}: .*{re.escape(advice)}"):
        merge_pairs(cfg, [key, "3"])
    nested: dict = {}
    inner = nested
    *parts, last = key.split(".")
    for part in parts:
        inner[part] = inner = {}
    inner[last] = 3
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(nested))
    with pytest.raises(UserError, match=f"a.yaml, but there is no key {key}: .*{re.escape(advice)}"):
        merge_file(cfg, tmp_path / "a.yaml")


def test_a_short_key_is_told_with_all_that_it_may_mean():
    cfg = CfgNode({"TRAINER": {name: {"W": 1.0} for name in "ABCDEF"}})
    with pytest.raises(UserError, match=r"did you mean TRAINER\.A\.W or .* or TRAINER\.D\.W\?"):
        merge_pairs(cfg, ["W", "1"])


def test_a_key_without_a_value_is_refused(cfg):
    with pytest.raises(UserError, match="but LR has none"):
        merge_pairs(cfg, ["LR"])


@pytest.mark.parametrize("name", ["settings.py", "settings.pyc", "settings", "settings.yaml.py", "settings.so"])
def test_a_file_of_another_kind_is_not_even_opened(cfg, tmp_path, name):
    path = tmp_path / name
    path.write_text(f"open({str(tmp_path / 'sentinel')!r}, 'w').close()\ncfg = dict()\n")
    with pytest.raises(UserError, match=r"ends in \.yaml or \.yml"):
        merge_file(cfg, path)
    assert not (tmp_path / "sentinel").exists()


@pytest.mark.parametrize("text", ["N: 0x{}", "N: [0x{}]", "LIST: [0x{}]", "NODE: 0b{}", "? 0x{}\n: 1"])
def test_a_number_without_end_is_a_sentence(cfg, tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text.format("1" * 20_000))
    with pytest.raises(UserError, match="a number of more than 1,000 digits"):
        merge_file(cfg, path)
    with pytest.raises(UserError, match="Expected an int"):
        merge_pairs(cfg, ["N", "0x" + "f" * 6000])
