"""Check whether an archive has changed: by the sum that its data set names, and by what was noted before."""

import re
from datetime import date
from pathlib import Path

from dassl.errors import UserError
from dassl.reading import read_json
from dassl.writing import write_json

from .fetch import NOTE_BYTES, beside, digest


def check_known(path: Path, sha256: str) -> dict[str, int | str]:
    """Return the bytes and SHA-256 of an archive, compared with those that are known.

    They are noted in `<path>.known.json`, which stays when the archive is deleted. If they differ from an earlier note,
    one line is printed.

    Args:
        path: the archive.
        sha256: that it must have; "" if it is not known.

    Raises:
        UserError: it has another sum than `sha256`, or the note holds something else.
    """
    note = beside(path, ".known.json")
    found: dict[str, int | str] = {"bytes": path.stat().st_size, "sha256": digest(path)}
    if sha256 and found["sha256"] != sha256:
        raise UserError(
            f"Expected the SHA-256 {sha256} of {path}, but it has {found['sha256']}: delete it, and run again."
        )
    before = read_json(note, NOTE_BYTES, links=False) if note.is_file() else None
    if before is None:
        print(f"{path.name} is noted in {note.name} ({found['bytes']} bytes, SHA-256 {found['sha256']})")
    elif not _is_note(before):
        raise UserError(f"Expected bytes and SHA-256 of {path.name} in {note}, but it holds something else: delete it.")
    elif found != {key: before[key] for key in found}:
        print(
            f"{path.name} is another than on {before['date']}: {found['bytes']} bytes, SHA-256 {found['sha256']}; it "
            f"was {before['bytes']} bytes, SHA-256 {before['sha256']}"
        )
    if before is None or found != {key: before[key] for key in found}:
        write_json({**found, "date": date.today().isoformat()}, note)
    return found


def _is_note(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"bytes", "sha256", "date"}
        and type(value["bytes"]) is int
        and re.fullmatch("[0-9a-f]{64}", str(value["sha256"])) is not None
        and re.fullmatch("[0-9-]{10}", str(value["date"])) is not None
    )
