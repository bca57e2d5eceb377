"""Read what the log of a run says of it: Dassl's own, and ours."""

import re
from collections.abc import Iterable
from pathlib import Path

from dassl.names import LONGEST
from dassl.reading import MB, read_text
from runs.record import LARGEST

TRAINED = re.compile(r"Finish(?:ed)? training")  # Dassl's releases print one or the other
TESTED = re.compile(r"=> result")
EPOCH = re.compile(r"\bepoch \[\d+/\d+\]")
# Each part is one that no other part can match, so that the time a line takes grows no faster than its length.
PERCENT = re.compile(r"\* +([\w-]+): +(nan|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?) *%")
PHANTOMS = re.compile(r"^(?:\*\*\* PHANTOMS: | *ROOT: *phantoms *$)", re.MULTILINE)  # what train.py prints of phantoms
ROOT = re.compile(r"^ *ROOT: ", re.MULTILINE)
LINE = 500  # characters of a log's line that are looked at


def parse_log(text: str, test_log: bool = False) -> dict[str, float]:
    """Return the percentages of a log's last result, {} if it does not show that the run ended.

    A log that trains must reach "Finish training"; with `test_log` one that only tests needs "=> result".
    """
    *trained, tail = TRAINED.split(text)
    *tested, result = TESTED.split(tail)
    if EPOCH.search(tail) or not (trained or (test_log and tested)):
        return {}
    return _finite((name, float(value)) for name, value in PERCENT.findall(result))


def tested(text: str) -> bool:
    """Return whether a log shows a result."""
    return bool(TESTED.search(text))


def says_phantoms(text: str) -> bool | None:
    """Return whether a log says that its images are rendered; None if it says nothing of its images."""
    rendered = bool(PHANTOMS.search(text))
    return rendered if rendered or ROOT.search(text) else None


def read_log(path: Path) -> str:
    """Return the first and the last megabyte of a log, and of each line the first characters: marks and results."""
    text = read_text(path, MB, links=False, strict=False, last=True)
    if path.stat().st_size > MB:
        text = f"{read_text(path, MB, links=False, strict=False, first=True)}\n{text}"
    return "\n".join(line[:LINE] for line in text.splitlines())


def _finite(metrics: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {name: value for name, value in metrics if abs(value) <= LARGEST and len(name) <= LONGEST}
