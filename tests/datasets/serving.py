"""A web server on this machine that answers as a test tells it, and ends with the test."""

import contextlib
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest
import requests
from huggingface_hub import constants


@contextlib.contextmanager
def serve(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Give the address of a server whose requests `answer` answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client has gone
                answer(self)

        do_POST = do_HEAD = do_GET

        def log_message(self, *args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False  # an answer that a test has stopped waiting for may still sleep
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("NO_PROXY", "no_proxy"):
                patch.setenv(name, "127.0.0.1")
            yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str | int) -> None:
    """Send a whole answer; header names are written with "_" for "-"."""
    handler.send_response(status)
    for name, value in ({"Content_Length": len(body)} | headers).items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


@contextlib.contextmanager
def over_https(url: str, host: str = "files.test") -> Iterator[str]:
    """Let `https://<host>` be the server at `url`, and let there be no other machine.

    Only the certificate is left out: redirections, and who asks for https, are up to requests.
    """
    send_on = requests.adapters.HTTPAdapter.send

    def redirected(self, request, **more) -> requests.Response:
        asked = urllib.parse.urlsplit(request.url)
        if (asked.scheme, asked.netloc) != ("https", host):
            raise requests.ConnectionError(f"no network for {request.url}")
        request.url = asked._replace(scheme="http", netloc=urllib.parse.urlsplit(url).netloc).geturl()
        try:
            response = send_on(self, request, **more | {"proxies": {}})
        finally:
            request.url = asked.geturl()
        response.url = request.url
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.adapters.HTTPAdapter, "send", redirected)
        yield f"https://{host}"


@contextlib.contextmanager
def as_hub(url: str, endpoint: str) -> Iterator[None]:
    """Let the Hugging Face hub be at `endpoint` (HF_ENDPOINT), which is the server at `url`."""
    place = urllib.parse.urlsplit(url)

    def redirect(request) -> None:
        assert str(request.url).startswith(endpoint), f"no network for {request.url}"
        request.url = request.url.copy_with(scheme="http", host=place.hostname, port=place.port)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", endpoint)
        template = "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + template)
        huggingface_hub.close_session()
        session = huggingface_hub.get_session()
        session.event_hooks = {**session.event_hooks, "request": [*session.event_hooks["request"], redirect]}
        try:
            yield
        finally:
            huggingface_hub.close_session()
