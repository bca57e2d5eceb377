"""UK Biobank: names of participants, and the salt that they follow from."""

import re
import secrets
import stat
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.ukb.pseudonym import fingerprint, looks_random, pseudonyms
from tests.datasets.scans import OTHER_SALT, SALT, alias, write_salt

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def test_pseudonyms_are_the_salts(tmp_path):
    found = pseudonyms(write_salt(tmp_path / "salt", SALT + b"\n"), tmp_path / "out", "CMRI")
    assert found("7000001") == alias("7000001") != found("7000002")
    other = pseudonyms(write_salt(tmp_path / "other", OTHER_SALT), tmp_path / "out", "CMRI")
    assert other("7000001") != found("7000001") and fingerprint(other) != fingerprint(found)
    capital = pseudonyms(write_salt(tmp_path / "capital", SALT.upper()), tmp_path / "out", "CMRI")
    assert capital("7000001") == found("7000001")


def test_in_each_data_set_a_participant_has_another_name(tmp_path):
    """Nor do two sets tell that they were made with one salt."""
    salt = write_salt(tmp_path / "salt")
    made = [pseudonyms(salt, tmp_path / "out", name) for name in ("CMRI", "LMRI", "PMRI")]
    for names in ({each("7000001") for each in made}, {fingerprint(each) for each in made}):
        assert len(names) == 3 and all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


@POSIX
def test_a_salt_is_made_once_for_the_users_eyes_only(tmp_path, capsys):
    path = tmp_path / "config" / "ukb.salt"
    first = pseudonyms(path, tmp_path / "out", "CMRI")("7000001")
    assert str(path) in capsys.readouterr().out
    assert re.fullmatch(rb"[0-9a-f]{64}\n", path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert pseudonyms(path, tmp_path / "out", "CMRI")("7000001") == first and not capsys.readouterr().out
    assert pseudonyms(tmp_path / "config" / "second", tmp_path / "out", "CMRI")("7000001") != first


def test_a_salt_is_not_kept_where_the_images_go(tmp_path):
    for inside in (tmp_path / "out" / "salt", tmp_path / "out" / "CMRI" / ".." / "salt"):
        with pytest.raises(ValueError, match="Expected the salt outside"):
            pseudonyms(inside, tmp_path / "out", "CMRI")
        assert not inside.exists()


@pytest.mark.parametrize(
    "salt",
    [
        b"",
        b"1234",
        b"a phrase of more than thirty-two letters, which nobody guesses",
        SALT[:31],
        SALT[:40] + b"g",
        SALT[:16] + b"\n" + SALT[16:],
        b"0" * 64,
        b"deadbeef" * 8,
        b"0123456789abcdef" * 2,
        b"0123456789abcdeffedcba9876543210",
        b"ukbiobank-salt-1".hex().encode(),
        b"0123456701234567012345670123456701234567",
        SALT * 20,
    ],
)
def test_what_is_no_random_salt_is_refused_and_not_quoted(tmp_path, salt):
    path = write_salt(tmp_path / "salt", salt)
    with pytest.raises(ValueError) as error:
        pseudonyms(path, tmp_path / "out", "CMRI")
    assert str(error.value).startswith("Expected ") and str(path) in str(error.value)
    assert not salt.strip() or salt[:12].decode() not in str(error.value)


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_salt_that_others_can_read_is_refused(tmp_path, mode):
    path = write_salt(tmp_path / "salt")
    path.chmod(mode)
    with pytest.raises(ValueError, match=f"a salt that you alone can read in {path}, but others can: chmod 600 it"):
        pseudonyms(path, tmp_path / "out", "CMRI")
    path.chmod(0o400)
    assert pseudonyms(path, tmp_path / "out", "CMRI")("7000001") == alias("7000001")


@given(st.integers(16, 64))
def test_random_digits_are_taken(count):
    assert looks_random(secrets.token_hex(count).encode())


@given(st.text("abcdefghijklmnopqrstuvwxyz -_!0123456789", min_size=16, max_size=40))
def test_a_text_written_in_hexadecimal_digits_is_not(text):
    assert not looks_random(text.encode().hex().encode())
