"""`python -m clip store`: what the feature store holds, and what is deleted of it and of nothing else."""

import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
import torch

from clip import FeatureStore, store
from clip.__main__ import main
from dassl.errors import UserError
from tests.clip.counting import CountingBackbone, Noise, Plain


class Named(CountingBackbone):
    def __init__(self, name: str, seed: int = 0, precision: str = "fp32"):
        super().__init__(seed)
        self.name, self.precision = name, precision


@pytest.fixture
def filled(files, tmp_path, monkeypatch) -> Path:
    """A store of one model in two precisions, and of another one in a folder of the user."""
    root = tmp_path / "cache"
    monkeypatch.setenv("VMFCOOP_CACHE", str(root))
    for backbone in (
        Named("BiomedCLIP"),
        Named("BiomedCLIP", precision="bf16"),
        Named("local-dir:/home/alice/my model", seed=1),
    ):
        kept = FeatureStore(backbone, batch_size=4)
        kept.images(files[:5], Plain())
        kept.texts(["one", "two"])
    kept.images(files[:3], Noise(), [0, 1, 2])
    for path in files:  # old enough to be remembered
        os.utime(path, (0, 0))
    (root / "digests.tsv").touch()
    return root


def rows(root: Path) -> list[Path]:
    return sorted(root.rglob("*.rows"))


def table(text: str) -> list[list[str]]:
    lines = text.split("\n\n")[1].splitlines()
    return [line.replace(" kB", "kB").replace(" bytes", "").split("  ") for line in lines[2:]]


def test_each_backbone_is_told_with_its_size(filled, capsys):
    assert main(["store"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Feature store: {filled} (VMFCOOP_CACHE ")
    found = {tuple(filter(None, map(str.strip, line)))[:5] for line in table(out)}
    assert found == {
        ("BiomedCLIP", "fp32", "5", "5", "2"),
        ("BiomedCLIP", "bf16", "5", "5", "2"),
        ("local-dir:my model", "fp32", "5", "8", "2"),
    }
    assert "alice" not in out.replace(str(filled), "")
    assert "Never deleted: runs" in out and "VMFCOOP_WEIGHTS" in out and "hub" in out
    sizes = sum(each.size for each in store.stored(filled))
    assert sizes == sum(path.stat().st_size for path in rows(filled))


def test_a_store_of_an_earlier_version_is_told_by_its_folder(filled, capsys):
    for note in filled.rglob(store.NOTE):
        note.unlink()
    assert main(["store"]) == 0
    out = capsys.readouterr().out
    assert [line[0] for line in table(out)] == ["?", "?", "?"] and "the next run with the backbone notes it" in out
    FeatureStore(Named("BiomedCLIP"))
    FeatureStore(Named("local-dir:/else/where"))
    FeatureStore(Named("BiomedCLIP"))
    folder = filled / Named("BiomedCLIP").fingerprint()
    assert (folder / store.NOTE).read_text() == "BiomedCLIP\nlocal-dir:where\n"
    assert (folder / store.NOTE).stat().st_mode & 0o077 == 0


def test_a_note_changes_no_feature_and_no_key(filled, files):
    backbone = Named("BiomedCLIP")
    again = FeatureStore(backbone, batch_size=4)
    again.images(files[:5], Plain()), again.texts(["one", "two"])
    assert backbone.images_seen == 0 and backbone.texts == []


def test_a_store_that_cannot_be_written_is_read(filled, monkeypatch):
    def refuse(path, private):
        raise UserError(f"Expected to write {path}")

    monkeypatch.setattr(store, "open_to_append", refuse)
    FeatureStore(backbone := Named("another name")).texts(["one"])
    assert backbone.texts == []


def test_a_note_is_not_written_where_a_link_lies(filled, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    note = filled / Named("BiomedCLIP").fingerprint() / store.NOTE
    note.unlink()
    note.symlink_to(mine)
    FeatureStore(Named("BiomedCLIP")).texts(["one"])
    assert mine.read_text() == "mine" and store.names_of(note.parent) == ()


@pytest.mark.parametrize("word", ["BiomedCLIP", "local-dir:/some/where/my model", Named("x").fingerprint()])
def test_one_backbone_is_cleared_and_no_other(word, filled, capsys):
    before = {each.folder: each for each in store.stored(filled)}
    gone = {folder for folder, each in before.items() if each.is_called(word)}
    assert len(gone) == (2 if word == "BiomedCLIP" else 1)
    assert main(["store", "--clear", word, "--yes"]) == 0
    assert {each.folder: each for each in store.stored(filled)} == {k: v for k, v in before.items() if k not in gone}
    assert (filled / "digests.tsv").is_file() and f"Deleted {sum(len(before[f].files) for f in gone)} files" in (
        capsys.readouterr().out
    )


def test_nothing_but_features_is_cleared(filled, tmp_path, capsys):
    outside = tmp_path / "outside"
    shutil.copytree(filled, outside)
    (filled / "fedcba9876543210").symlink_to(outside / Named("x").fingerprint())
    folder = filled / Named("BiomedCLIP").fingerprint()
    (folder / "images-0123456789abcdef").symlink_to(folder / "texts")
    (folder / "texts" / f"{'a' * 32}.rows").symlink_to(rows(outside)[0])
    kept = ["revisions.json", "thesis.doc", "runs/seed1/metrics.json", f"{folder.name}/texts/notes.rows"]
    for name in kept:
        (filled / name).parent.mkdir(parents=True, exist_ok=True)
        (filled / name).write_text("mine")
    told = f"Left alone, as the store did not make them: 4, such as {folder.name}/images-0123456789abcdef, "
    main(["store"])
    assert told.partition(", such")[0] in capsys.readouterr().out
    assert main(["store", "--clear", "--yes"]) == 0
    assert store.stored(filled) == [] and not (filled / "digests.tsv").exists()
    assert all((filled / name).read_text() == "mine" for name in kept)
    assert len(rows(outside)) == len([path for path in outside.rglob("*.rows") if path.stat().st_size]) > 5
    assert (folder / store.NOTE).is_file() and (folder / "texts" / f"{'a' * 32}.rows").is_symlink()


def test_it_asks_first(filled, monkeypatch, capsys):
    asked = []

    def answer(word):
        monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or word)
        return main(["store", "--clear", "BiomedCLIP"])

    before = rows(filled)
    assert answer("") == answer("n") == answer("perhaps") == 1
    assert rows(filled) == before and "Nothing was deleted" in capsys.readouterr().out
    assert "the features of BiomedCLIP (fp32), BiomedCLIP (bf16)" in asked[0] or "(bf16), BiomedCLIP" in asked[0]
    assert answer("y") == 0 and len(rows(filled)) < len(before)


def test_without_anyone_to_ask_nothing_is_deleted(filled, monkeypatch, capsys):
    def end(question):
        raise EOFError

    monkeypatch.setattr("builtins.input", end)
    before = rows(filled)
    assert main(["store", "--clear"]) == 1
    assert rows(filled) == before and "add --yes" in capsys.readouterr().err


def test_what_is_no_store_is_refused(filled, tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    (home / "texts").mkdir(parents=True)
    (home / "texts" / f"{'0' * 32}.rows").write_text("mine")
    for root, words in ((home, "but it holds texts"), (tmp_path / "none", "but there is no folder")):
        monkeypatch.setenv("VMFCOOP_CACHE", str(root))
        assert main(["store", "--clear", "--yes"]) == 1
        assert words in capsys.readouterr().err
    assert (home / "texts" / f"{'0' * 32}.rows").read_text() == "mine"
    assert main(["store"]) == 0 and "not there yet" in capsys.readouterr().out
    monkeypatch.setenv("VMFCOOP_CACHE", str(filled))
    assert main(["store", "--clear", "PLIP", "--yes"]) == 1
    assert "BiomedCLIP" in (err := capsys.readouterr().err) and 'got "PLIP"' in err


def test_a_damaged_file_is_counted_and_cleared(filled, capsys):
    damaged = rows(filled)[0]
    damaged.write_bytes(b"not rows")
    assert main(["store"]) == 0
    assert main(["store", "--clear", "--yes"]) == 0 and not damaged.exists()


def test_names_that_others_wrote_steer_no_terminal(filled, capsys):
    folder = filled / Named("BiomedCLIP").fingerprint()
    (folder / store.NOTE).write_bytes(b"\x1b[2JBiomedCLIP\n\xff\n" + b"x" * 20_000)
    assert main(["store"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\\x1b[2JBiomedCLIP" in out


def test_a_run_that_uses_the_store_goes_on(filled, files):
    backbone = Named("BiomedCLIP")
    using = FeatureStore(backbone, batch_size=4)
    first = using.images(files[:5], Plain())
    assert main(["store", "--clear", "--yes"]) == 0
    assert torch.allclose(using.images(files[:5], Plain()), first, atol=1e-6) and backbone.images_seen == 5
    assert store.stored(filled)[0].images == 5


def _write(root: str, count: int) -> None:
    import numpy as np

    from clip.row_store import RowStore

    table = RowStore(Path(root) / "0123456789abcdef" / "texts")
    for i in range(count):
        key = i.to_bytes(16, "big")
        table.put([key], np.full((1, 4), i, np.float32))
        found = table.get([key])[0]
        assert found is None or found[0] == i


def test_another_process_that_writes_meanwhile_is_not_disturbed(tmp_path, monkeypatch):
    monkeypatch.setenv("VMFCOOP_CACHE", str(tmp_path))
    (tmp_path / "digests.tsv").touch()
    writer = multiprocessing.get_context("spawn").Process(target=_write, args=(str(tmp_path), 200))
    writer.start()
    while writer.is_alive():
        assert main(["store", "--clear", "--yes"]) == 0
        assert main(["store"]) == 0
    writer.join()
    assert writer.exitcode == 0
