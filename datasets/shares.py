"""Training, validation and test from a list: 50, 20 and 30 per cent."""

from collections.abc import Sequence

SHARES = (("train", 0.5), ("val", 0.2), ("test", 0.3))


def divide(ordered: Sequence) -> dict[str, Sequence]:
    """The list cut in its order.

    >>> {part: len(items) for part, items in divide("abcdefghij").items()}
    {'train': 5, 'val': 2, 'test': 3}
    """
    parts, first, share = {}, 0, 0.0
    for part, more in SHARES:
        share += more
        last = round(len(ordered) * share)
        parts[part], first = ordered[first:last], last
    return parts
