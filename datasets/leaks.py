"""Find what is on two sides of a split: the same image, or images of the same patient."""

from collections.abc import Callable, Mapping, Sequence

from dassl import console
from dassl.data.datasets import Datum
from dassl.errors import UserError
from datasets.entries import Split

MODES = ("warn", "error")
SIDES = (("train", "test"), ("val", "test"), ("train", "val"))
NAMES = {"train": "training", "val": "validation", "test": "test"}


def groups_on_both_sides(split: Split, groups: Mapping[str, str]) -> list[str]:
    """Return a sentence for each two parts that share groups; no group is named, as it may be a patient's number."""
    held = {part: {groups[item.path] for item in items if item.path in groups} for part, items in split.items()}
    return [
        f"{len(shared)} groups (patients) have images both for {NAMES[one]} and for {NAMES[other]}: accuracy says less "
        "about new patients"
        for one, other in SIDES
        if (shared := held.get(one, set()) & held.get(other, set()))
    ]


def copies(
    parts: Mapping[str, Sequence[Datum]], digests_of: Callable[[list[str]], list[bytes]], kind: str = "byte for byte"
) -> list[str]:
    """Return a sentence for each way in which the same image is there more than once.

    Args:
        parts: the images for "train", "val" and "test".
        digests_of: returns a digest of the content of each file.
        kind: in which way images are the same, in words.
    """
    items = [(part, item) for part, some in parts.items() for item in some or ()]
    contents: dict[bytes, list[tuple[str, Datum]]] = {}
    for (part, item), content in zip(items, digests_of([item.impath for _, item in items]), strict=True):
        contents.setdefault(content, []).append((part, item))
    same = [found for found in contents.values() if len(found) > 1]
    findings = []
    for one, other in SIDES:
        pairs = [
            (theirs[0], mine)
            for found in same
            if (theirs := [item for part, item in found if part == one])
            for mine in (item for part, item in found if part == other)
            if mine.impath != theirs[0].impath
        ]
        if pairs:
            findings.append(
                f"{len(pairs)} {NAMES[other]} images are identical ({kind}) to {NAMES[one]} images; the first is "
                f"{pairs[0][1].impath}, as {pairs[0][0].impath}"
            )
    two = [found for found in same if len({item.classname for _, item in found}) > 1]
    if two:
        first, second = _of_two_labels(two[0])
        findings.append(
            f"{len(two)} images are there under two labels ({kind} identical); the first is {first.impath} "
            f'("{first.classname}"), as {second.impath} ("{second.classname}")'
        )
    within = {part: sum(max(0, sum(p == part for p, _ in found) - 1) for found in same) for part in parts}
    repeats = {part: count - _listed_again(parts[part]) for part, count in within.items()}
    findings += [
        f"{count} {NAMES[part]} images are identical ({kind}) to other {NAMES[part]} images"
        for part, count in repeats.items()
        if count > 0
    ]
    return findings


def copies_in_other_files(
    parts: Mapping[str, Sequence[Datum]], contents: Mapping[str, bytes], pictures: Mapping[str, bytes]
) -> list[str]:
    """Return sentences as `copies` about images that are the same pixel for pixel in files that differ.

    Args:
        parts: the images for "train", "val" and "test".
        contents: digest of each file, by path.
        pictures: digest of the picture in each file, by path.
    """
    seen: set[tuple[str, str, bytes]] = set()
    kept: dict[str, list[Datum]] = {part: [] for part in parts}
    for part, items in parts.items():
        for item in items or ():  # files with the same bytes are told by `copies`: only one of them is looked at
            key = (part, item.classname, contents[item.impath])
            if key not in seen:
                seen.add(key)
                kept[part].append(item)
    files: dict[bytes, set[bytes]] = {}
    for path, picture in pictures.items():
        files.setdefault(picture, set()).add(contents[path])
    several = {part: [item for item in items if len(files[pictures[item.impath]]) > 1] for part, items in kept.items()}
    return copies(several, lambda paths: [pictures[path] for path in paths], "pixel for pixel")


def _of_two_labels(found: Sequence[tuple[str, Datum]]) -> tuple[Datum, Datum]:
    """Return the first image, and the next one of another label."""
    first = found[0][1]
    return first, next(item for _, item in found if item.classname != first.classname)


def _listed_again(items: Sequence[Datum] | None) -> int:
    """Return how many entries name a path that another entry names."""
    return len(items or ()) - len({item.impath for item in items or ()})


def tell(findings: Sequence[str], mode: str) -> None:
    """Print each finding as a warning, or raise the first.

    Args:
        findings: sentences.
        mode: `cfg.DATASET.LEAKS`: "warn" or "error".

    Raises:
        UserError: there is a finding and the mode is "error", or the mode is another word.
    """
    if mode not in MODES:
        raise UserError(f'Expected DATASET.LEAKS to be one of {", ".join(MODES)}, but got "{mode}": correct it.')
    if findings and mode == "error":
        raise UserError(f"Expected no image or patient on two sides (DATASET.LEAKS error), but {findings[0]}.")
    for finding in findings:
        console.tell(f"WARNING: {finding}")
