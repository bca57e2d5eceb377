"""The guards of conftest.py notice what they are there for."""

import pickle
import socket

import pytest


def test_the_sentinel_is_sprung_by_its_code_and_by_its_pickle(sentinel):
    for spring in (lambda: exec(sentinel.code), lambda: pickle.loads(pickle.dumps(sentinel)).close()):
        spring()
        assert sentinel.path.exists()
        sentinel.path.unlink()


def test_a_connection_is_noticed_although_its_error_is_caught(no_network):
    for attempt in (
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.1),
        lambda: socket.socket().connect(("192.0.2.1", 80)),
        lambda: socket.socket().connect_ex(("192.0.2.1", 80)),
        lambda: socket.getaddrinfo("example.org", 80),
    ):
        with pytest.raises(OSError, match="a test"):
            attempt()
        assert no_network
        no_network.clear()


def test_a_question_is_noticed_although_its_error_is_caught(no_stdin):
    with pytest.raises(EOFError):
        input("Run this code? [y/N] ")
    assert no_stdin
    no_stdin.clear()
