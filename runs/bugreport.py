"""Write what a bug report needs: python -m runs.bugreport RUN

RUN is the folder of a run, finished or not, such as .../seed1; without it, versions and device alone are told. Prints
versions, device, what the record says the run is, the settings that are not defaults, and the last lines of the log.
Paths, users, hosts and names of images are taken out, and so is every word of the log that the code does not have
itself. There is no picture in it. Read it before you paste it.
"""

import argparse
import csv
import getpass
import io
import platform
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from yacs.config import CfgNode

from dassl.config import difference
from dassl.console import printable
from dassl.errors import UserError, command
from dassl.names import OWN_FOLDER
from dassl.reading import MB, read_text
from dassl.utils import choose_device, describe_device
from dassl.writing import atomic_write
from runs.files import defaults
from runs.layout import own_datasets
from runs.options import positive
from runs.predictions import PREDICTIONS
from runs.record import Record, read_record
from runs.revision import commit
from runs.scrub import Scrub
from runs.spec import RunSpec
from runs.stored import deciding, read_config
from runs.versions import versions

LINES = 60  # of the log
LOG_BYTES = MB // 4  # its end
FENCE = "~~~~"


def report(folder: Path | None = None, lines: int = LINES) -> str:
    """Return the text of a bug report, in Markdown.

    Args:
        folder: of a run; None for this machine alone.
        lines: of the end of the log.

    Raises:
        UserError: the folder holds nothing that a run leaves.
    """
    parts = {"This machine": _machine()}
    if folder is not None:
        if not any((folder / name).exists() for name in ("metrics.json", "log.txt", "config.yaml")):
            raise UserError(
                f"Expected the folder of a run, such as .../seed1, but {folder} has no metrics.json, log.txt or "
                "config.yaml: name the folder of one seed, or none for versions and device alone."
            )
        try:
            log = _log(folder)
        except UserError as error:
            log = f"It cannot be read: {error}"
        scrub = Scrub([*_people(), *_images(folder)], log)
        state, told = _record(folder, scrub, log)
        parts["Run"] = f"{state}\n{told}".strip()
        parts["Settings that are not defaults"] = _settings(folder, scrub)
        end = log.rstrip("\n").split("\n")[-lines:]
        parts[f"Last {len(end)} lines of the log"] = "\n".join(map(scrub.line, end)) if log else "There is no log."
    return "\n\n".join(f"**{title}**\n\n{FENCE}\n{text}\n{FENCE}" for title, text in parts.items())


def _machine() -> str:
    try:
        device = describe_device(choose_device())
    except UserError:
        device = "a GPU that this PyTorch cannot use"
    facts = {
        "device": device,
        "system": f"{platform.system()} {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "commit": commit() or "not known",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
    return _pairs(facts)


def _record(folder: Path, scrub: Scrub, log: str) -> tuple[str, str]:
    """Return in words whether a run has finished, and what its record says."""
    if not (folder / "metrics.json").exists():
        return ("failed" if "Traceback (most recent call last)" in log else "not finished"), ""
    try:
        record = read_record(folder / "metrics.json")
    except UserError as error:
        return f"its record cannot be read: {scrub.line(str(error))}", ""
    names = {key: _name(value) for key, value in record.names.items()}
    facts = names | {
        "backbone_revision": record.revision,
        "phantom": record.phantom_images,
        "phantom_backbone": record.phantom_backbone,
        "tested": record.tested,
        "sentences_per_class": record.sentences_per_class,
        "llm": record.prompts.get("llm"),
        **{f"device {key}": value for key, value in record.device.items()},
        "commit": record.commit,
    }
    return "finished", _pairs(facts | _other_versions(record))


def _other_versions(record: Record) -> dict[str, str | None]:
    """Return the versions of a record that are not those of this machine now."""
    now = versions()
    return {f"version of {key}": value for key, value in record.versions.items() if value != now.get(key)}


def _name(value: object) -> object:
    """Return a name of a record; that of one's own folder is left out."""
    if isinstance(value, str):
        for own in (*(f"{name}-" for name in own_datasets()), OWN_FOLDER):
            if value.startswith(own):
                return f"{own}<folder>"
    return value


def _settings(folder: Path, scrub: Scrub) -> str:
    """Return the settings of a run that decide its numbers and are not defaults, a line each."""
    try:
        cfg = deciding(read_config(folder))
    except (UserError, KeyError, AttributeError) as error:
        return f"not read: {scrub.line(str(error))}"
    return "\n".join(_flat(difference(cfg, defaults(RunSpec())), scrub)) or "none"


def _flat(node: CfgNode, scrub: Scrub, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from _flat(value, scrub, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key} {scrub.line(str(value))}"


def _log(folder: Path) -> str:
    """Return the end of a run's log, "" if there is none."""
    try:
        return read_text(folder / "log.txt", LOG_BYTES, last=True, links=False, strict=False)
    except FileNotFoundError:
        return ""


def _people() -> list[str]:
    """Return the names of the user and of the machine."""
    host = socket.gethostname()
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a number without a name, in a container
        user = ""
    return [name for name in (user, Path.home().name, host, host.partition(".")[0]) if name]


def _images(folder: Path) -> list[str]:
    """Return the names of the images that a run has tested, and of the folders that they lie in."""
    try:
        text = read_text(folder / PREDICTIONS, links=False, strict=False)
        paths = [row[0] for row in csv.reader(io.StringIO(text)) if row][1:]
    except (FileNotFoundError, UserError, csv.Error):
        return []
    parts = {part for path in paths for part in path.split("/")}
    names = parts | {part.partition(".")[0] for part in parts}
    return [name for name in names if len(name) > 3]  # shorter ones would take the numbers of a log


def _pairs(facts: dict) -> str:
    return "\n".join(printable(f"{key}: {value}") for key, value in facts.items() if value is not None)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(
        prog="python -m runs.bugreport", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("run", nargs="?", type=Path, help="folder of a run, such as .../seed1")
    p.add_argument("--lines", type=positive, default=LINES, help=f"of the end of the log (default: {LINES})")
    p.add_argument("--out", type=Path, help="file to write instead of printing")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the report."""
    args = parser().parse_args(argv)
    text = report(args.run, args.lines)
    if args.out is None:
        print(text)
    else:
        with atomic_write(args.out) as file:
            file.write(f"{text}\n")
        print(f"Read it, then paste it into the issue: {printable(str(args.out))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
