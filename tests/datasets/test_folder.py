"""A folder of one's own images: classes, division, and errors about a folder that cannot be used."""

import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dassl.errors import UserError
from datasets import own
from datasets.division import divide_items
from datasets.entries import Item
from datasets.folder import FolderDataset
from datasets.prompts import load_prompts
from tests.datasets.layout import load, names


def fill(root: Path, count: int = 10, classes=("normal_lung", "covid", "effusion"), suffix: str = ".png") -> Path:
    """Empty images in one folder per class."""
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / name / f"{i}{suffix}").touch()
    return root


def mine(root: Path, **kwargs) -> FolderDataset:
    return load(root, FolderDataset, **kwargs)


def parts(data: FolderDataset) -> list[list[str]]:
    return [names(part) for part in (data.train_x, data.val, data.test)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 70), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_each_class_is_divided_50_20_30_whatever_the_order_of_the_files(sizes, chance):
    items = [Item(f"c{label}/{i}.png", label, f"c{label}") for label, size in enumerate(sizes) for i in range(size)]
    split = divide_items(items, {})
    assert sorted(item for part in split.values() for item in part) == sorted(items)
    for label, size in enumerate(sizes):
        counts = {part: sum(item.label == label for item in split[part]) for part in split}
        assert abs(counts["train"] - 0.5 * size) <= 0.5 and abs(counts["val"] - 0.2 * size) <= 1
        assert abs(counts["test"] - 0.3 * size) <= 0.51
        assert counts["train"] > 0 and counts["test"] > 0 and (counts["val"] > 0 or size < 4)
    chance.shuffle(items)
    assert divide_items(items, {}) == split


def test_classes_are_the_folders_sorted_with_spaces(tmp_path):
    data = mine(fill(tmp_path / "chest"))
    assert data.classnames == ["covid", "effusion", "normal lung"] and data.key == "chest"
    assert [len(part) for part in parts(data)] == [15, 6, 9]
    for item in data.train_x + data.val + data.test:
        assert Path(item.impath).parent.name.replace("_", " ") == item.classname == data.classnames[item.label]
    assert data.phantom is False and data.prompt_bank is None


def test_files_listed_in_another_order_are_divided_alike(tmp_path, monkeypatch):
    first = mine(fill(tmp_path / "a"))
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(real(self), reverse=True)))
    second = mine(fill(tmp_path / "b"))
    assert parts(first) == parts(second) and first.split_hash == second.split_hash


def test_parts_are_no_blocks_of_the_file_names(tmp_path):
    """Slices of one patient have neighbouring names; the division goes by hash."""
    train, _, test = parts(mine(fill(tmp_path, 40)))
    train, test = ([name for name in part if name.startswith("covid/")] for part in (train, test))
    assert len(train) == 20 and len(test) == 12
    assert min(train) < max(test) and min(test) < max(train)


def test_classes_txt_gives_the_order_of_labels_with_spaces_or_underscores(tmp_path):
    fill(tmp_path)
    (tmp_path / "classes.txt").write_text("normal_lung\n\neffusion\n  covid \n")
    data = mine(tmp_path)
    assert data.classnames == ["normal lung", "effusion", "covid"]
    assert {(item.label, Path(item.impath).parent.name) for item in data.test} == {
        (0, "normal_lung"),
        (1, "effusion"),
        (2, "covid"),
    }
    (tmp_path / "split_FolderDataset.json").unlink()
    (tmp_path / "classes.txt").write_text("normal lung\ncovid\n")
    with pytest.raises(ValueError, match=r"classes\.txt to list .*'effusion'.* but it lists .*: correct it"):
        mine(tmp_path)


def test_folder_names_may_mix_spaces_and_underscores(tmp_path):
    data = mine(fill(tmp_path, classes=("non small_cell", "small_cell")))
    assert data.classnames == ["non small cell", "small cell"]
    assert [item.label for item in data.test] == [0, 0, 0, 1, 1, 1]


def test_the_folder_itself_may_be_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(fill(tmp_path / "chest"))
    assert mine(Path()).key == "chest"


@pytest.mark.parametrize("with_val", [True, False])
def test_given_parts_are_taken_as_they_are(tmp_path, with_val):
    for part, count in (("train", 3), ("test", 2), ("val", 1))[: 3 if with_val else 2]:
        fill(tmp_path / part, count)
    data = mine(tmp_path)
    assert [len(part) for part in parts(data)] == [9, 3 if with_val else 0, 6]
    for part, items in (("train", data.train_x), ("val", data.val), ("test", data.test)):
        assert all(Path(item.impath).relative_to(tmp_path).parts[0] == part for item in items)
    assert not (tmp_path / "split_FolderDataset.json").exists()
    assert len(mine(tmp_path, shots=2).train_x) == 6


@pytest.mark.parametrize(("part", "blamed"), [("train", "covid"), ("test", "zovid")])
def test_given_parts_must_hold_the_same_classes(tmp_path, part, blamed):
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    (tmp_path / part / "covid").rename(tmp_path / part / "zovid")
    with pytest.raises(ValueError, match=rf'"{blamed}" in .* has none for train'):
        mine(tmp_path)


def test_the_split_is_kept_and_images_that_come_later_stay_out(tmp_path):
    first = mine(fill(tmp_path))
    kept = json.loads((tmp_path / "split_FolderDataset.json").read_text())
    assert [len(kept[part]) for part in ("train", "val", "test")] == [15, 6, 9]
    assert all(not Path(path).is_absolute() for path, _, _ in kept["test"])
    fill(tmp_path, 12)
    later = mine(tmp_path)
    assert parts(later) == parts(first) and later.split_hash == first.split_hash
    (tmp_path / "split_FolderDataset.json").unlink()
    anew = mine(tmp_path)
    assert [len(part) for part in parts(anew)] == [18, 6, 12] and anew.split_hash != first.split_hash


def test_what_no_longer_fits_the_kept_split_says_to_delete_it(tmp_path):
    mine(fill(tmp_path))
    kept = str(tmp_path / "split_FolderDataset.json")
    (tmp_path / "covid" / "0.png").unlink()
    with pytest.raises(UserError) as gone:
        mine(tmp_path)
    assert str(tmp_path / "covid" / "0.png") in str(gone.value) and f"delete {kept}" in str(gone.value)
    (tmp_path / "covid" / "0.png").touch()
    fill(tmp_path, classes=["aorta"])  # the first of the sorted names: all labels change
    with pytest.raises(ValueError, match=r"0: 'aorta', 1: 'covid'.* has label 0 \"covid\"") as more:
        mine(tmp_path)
    assert f"delete {kept}" in str(more.value)
    Path(kept).unlink()
    assert mine(tmp_path).classnames == ["aorta", "covid", "effusion", "normal lung"]


def test_a_class_that_is_new_and_last_is_not_passed_over(tmp_path):
    mine(fill(tmp_path))
    fill(tmp_path, classes=["zoster"])
    with pytest.raises(ValueError, match=r'"zoster" in .* has none for train: .* delete .*split_FolderDataset\.json'):
        mine(tmp_path)


def test_a_split_that_cannot_be_kept_is_no_error(tmp_path, monkeypatch, capsys):
    def refuse(*args):
        raise PermissionError("read-only file system")

    fill(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(own, "write_json", refuse)
        unkept = mine(tmp_path)
    assert "split_FolderDataset.json cannot be written (read-only" in capsys.readouterr().out
    assert not (tmp_path / "split_FolderDataset.json").exists()
    assert parts(mine(tmp_path)) == parts(unkept)


def test_suffixes_hidden_files_and_other_files(tmp_path):
    for suffix in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".PNG", ".JPG"):
        fill(tmp_path, 1, ("a", "b"), suffix)
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "notes.txt", "0.nii", "0.png.part"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "a" / "folder.png").mkdir()
    fill(tmp_path, 5, (".ipynb_checkpoints", ".trash"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "loose.png").touch()
    data = mine(tmp_path)
    assert data.classnames == ["a", "b"]
    images = [name for part in parts(data) for name in part]
    assert sorted(images) == sorted(
        f"{c}/0{s}" for c in "ab" for s in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".PNG", ".JPG")
    )


def test_the_bank_comes_with_the_folder(tmp_path):
    fill(tmp_path)
    bank = {name: [f"{name} {i}" for i in range(3)] for name in ("covid", "effusion", "normal lung")}
    (tmp_path / "prompts.json").write_text(json.dumps({"prompts": bank}))
    data = mine(tmp_path)
    assert data.prompt_bank == tmp_path / "prompts.json"
    found = load_prompts(data.key, "anyone", data.classnames, 2, bank=data.prompt_bank)
    assert found == [[f"{name} 0", f"{name} 1"] for name in data.classnames]


def test_shots_and_halves(tmp_path):
    fill(tmp_path, classes="abcd")
    data = mine(tmp_path, shots=4, classes="new")
    assert data.classnames == ["c", "d"] and [item.label for item in data.train_x] == [0] * 4 + [1] * 4
    assert (tmp_path / "split_fewshot" / "shot_4-seed_1.json").is_file()
    with pytest.raises(ValueError, match=rf'"a" of {tmp_path.name} has 5: take at most 5 shots'):
        mine(tmp_path, shots=8)
    assert len(mine(tmp_path, shots=5).train_x) == 4 * 5  # the number that is named, which no script lists, will do


@pytest.mark.parametrize("classes", [(), ("covid",), ("covid", "empty")])
def test_fewer_than_two_classes(tmp_path, classes):
    fill(tmp_path, classes=classes)
    for path in (tmp_path / "empty").glob("*"):
        path.unlink()
    found = r"\['covid'\]" if classes else "none"
    with pytest.raises(ValueError, match=rf"at least two folders of images \(\.bmp, .*\) in .* but found {found}: "):
        mine(tmp_path)


def test_a_class_of_one_image_is_refused_before_anything_is_kept(tmp_path):
    fill(tmp_path, 4)
    for i in range(1, 4):
        (tmp_path / "covid" / f"{i}.png").unlink()
    with pytest.raises(ValueError, match=r'"covid" in .* has none for train: .*four or more in each'):
        mine(tmp_path)
    fill(tmp_path, 4)
    assert [len(part) for part in parts(mine(tmp_path))] == [6, 3, 3]


@pytest.mark.parametrize("root", ["phantoms", "nowhere"])
def test_no_such_folder(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"there is no {root}: give --root \(DATA=\.\.\.\) the folder"):
        mine(Path(root))


@pytest.mark.parametrize(
    ("words", "val"),
    [
        (("Training", "Testing"), None),
        (("TRAIN", "TEST"), "VALID"),
        (("train", "testing"), "validation"),
        (("train", "test"), "dev"),
        (("train", "test"), "Val"),
    ],
)
def test_parts_are_known_by_their_usual_names_in_any_case(tmp_path, words, val, capsys):
    for part, count in zip((*words, *([val] if val else [])), (4, 2, 1), strict=False):
        fill(tmp_path / part, count)
    (tmp_path / "docs").mkdir()
    assert [len(part) for part in parts(mine(tmp_path))] == [12, 3 if val else 0, 6]
    assert '1 folder "docs" beside the parts' in capsys.readouterr().out


@pytest.mark.parametrize("found", [("train",), ("test",), ("Training", "val"), ("train", "valid", "covid")])
def test_one_part_alone_is_refused_with_the_word_that_is_missing(tmp_path, found):
    for part in found:
        fill(tmp_path / part)
    with pytest.raises(UserError, match=r"Expected the folders train/ and test/ in .*, but found"):
        mine(tmp_path)


def test_two_folders_for_one_part_are_refused(tmp_path):
    for part in ("train", "test", "Testing"):
        fill(tmp_path / part)
    with pytest.raises(UserError, match=r"has Testing and test: put their images together"):
        mine(tmp_path)


@pytest.mark.parametrize("within", ["", "train", "test"])
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda path: fill(path, classes=("images", "masks")),
            r"in folders of it, such as \"images\": set DATASET\.NESTED",
        ),
        (lambda path: (path / "0.png").symlink_to("/nowhere/0.png"), "1 broken links: bring what they lead to"),
        (lambda path: (path / "0.nii.gz").touch(), r"1 \.gz files: convert them"),
        (lambda path: (path / "0.npy").touch(), r"1 \.npy files: convert them"),
    ],
)
def test_a_class_folder_whose_images_cannot_be_used_does_not_vanish(tmp_path, within, spoil, told):
    for part in ("train", "test") if within else ("",):
        fill(tmp_path / part)
        (tmp_path / part / "pneumonia").mkdir(exist_ok=True)
    spoil(tmp_path / within / "pneumonia")
    with pytest.raises(UserError, match=told) as error:
        mine(tmp_path)
    assert str(tmp_path / within / "pneumonia") in str(error.value)


def test_a_class_folder_that_is_a_broken_link_does_not_vanish(tmp_path):
    fill(tmp_path)
    (tmp_path / "pneumonia").symlink_to("/nowhere")
    with pytest.raises(UserError, match=r"but pneumonia is a link that leads nowhere: bring what it leads to"):
        mine(tmp_path)


def test_images_of_nested_folders_are_read_if_that_is_asked_for(tmp_path, capsys):
    for name in ("covid", "normal"):
        fill(tmp_path / name, 4, ("patient1", "patient2"))
    data = mine(tmp_path, NESTED=True)
    assert data.classnames == ["covid", "normal"] and sum(map(len, parts(data))) == 16
    fill(tmp_path, 3, ("covid", "normal"))
    (tmp_path / "split_FolderDataset.json").unlink()
    capsys.readouterr()
    assert sum(map(len, parts(mine(tmp_path)))) == 6
    assert '1 folders ("patient1") in covid; 1 folders ("patient2") in covid; 1 folders ("patient1") in normal' in (
        capsys.readouterr().out
    )


def test_what_is_found_and_left_out_is_counted(tmp_path, capsys):
    fill(tmp_path, 10, ("a", "b"))
    fill(tmp_path, 6, ("a",), ".webp")
    for name in ("._0.png", "notes.txt", "more.txt", "x.heic", "README"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "b" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "b" / "bad\nname.png").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "0.xml").touch()
    (tmp_path / "loose.png").touch()
    (tmp_path / "pneumonia.zip").touch()
    (tmp_path / "classes.txt").write_text("a\nb\n")
    (tmp_path / "labels.csv").write_text("image,label\n")
    mine(tmp_path)
    out = capsys.readouterr().out
    assert "Images found: 20 .png; 6 .webp" in out and "Images for training/validation/test: a 8/3/5, b 5/2/3" in out
    for told in (
        "1 hidden in a",
        "2 .txt files in a",
        "1 .heic files in a",
        "1 files without a suffix in a",
        "1 broken links in b",
        "1 names with a backslash or control characters in b",
        '1 folder without images ("empty")',
        '1 folder without images ("xml")',
        "1 images in no class folder",
        "1 .zip files in no class folder",
        '1 table (labels.csv), which the data set "table" would read',
    ):
        assert told in out, told
    mine(tmp_path)
    fill(tmp_path, 12, ("a",))
    mine(tmp_path)
    assert "2 images came after the division in" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_accents_and_encodings_of_lists_and_names(tmp_path, form, encoding):
    """A Mac writes the accents of file names apart; editors on Windows mark their files."""
    folder_form = {"NFC": "NFD", "NFD": "NFC"}[form]
    fill(tmp_path, classes=[unicodedata.normalize(folder_form, name) for name in ("œdème_aigu", "très sain")])
    lines = unicodedata.normalize(form, "très_sain\r\nœdème aigu\r\n")
    (tmp_path / "classes.txt").write_bytes(lines.encode(encoding))
    first = mine(tmp_path)
    assert first.classnames == ["très sain", "œdème aigu"], "accents as one character, which a text tower knows"
    kept = tmp_path / "split_FolderDataset.json"
    text = json.dumps(json.loads(kept.read_text()), ensure_ascii=False)
    kept.write_bytes(unicodedata.normalize(form, text).encode(encoding))  # from a machine with the other form
    again = mine(tmp_path)
    assert parts(again) == parts(first)


def test_lists_that_are_no_text_are_named(tmp_path):
    fill(tmp_path)
    (tmp_path / "classes.txt").write_bytes("très\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"classes\.txt, but line 1 has a byte that is none"):
        mine(tmp_path)


def test_file_names_that_are_no_utf_8_are_used(tmp_path):
    fill(tmp_path)
    odd = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "covid" / odd).touch()
    for _ in range(2):  # divided, and from the split that was kept
        data = mine(tmp_path, shots=2)
        assert sum(map(len, parts(mine(tmp_path)))) == 31
    assert any(odd in name for part in parts(mine(tmp_path)) for name in part) and len(data.train_x) == 6


def test_files_that_hold_dicom_are_images_whatever_they_are_called(tmp_path, capsys):
    for name in ("covid", "normal"):
        (tmp_path / name).mkdir()
        for i in range(4):
            (tmp_path / name / f"1.2.840.{i}").write_bytes(b"\0" * 128 + b"DICM")
            (tmp_path / name / f"IM{i}").write_bytes(b"\0" * 128 + b"DICM")
        (tmp_path / name / "DICOMDIR.txt").write_bytes(b"\0" * 120)
    assert sum(map(len, parts(mine(tmp_path)))) == 16
    assert "Images found: 16 DICOM" in capsys.readouterr().out


def test_two_folders_of_one_class_are_refused(tmp_path):
    fill(tmp_path, classes=("lung cancer", "lung_cancer", "normal"))
    with pytest.raises(ValueError, match=r"lung cancer and .*lung_cancer have the same name .*put their images toge"):
        mine(tmp_path)
