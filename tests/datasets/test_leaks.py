"""The same image more than once: on two sides of a split, under two labels, or twice on one side."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dassl.data.datasets import Datum
from dassl.errors import UserError
from datasets.leaks import NAMES, copies, tell


@pytest.fixture(scope="module")
def datum(tmp_path_factory):
    """`datum(name, label)` makes a record whose file is there."""
    root = tmp_path_factory.mktemp("images")

    def make(name: str, label: int = 0) -> Datum:
        path = root / name
        path.write_text(name.split("_")[0])
        return Datum(impath=str(path), label=label, classname=f"class {label}")

    return make


def contents(paths: list[str]) -> list[bytes]:
    return [Path(path).read_bytes() for path in paths]


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("val", "test"), ("train", "val")])
def test_copies_on_two_sides_are_counted_and_the_first_named(datum, one, other):
    parts = {part: [datum(f"{part}{i}_x") for i in range(3)] for part in ("train", "val", "test")}
    assert copies(parts, contents) == []
    parts[one] += [datum("same_1"), datum("more_1")]
    parts[other] += [datum("same_2"), datum("same_3"), datum("more_2")]
    found = copies(parts, contents)
    sides = next(
        finding for finding in found if f"to {NAMES[one]} images" in finding and f"3 {NAMES[other]}" in finding
    )
    assert "byte for byte" in sides and "same_2, as " in sides
    assert [finding for finding in found if "other" in finding] == [
        f"1 {NAMES[other]} images are identical (byte for byte) to other {NAMES[other]} images"
    ]


def test_one_content_under_two_labels(datum):
    parts = {"train": [datum("a_1", 0), datum("a_2", 1), datum("b_1", 1)], "val": [], "test": [datum("c_1", 0)]}
    (labels, repeats) = copies(parts, contents, "pixel for pixel")
    assert labels.startswith("1 images are there under two labels (pixel for pixel identical); the first is ")
    assert '"class 0"), as' in labels and '"class 1")' in labels and "1 training images" in repeats


def test_a_record_that_is_listed_twice_is_no_copy_of_itself(datum):
    one = datum("a_1")
    assert copies({"train": [one], "val": [one], "test": []}, contents) == []
    assert copies({"train": [one, one], "test": []}, contents) == []
    assert copies({"train": [one], "val": None, "test": []}, contents) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(0, 8)), max_size=14))
def test_nothing_is_found_where_nothing_is_twice_and_something_where_it_is(datum, places):
    parts = {part: [] for part in ("train", "val", "test")}
    for i, (part, content) in enumerate(places):
        parts[part].append(datum(f"{content}_{i}"))
    twice = len({content for _, content in places}) < len(places)
    assert bool(copies(parts, contents)) is twice


def test_findings_are_warnings_or_errors(capsys):
    tell(["one", "two"], "warn")
    assert capsys.readouterr().out == "WARNING: one\nWARNING: two\n"
    tell([], "error")
    with pytest.raises(UserError, match=r"DATASET\.LEAKS error\), but one"):
        tell(["one", "two"], "error")
    with pytest.raises(UserError, match='one of warn, error, but got "maybe"'):
        tell([], "maybe")
