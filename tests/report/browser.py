"""A headless Chromium for tests, driven over its DevTools pipe: no other package is needed.

with Browser(find_browser()) as browser:
    page = browser.open(Path("index.html"), width=360)
    page.evaluate("document.title")
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
LONGEST = 60  # seconds that any answer may take
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
FLAGS += ("--no-first-run", "--disable-background-networking", "--disable-component-update")


def find_browser() -> str | None:
    """The browser that $CHROMIUM names, or the first of NAMES on the path; None without one."""
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CHROMIUM"), *NAMES)))), None)


class Browser:
    """A browser with a profile of its own, which ends with the `with` block."""

    def __init__(self, program: str):
        self.program = program
        self.events: list[dict] = []
        self._last, self._rest = 0, b""

    def __enter__(self) -> "Browser":
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        ours, theirs = os.pipe(), os.pipe()  # what the browser reads, what it writes
        reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (ours[0], theirs[1]))

        def place() -> None:
            os.dup2(reads, 3)  # where --remote-debugging-pipe expects them
            os.dup2(writes, 4)

        flags = [*FLAGS, f"--user-data-dir={self._profile.name}", "--remote-debugging-pipe", "about:blank"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([self.program, *flags], close_fds=False, preexec_fn=place, **quiet)
        for end in (ours[0], theirs[1], reads, writes):
            os.close(end)
        self._to, self._from = ours[1], theirs[0]
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(LONGEST)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._to)
            os.close(self._from)
            self._profile.cleanup()

    def call(self, method: str, session: str | None = None, **what: Any) -> dict:
        """The result of a command; events that come meanwhile are kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": what} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, event: str) -> None:
        """Wait until an event has come."""
        while not any(each.get("method") == event for each in self.events):
            self.events.append(self._next())

    def _next(self) -> dict:
        end = time.monotonic() + LONGEST
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0, end - time.monotonic()))
            if not ready or not (part := os.read(self._from, 1 << 20)):
                raise TimeoutError("the browser does not answer")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)

    def open(self, file: Path, width: int = 1200, height: int = 900, dark: bool = False) -> "Page":
        """A page that has loaded, as wide as a screen of `width` pixels, in a light or dark scheme."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        page.media("screen", dark)
        self.events.clear()
        page.call("Page.navigate", url=file.resolve().as_uri())
        self.wait_for("Page.loadEventFired")
        return page


class Page:
    """An open page of a browser."""

    def __init__(self, browser: Browser, session: str):
        self.browser, self.session = browser, session

    def call(self, method: str, **what: Any) -> dict:
        return self.browser.call(method, self.session, **what)

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def media(self, kind: str, dark: bool = False) -> None:
        """Show the page as on a "screen" or in "print", in a light or dark scheme."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=scheme)

    def complaints(self) -> list[str]:
        """Errors and warnings that the page has given since it was opened."""
        self.evaluate("0")  # what was sent before has come
        found = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
        return [str(each["params"]) for each in self.browser.events if each.get("method") in found]

    def requests(self) -> list[str]:
        """Addresses that the page has asked for."""
        sent = [each for each in self.browser.events if each.get("method") == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in sent]

    def screenshot(self, file: Path) -> None:
        """Write a picture of the whole page."""
        width, height = self.evaluate("[innerWidth, document.scrollingElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])
