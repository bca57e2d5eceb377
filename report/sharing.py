"""What is written to be shared names no folder of this machine, and so no user."""

import re
from pathlib import Path

from dassl.names import OWN_FOLDER, file_name
from report.page import Section

AFTER_FOLDER = re.compile(rf"(?<=_{file_name(OWN_FOLDER)})[\w.-]+")


def shared(found: Section, output: str | Path) -> Section:
    """Return a section whose paths are relative to `output`, and whose commands have `<folder>` and `<output>`."""
    gaps = [gap._replace(command=gap.shared) for gap in found.gaps]
    return found._replace(gaps=gaps, unfinished=[relative(problem, output) for problem in found.unfinished])


def relative(text: str, output: str | Path) -> str:
    """Return `text` with the paths below `output` that it names made relative to it.

    A run's folder that is called after the whole path of a backbone is called so no longer.

    >>> relative("/home/alice/runs/btmri/seed1 is unfinished.", "/home/alice/runs")
    'btmri/seed1 is unfinished.'
    """
    text = AFTER_FOLDER.sub("<folder>", text)
    if Path(output) == Path():
        return text
    place = re.escape(str(Path(output)))
    text = re.sub(rf"(?<![\w./-]){place}/", "", text)
    return re.sub(rf"(?<![\w./-]){place}(?![\w-])", "<output>", text)


def without_places(words: list[str]) -> list[str]:
    """Return words of a command line with the last part alone of each absolute path, and `<folder>` before it."""
    return [re.sub(r"(?<![\w.])~?/.*/(?=.)", "<folder>/", word) for word in words]
