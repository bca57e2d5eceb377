"""Trees of run folders as someone else may have made them, and what a test of them needs."""

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

GB = 1024**3
LONGEST = 60  # seconds; what is tested takes a few
SETTING = "nctx4_cscFalse_ctpend"
HOSTILE = [
    "../../../x",
    "/etc/x",
    "..",
    "=cmd|' /C calc'!A0",
    "+1;=HYPERLINK(1)",
    "@SUM(1,2)",
    "-1+1",
    "$(touch x)",
    "btmri; touch x #",
    "`id`",
    "<img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "a|b",
    "[a](http://x.y)",
    "**a** _b_ `c`",
    r"\input{/etc/hostname}",
    r"$\frac$",
    "%a&b#c_d^e~f",
    "^^M\\write18{id}",
    "_a",
    "-",
    "--help",
    "index.html",
    "W" * 100,
    "漢字",
    "{{7*7}}{% raw %}{#",
    "'\"",
]
UNSEEN = ["a\nb", "a\r\nb", "a\x1b]52;c;eA==\x07", "a\x85b", "a\u2028b", "\u202etxt", "a\x00b", "", "W" * 201]


def document(**more) -> dict:
    """A metrics.json."""
    found = {"dataset": "btmri", "trainer": "vMFCoOp", "backbone": "BiomedCLIP", "shots": 16, "seed": 1}
    return found | {"subsample": "all", "metrics": {"accuracy": 50.0, "per_class": {"a": 1.0}}} | more


def run(output: Path, seed: int = 1, trainer: str = "vMFCoOp", **more) -> Path:
    """A finished run where scripts leave it."""
    folder = output / "btmri" / "shots_16" / f"{trainer}_BiomedCLIP" / SETTING / f"seed{seed}"
    return put(folder, document(seed=seed, trainer=trainer, **more))


def put(folder: Path, found: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(found))
    return folder


@contextmanager
def bounded(seconds: int = LONGEST, memory: int = 4 * GB) -> Iterator[None]:
    """Raise what ends a test where something waits for ever or takes all memory."""

    def end(*_):
        raise TimeoutError(f"more than {seconds} seconds")

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, end)
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, limits[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def files(folder: Path) -> dict[str, bytes]:
    """Content of every file of ordinary size below a folder, by its path; a link is not followed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size < GB
    }


class Tags(HTMLParser):
    """Collects the elements of a page, what they fetch, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.fetched, self.text = set(), set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)
