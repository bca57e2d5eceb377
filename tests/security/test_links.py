"""Whatever lies at the place of an output: a link that leads to a file of the user changes nothing there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import train
from clip import FeatureStore, build_backbone
from datasets.phantoms import prepare
from datasets.phantoms.folder import Counts
from report.__main__ import main as report
from report.compare import main as compare

# What writers, ours of former days too, make beside the file itself.
BESIDE = ("{}.part", "{}.partial", "{}.tmp", ".{}.tmp", "{}.lock", ".{}.lock", ".lock")
FEW, NONE = ("OPTIM.MAX_EPOCH", 1, "FEATURES.VIEWS", 1), ("OPTIM.MAX_EPOCH", 0)


@pytest.fixture
def commands(flags, data_root, tmp_path, monkeypatch) -> dict[str, Callable[[Path], object]]:
    """What writes files, by name; each is given the folder to write to."""

    def train_(*words) -> Callable[[Path], object]:
        return lambda folder: train.main(flags(*words, *FEW, output=folder))

    def base2new(folder: Path) -> None:
        for part in (("base",), ("new", "--eval-only")):
            train.main(flags("CoOp", *FEW, output=folder, more=("--setting", "base2new", "--subsample", *part)))

    def drawn(folder: Path) -> None:
        if not (folder / "BTMRI" / "BTMRI").is_dir():
            shutil.copytree(data_root / "BTMRI" / "BTMRI", folder / "BTMRI" / "BTMRI")
            shutil.copy(data_root / "BTMRI" / "split_BTMRI.json", folder / "BTMRI")
        train.main(flags("ZeroshotCLIP", *NONE, root=folder, output=tmp_path / "elsewhere"))

    def stored(folder: Path) -> None:
        monkeypatch.setenv("VMFCOOP_CACHE", str(folder))
        store = FeatureStore(build_backbone("PhantomCLIP"))
        store.texts(["an image", "another"])

    def reported(folder: Path) -> None:
        train.main(flags("ZeroshotCLIP", *NONE, output=tmp_path / "runs"))
        report([str(tmp_path / "runs"), "--to", str(folder)])

    def compared(folder: Path) -> None:
        train.main(flags("ZeroshotCLIP", *NONE, output=tmp_path / "runs"))
        words = ("--dataset", "btmri", "--shots", "2", "--backbone", "PhantomCLIP", "--methods", "zeroshot")
        compare(["--output", str(tmp_path / "runs"), *words, "--png", str(folder / "a.png")])

    return {
        "vMFCoOp": train_("vMFCoOp"),
        "TipAdapterF": train_("TipAdapterF"),
        "base2new": base2new,
        "draws": drawn,
        "store": stored,
        "phantoms": lambda folder: prepare("busi", folder, progress=False, counts=Counts(1, 1, 2)),
        "report": reported,
        "compare": compared,
    }


COMMANDS = ("vMFCoOp", "TipAdapterF", "base2new", "draws", "store", "phantoms", "report", "compare")
INPUTS = {".png", "split_BTMRI.json"}  # of `drawn`: what is read there
STOP = ("log.txt", "metrics.json", "model.pth.tar")  # a link in their place, or of a lock, is an error that ends a run


@pytest.mark.filterwarnings("ignore:.*is damaged")  # rows of the store, which a link to something else is
@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_output_is_written_through_a_link(name, stops, commands, tmp_path):
    """With those that end a run at once, and without them, so that what comes after is written too."""
    command, first, second = commands[name], tmp_path / "first", tmp_path / "second"
    command(first)
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("mine")
    written = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    if name == "draws":  # what is read must be there; a link beside it would keep the command from copying it
        written = [path for path in written if path.suffix not in INPUTS and path.name not in INPUTS]
    places = {second / path.parent / form.format(path.name) for path in written for form in ("{}", *BESIDE)}
    links = sorted(places)
    if not stops:
        links = [path for path in links if not (path.name.startswith(STOP) or path.name.endswith(".lock"))]
    assert len(links) > 3
    for path in links:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(sentinel)
    before = sentinel.stat()
    try:
        command(second)
    except OSError as error:  # of the lock, which refuses a link
        assert stops and ".lock" in str(error.filename)
    assert sentinel.read_text() == "mine" and sentinel.stat().st_mtime_ns == before.st_mtime_ns
    assert stops or all((second / path).is_file() for path in written)
    if name in ("vMFCoOp", "TipAdapterF", "base2new") and not stops:
        assert not any((second / path).is_symlink() for path in written), "all of it is written"


def test_a_lock_that_is_a_link_is_told_in_one_sentence(flags, tmp_path, capsys):
    line = flags("ZeroshotCLIP", *NONE, output=tmp_path / "runs")
    assert train.main(line) == 0
    (folder,) = (path.parent for path in (tmp_path / "runs").rglob("metrics.json"))
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / ".lock").symlink_to(tmp_path / "sentinel")
    assert train.main(line) == 1
    err = capsys.readouterr().err
    assert str(folder / ".lock") in err and "Traceback" not in err and not (tmp_path / "sentinel").exists()
