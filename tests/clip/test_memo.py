"""A memo returns the pairs that were appended, and nothing else."""

import pytest

from clip.memo import Memo

A, B, C = bytes(range(16)), bytes(range(16, 32)), bytes(range(240, 256))


@pytest.fixture
def memo(tmp_path) -> Memo:
    return Memo(tmp_path / "store" / "memo.tsv")


def test_pairs_are_read_in_the_order_they_were_appended(memo):
    assert list(memo.read()) == []
    memo.append([])
    assert not memo.path.exists()
    memo.append([(A, B), (B, C)])
    memo.append({C: A}.items())
    assert list(Memo(memo.path).read()) == [(A, B), (B, C), (C, A)]
    assert memo.path.read_text() == "".join(f"{x.hex()}\t{y.hex()}\n" for x, y in [(A, B), (B, C), (C, A)])
    assert memo.path.stat().st_mode & 0o777 == 0o600


def test_other_lines_stay_unless_they_may_hold_a_path(memo):
    memo.append([(A, B)])
    whole = memo.path.read_bytes()
    memo.path.write_bytes(whole[:40] + b"\n" + whole)
    assert list(memo.read()) == [(A, B)] and memo.path.read_bytes() == whole[:40] + b"\n" + whole
    for name in (b"/x/y.png", rb"C:\y.png"):
        memo.path.write_bytes(whole + b"0" * 32 + b"\t1 2 3 4 " + name + b"\n")
        assert list(memo.read()) == [(A, B)] and memo.path.read_bytes() == whole
