"""Find the zip of each visit among the bulk files."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from dassl.errors import UserError
from datasets.ukb.pseudonym import Pseudonym

NAME = re.compile(r"(\d+)_(\d+)_(\d+)_(\d+)\.zip")  # eid, field, instance, array


def find_zips(bulk: Path, field: int, pseudonym: Pseudonym) -> tuple[dict[tuple[str, int], Path], Counter]:
    """Return the zip of each visit, by pseudonym and instance, and how many are left out, by reason.

    Args:
        bulk: folder that holds, at any depth, zips `<eid>_<field>_<instance>_<array>.zip`.
        field: number of the field of UK Biobank.
        pseudonym: gives the pseudonym of an eid.

    Raises:
        UserError: there is no such folder.
    """
    if not bulk.is_dir():
        raise UserError(f"Expected a folder of zips at {bulk}, but there is no such folder: correct --bulk.")
    found: dict[tuple[str, int], list[tuple[int, Path]]] = defaultdict(list)
    left: Counter[str] = Counter()
    for path in bulk.rglob("*.zip"):
        match = NAME.fullmatch(path.name)
        if not match:
            left["a zip of another name than <eid>_<field>_<instance>_<array>.zip"] += 1
        elif int(match[2]) != field:
            left[f"a zip of another field than {field}"] += 1
        else:
            found[pseudonym(match[1]), int(match[3])].append((int(match[4]), path))
    left["a second zip of the same visit"] = sum(len(paths) - 1 for paths in found.values())
    return {visit: min(paths)[1] for visit, paths in found.items()}, left
