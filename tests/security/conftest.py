"""Guards: what came from others is read and never run, nothing is fetched, and nobody is asked."""

import io
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.datasets.archives import Files, serving_btmri
from tests.security.received import run


@pytest.fixture
def output(tmp_path):
    """A folder with two good runs."""
    for seed in (1, 2):
        run(tmp_path / "output", seed)
    return tmp_path / "output"


class Sentinel:
    """A file that exists as soon as code of others has run."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def code(self) -> str:
        """Python that makes the file."""
        return f"open({str(self.path)!r}, 'w').close()\n"

    def __reduce__(self):  # pickled, it makes the file when it is read
        return open, (str(self.path), "w")


@pytest.fixture
def sentinel(tmp_path):
    """`sentinel.code` and a pickle of `sentinel` make a file if they are run; the test fails if they were."""
    guard = Sentinel(tmp_path / "sprung")
    yield guard
    assert not guard.path.exists(), "code of others was run"


@pytest.fixture
def no_network(monkeypatch):
    """Fails the test if anything looks up a host or connects to one, whoever catches the error."""
    tried = []

    def connecting(real):
        def guarded(self, address, *args):
            if self.family in (socket.AF_INET, socket.AF_INET6):
                tried.append(address)
                raise OSError(f"a test connected to {address}")
            return real(self, address, *args)

        return guarded

    def looking_up(host, *args, **kwargs):
        tried.append(host)
        raise socket.gaierror(f"a test looked up {host}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, connecting(getattr(socket.socket, name)))
    monkeypatch.setattr(socket, "getaddrinfo", looking_up)
    yield tried
    assert not tried, f"the network was asked for {tried}"


@pytest.fixture
def no_stdin(monkeypatch):
    """Fails the test if anybody reads what a user might type, whoever catches the error."""
    asked = []

    def answer(*args):
        asked.append(args)
        raise EOFError("a test asked the user")

    class Nobody(io.TextIOBase):
        read = readline = readlines = __next__ = answer

    monkeypatch.setattr(sys, "stdin", Nobody())
    yield asked
    assert not asked, f"the user was asked {len(asked)} times"


@pytest.fixture
def files(tmp_path) -> Iterator[Files]:
    """The server of BTMRI's archive, whose images are in `tmp_path / "source"`."""
    with serving_btmri(tmp_path / "source") as files:
        yield files


@pytest.fixture
def root(tmp_path) -> Path:
    """The folder that data sets are brought to; it is not there yet."""
    return tmp_path / "data"
