"""Check images before anything is trained on them: python -m datasets.check DATA [KEY VALUE ...]

DATA is a folder of class folders, a folder with a table, or, with --dataset, the folder of named data sets. The command
tells how many images each class has in each part, what is left out and why, which images or patients are on two sides
of the split, what kinds of files there are and what the reader makes of them. Nothing is written into DATA. It returns
1 if a run would fail, or if an image cannot be read. KEY VALUE pairs are settings as for train.py, such as
DATASET.GROUP_PATTERN '/(P[0-9]+)_'.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate
from yacs.config import CfgNode

from dassl.config import merge_pairs
from dassl.console import printable
from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError, command
from dassl.images import Reading, reading_of
from datasets import leaks
from datasets.base import BiomedDataset
from datasets.check import pictures
from datasets.entries import PARTS
from datasets.load import configure
from datasets.own import choose_key, find_tables, without_writing
from datasets.prompts import load_prompts

SHOWN = 20  # problems that are printed
NEGATIVE = re.compile(r"-\.?\d")  # begins a value such as -160:240; argparse would take it for a flag


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog="python -m datasets.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("data", help="folder of images, or of named data sets")
    p.add_argument("--dataset", default="", help="such as btmri (default: table or folder, whatever DATA is)")
    p.add_argument("--sheets", type=Path, help="folder for a contact sheet of each class")
    p.add_argument("opts", nargs="*", help="KEY VALUE ... settings")
    p._negative_number_matcher = NEGATIVE
    return p


def configuration(data: str, dataset: str, pairs: Sequence[str]) -> CfgNode:
    """Return the settings of a data set for all of its images.

    Args:
        data: folder of images, or of named data sets.
        dataset: key; "" for "table" or "folder", whatever `data` is.
        pairs: KEY VALUE ... settings.

    Raises:
        UserError: there is no such data set or setting.
    """
    folder = Path(data).expanduser()
    key = dataset or choose_key(folder)
    cfg = configure(key, data)
    merge_pairs(cfg, pairs)
    cfg.DATASET.ROOT = data
    tables = [] if dataset else find_tables(folder)
    why = f": {tables[0].name} lies there; --dataset folder takes class folders" if tables else ""
    print(f"Checking {data} as {key} (--dataset){why}")
    return cfg


def print_findings(dataset: BiomedDataset, cfg: CfgNode, sheets: Path | None) -> int:
    """Print what is found out about the images of a data set, and return the number of those that cannot be read."""
    reading = reading_of(cfg)
    parts = {part: dataset.records(part) for part in PARTS}
    rows = [[name, *(sum(i.classname == name for i in some) for some in parts.values())] for name in dataset.classnames]
    print(tabulate(rows, headers=["class", *leaks.NAMES.values()]))
    files = {item.impath: item for some in parts.values() for item in some}
    if not dataset.own:  # of the user's own images this is printed already
        there = {str(dataset.images / path) for path in dataset.listing.images(nested=True).images}
        print(f"Images in {dataset.images} that {dataset.source_file.name} does not list: {len(there - set(files))}")
    found = dict(zip(files, pictures.read_pictures(list(files.values()), reading), strict=True))
    bad = [picture.problem for picture in found.values() if picture.problem]
    for problem in bad[:SHOWN]:
        print(f"ERROR: {printable(problem)}")
    if len(bad) > SHOWN:
        print(f"ERROR: and {len(bad) - SHOWN} more images that cannot be read")
    good = {part: [item for item in some if not found[item.impath].problem] for part, some in parts.items()}
    findings = leaks.copies(good, lambda paths: [found[path].content for path in paths])
    contents = {path: picture.content for path, picture in found.items()}
    findings += leaks.copies_in_other_files(good, contents, {path: picture.pixels for path, picture in found.items()})
    leaks.tell(findings, cfg.DATASET.LEAKS)
    if not findings:
        print("No image is there twice, byte for byte or pixel for pixel")
    _print_kinds({path: picture for path, picture in found.items() if not picture.problem}, reading)
    for note in pictures.count_notes(found.values()):
        print(note)
    if sheets:
        for place, name in enumerate(dataset.classnames):
            mine = [item for item in files.values() if item.classname == name]
            print(f"Contact sheet: {pictures.write_sheet(mine, sheets, place, name, reading)}")
    return len(bad)


def _print_kinds(found: dict[str, pictures.Picture], reading: Reading) -> None:
    """Print the kinds of files, their sizes, and what the reader makes of the first of each."""
    kinds = Counter(picture.kind for picture in found.values())
    rows = []
    for kind, count in kinds.most_common():
        mine = [path for path, picture in found.items() if picture.kind == kind]
        sizes = sorted({found[path].size for path in mine}, key=lambda size: size[0] * size[1])
        span = " to ".join(f"{w} x {h}" for w, h in dict.fromkeys((sizes[0], sizes[-1])))
        rows.append([kind, count, span, pictures.describe_reading(Path(mine[0]), reading)])
    print(tabulate(rows, headers=["kind", "images", "pixels", "how the first is read"]))


@command
def main(argv: list[str] | None = None) -> int:
    """Check the images that the command line names; return 1 if a run would fail."""
    args = parser().parse_intermixed_args(argv)
    cfg = configuration(args.data, args.dataset, args.opts)
    dataset = without_writing(DATASET_REGISTRY.get(cfg.DATASET.NAME))(cfg)
    bad = print_findings(dataset, cfg, args.sheets)
    print(
        f"{bad} images cannot be read: a run would stop at the first" if bad else "A run can read all of these images"
    )
    return int(bad > 0 or not _check_sentences(dataset))


def _check_sentences(dataset: BiomedDataset) -> bool:
    """Print whether methods that read an LLM's sentences can be run on one's own images; return False if the file of
    sentences is broken."""
    if not dataset.own:
        return True
    if not dataset.prompt_bank:
        print("No prompts.json beside them: methods that read an LLM's sentences cannot be run (zeroshot and coop can)")
        return True
    try:
        load_prompts(dataset.key, "", dataset.classnames, 1, bank=dataset.prompt_bank)
    except UserError as error:
        print(f"ERROR: {printable(str(error))}")
        return False
    print(f"{dataset.prompt_bank.name} has sentences of every class")
    return True


if __name__ == "__main__":
    sys.exit(main())
