"""Lists cut into training, validation and test."""

from hypothesis import given
from hypothesis import strategies as st

from datasets.division import SHARES, divide


def test_shares_of_ten_and_of_few():
    assert {part: len(items) for part, items in divide(range(10)).items()} == {"train": 5, "val": 2, "test": 3}
    assert divide("abcd") == {"train": "ab", "val": "c", "test": "d"}


@given(st.lists(st.integers()))
def test_nothing_is_lost_and_the_order_stays(items):
    parts = divide(items)
    assert list(parts) == [part for part, _ in SHARES]
    assert [item for part in parts.values() for item in part] == items
