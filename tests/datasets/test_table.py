"""A user's table instead of class folders, in many dialects and with many names of columns."""

import json
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dassl.errors import UserError
from datasets.folder import FolderDataset
from datasets.rows import read_table
from datasets.table import TableDataset
from tests.datasets.layout import load, names

COUNT = 24


def images(root: Path, pattern: str = "img/{:03}.png", count: int = COUNT) -> Path:
    for i in range(count):
        path = root / pattern.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def write(root: Path, header: str, row, name: str = "labels.csv", count: int = COUNT, encoding: str = "utf-8") -> Path:
    lines = [header, *(row(i) for i in range(count))]
    (root / name).write_bytes("\r\n".join(lines).encode(encoding))
    return root


def word(i: int) -> str:
    return ("lung_cancer", "normal")[i % 2]


def table(root: Path, **kwargs) -> TableDataset:
    return load(root, TableDataset, **kwargs)


def everything(data: TableDataset) -> dict[str, str]:
    return {Path(item.impath).name: item.classname for item in [*data.train_x, *(data.val or []), *data.test]}


def refused(root: Path, *words: str, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        table(root, **kwargs)
    message = str(error.value)
    assert message.startswith("Expected ") and all(each in message for each in words), message
    return message


# ------------------------------------------------------------------------------------------ dialects and encodings


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "my table.csv"])
def test_dialects(tmp_path, delimiter, encoding, name):
    images(tmp_path)
    header = delimiter.join(["Image", "weight", '"a note, with; all"', "Label"])
    row = lambda i: delimiter.join([f"img/{i:03}.png", '"0,5"', '"one, two; three"', f'"{word(i)}"'])  # noqa: E731
    data = table(write(tmp_path, header, row, name, encoding=encoding))
    assert data.classnames == ["lung cancer", "normal"]
    assert everything(data) == {f"{i:03}.png": word(i).replace("_", " ") for i in range(COUNT)}
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [12, 4, 8]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "more below it"),
        ("image,label\n", "more below it"),
        ("image,label\n001,a\n002\n", "line 3, as in its first line, but got 1"),
        ("image,label\n001,a,b\n", "line 2, as in its first line, but got 3"),
        ('image,label\n001,"a\n002,b\n', "is no row"),
        ('image,label\n001,"a"b\n', "line 2 is no row"),
        ("image,label\n001,a" + "a" * 200_000 + "\n", "line 2 is no row"),
        ("image,label\n001,\n", 'one class in the column "label" of'),
        ("image,label\n,a\n", "names no file"),
        ("image,label\n001,a\n002,a\n", "at least two classes"),
        ("image,label\n001,a|b\n002,a\n", "which are several"),
        ("image,label\n001,\"['a', 'b']\"\n002,a\n", "which are several"),
        ("image,label\n001,a\n001,b\n002,a\n", "one label for each image"),
        ("image,label\n001,a\nnowhere,b\n", 'missing, the first is "nowhere" (line 3)'),
    ],
)
def test_what_is_no_table_of_classes_is_named_with_its_line(tmp_path, text, told):
    (images(tmp_path) / "labels.csv").write_text(text)
    refused(tmp_path, told, "labels.csv")


def test_a_table_that_is_no_text(tmp_path):
    (images(tmp_path) / "labels.csv").write_bytes(b"image,label\n001,caf\xe9\n")
    refused(tmp_path, "labels.csv", "line 2 has a byte that is none (0xe9): save it as UTF-8")


# ------------------------------------------------------------------------------------------- which table, which columns


def test_the_table_and_its_columns_can_be_named(tmp_path):
    images(tmp_path)
    write(tmp_path, "a,b,c,d", lambda i: f"img/{i:03}.png,{word(i)},{i % 2},{i // 4}", "one.csv")
    write(tmp_path, "a,b", lambda i: "x,y", "two.csv")
    assert "one.csv, two.csv" in refused(tmp_path, "DATASET.TABLE.FILE")
    refused(tmp_path, 'columns are "a", "b", "c", "d"', "DATASET.TABLE.PATH", table={"FILE": "one.csv"})
    refused(tmp_path, 'a column "e"', "(DATASET.TABLE.PATH)", table={"FILE": "one.csv", "PATH": "e"})
    refused(tmp_path, "no ", "three.csv", table={"FILE": "three.csv"})
    told = {"FILE": "one.csv", "PATH": "A", "LABEL": "b", "GROUP": "d"}
    data = table(tmp_path, table=told)
    assert data.classnames == ["lung cancer", "normal"] and len(set(data.groups.values())) == 6
    (tmp_path / "split_TableDataset.json").unlink()
    refused(tmp_path, "has the numbers 0, 1", "classes.csv", table=told | {"LABEL": "c"})


def test_no_table(tmp_path):
    refused(images(tmp_path), "Expected one table, such as labels.csv", "found none")


@pytest.mark.parametrize("path", ["path", "Image", "IMAGE_ID", "Image Index", "file-name", "Filename"])
@pytest.mark.parametrize("label", ["Label", "class", "DX", "Diagnosis", "finding", "Finding Labels"])
def test_columns_are_known_by_their_usual_names(tmp_path, path, label):
    images(tmp_path)
    data = table(write(tmp_path, f"age,{label},sex,{path}", lambda i: f"{i},{word(i)},f,{i:03}"))
    assert everything(data) == {f"{i:03}.png": word(i).replace("_", " ") for i in range(COUNT)}


def test_words_are_taken_rather_than_numbers_and_what_is_taken_is_said(tmp_path, capsys):
    images(tmp_path)
    data = table(write(tmp_path, "image,label,class,patient", lambda i: f"{i:03},{i % 2},{word(i)},{i // 3}"))
    assert data.classnames == ["lung cancer", "normal"]
    told = "Table labels.csv, 24 rows: images in image; classes in class; patients in patient"
    assert told in capsys.readouterr().out


def test_patients_come_before_lesions(tmp_path):
    images(tmp_path)
    data = table(write(tmp_path, "lesion_id,image,patient_id,dx", lambda i: f"{i},{i:03},P{i // 4},{word(i)}"))
    assert set(data.groups.values()) == {f"P{i}" for i in range(6)}


# ---------------------------------------------------------------------------------------------------- finding the files


@pytest.mark.parametrize(
    ("pattern", "cell"),
    [
        ("{:03}.png", "{:03}.png"),
        ("a/b/{:03}.png", "a/b/{:03}.png"),
        ("a/b/{:03}.png", "a\\b\\{:03}.png"),
        ("a/b/{:03}.png", "./a/b/{:03}.png"),
        ("a/b/{:03}.png", "{:03}.png"),
        ("a/b/{:03}.png", "{:03}"),
        ("a/b/{:03}.png", "a/b/{:03}"),
        ("a/b/{:03}.PNG", "{:03}.png"),
        ("a/b/{:03}.png", "data set/a/b/{:03}.png"),
        ("a/b/1.2.840.{:03}.png", "1.2.840.{:03}"),
        ("a/b/1.2.840.{:03}.dcm", "1.2.840.{:03}"),
        ("ärzte/{:03}.png", "ärzte/{:03}.png"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_image_is_named_by_path_file_name_or_name_without_suffix(tmp_path, pattern, cell, form):
    root = images(tmp_path / "data set", unicodedata.normalize(form, pattern))
    data = table(write(root, "image,label", lambda i: f"{cell.format(i)},{word(i)}"))
    assert everything(data) == {Path(pattern.format(i)).name: word(i).replace("_", " ") for i in range(COUNT)}


def test_names_that_several_files_have_are_refused(tmp_path):
    images(images(tmp_path, "a/{:03}.png"), "b/{:03}.png")
    write(tmp_path, "image,label", lambda i: f"{i:03},{word(i)}")
    refused(tmp_path, "labels.csv, line 2", "a/000.png and b/000.png are called so")
    (tmp_path / "split_TableDataset.json").unlink(missing_ok=True)
    data = table(write(tmp_path, "image,label", lambda i: f"b/{i:03}.png,{word(i)}"))
    assert all(Path(item.impath).parent.name == "b" for item in data.test)


def test_files_without_suffix_are_taken_if_they_are_dicom(tmp_path):
    for i in range(8):
        (tmp_path / f"1.2.840.{i}").write_bytes(b"\0" * 128 + b"DICM")
        (tmp_path / f"1.2.841.{i}").write_bytes(b"\0" * 128 + b"none")
    assert len(everything(table(write(tmp_path, "image,label", lambda i: f"1.2.840.{i},{word(i)}", count=8)))) == 8
    write(tmp_path, "image,label", lambda i: f"1.2.841.{i},{word(i)}", count=8)
    refused(tmp_path, "8 are missing")


def test_images_that_the_table_does_not_list_are_counted(tmp_path, capsys):
    images(tmp_path)
    (tmp_path / "img" / "notes.doc").touch()
    table(write(tmp_path, "image,label", lambda i: f"{i:03},{word(i)}", count=20))
    assert "Left out: 1 .doc files; 4 images that labels.csv does not list" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------------------- classes


def test_numbers_get_names_from_classes_csv_or_classes_txt(tmp_path):
    images(tmp_path)
    write(tmp_path, "image,label", lambda i: f"{i:03},{i % 3}.0")
    (tmp_path / "classes.txt").write_text("normal\nlung_cancer\n", encoding="utf-16")
    refused(tmp_path, "numbers 0, 1, 2", "classes.txt has 2 lines, counted from 0")
    (tmp_path / "classes.txt").write_text("normal\nlung_cancer\nœdema\n", encoding="utf-8-sig")
    assert table(tmp_path).classnames == ["normal", "lung cancer", "œdema"]
    (tmp_path / "classes.csv").write_text("label;name\n2;normal\n1;cyst\n", encoding="utf-8-sig")
    (tmp_path / "split_TableDataset.json").unlink()
    refused(tmp_path, "classes.csv", 'none for "0"')
    (tmp_path / "classes.csv").write_text("label;name\n2;normal\n1;cyst\n0;tumour\n")
    data = table(tmp_path)
    assert data.classnames == ["normal", "cyst", "tumour"]
    assert everything(data)["002.png"] == "normal" and everything(data)["000.png"] == "tumour"


def test_codes_get_names_and_their_order_from_classes_csv_and_words_their_order_from_classes_txt(tmp_path):
    images(tmp_path)
    write(tmp_path, "image,dx", lambda i: f"{i:03},{('nv', 'mel')[i % 2]}")
    assert table(tmp_path).classnames == ["mel", "nv"]
    (tmp_path / "split_TableDataset.json").unlink()
    (tmp_path / "classes.txt").write_text("nv\nmel\n")
    assert table(tmp_path).classnames == ["nv", "mel"]
    (tmp_path / "split_TableDataset.json").unlink()
    (tmp_path / "classes.csv").write_text("code,name\nnv,melanocytic_nevus\nmel,melanoma\n")
    assert table(tmp_path).classnames == ["melanocytic nevus", "melanoma"]


def test_one_column_per_class(tmp_path):
    images(tmp_path)
    row = lambda i: f"{i:03},{int(i % 3 == 0)},{float(i % 3 == 1)},{'1.0' if i % 3 == 2 else ''},{i + 2}"  # noqa: E731
    data = table(write(tmp_path, "image,MEL,NV,VASC,age", row, "ISIC_GroundTruth.csv"))
    assert data.classnames == ["MEL", "NV", "VASC"] and everything(data)["004.png"] == "NV"


@pytest.mark.parametrize(
    ("cells", "told"),
    [("1,1,0", "2 (A, B)"), ("0,,0", "0 (none)"), ("-1,1,0", '"-1" in A')],
)
def test_rows_of_several_classes_or_none_are_refused(tmp_path, cells, told):
    images(tmp_path)
    write(tmp_path, "image,A,B,C", lambda i: f"{i:03},{cells if i == 5 else '1,0,0' if i % 2 else '0,1,0'}")
    refused(tmp_path, "columns A, B, C", "line 7", f"got {told}", "DATASET.TABLE.LABEL")


# -------------------------------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize("column", ["split", "Set", "fold"])
@pytest.mark.parametrize(
    "words", [("train", "val", "test"), ("Training", "valid", "Testing"), ("TRAIN", "dev", "test")]
)
def test_the_split_of_the_table_is_taken(tmp_path, column, words):
    images(tmp_path)
    data = table(write(tmp_path, f"image,label,{column}", lambda i: f"{i:03},{word(i)},{words[i // 8]}"))
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [8, 8, 8]
    assert names(data.test) == [f"img/{i:03}.png" for i in range(16, 24)]
    assert not (tmp_path / "split_TableDataset.json").exists()


def test_folds_need_to_be_told_which_is_for_testing(tmp_path):
    images(tmp_path)
    write(tmp_path, "image,label,fold", lambda i: f"{i:03},{word(i)},{i // 6}")
    refused(tmp_path, 'column "fold" of', "line 2", 'but got "0"', "DATASET.TABLE.TEST_FOLD")
    refused(tmp_path, "holds 0, 1, 2, 3", table={"TEST_FOLD": 7})
    for fold in (3, "3"):
        assert names(table(tmp_path, table={"TEST_FOLD": fold}).test) == [f"img/{i:03}.png" for i in range(18, 24)]
    write(tmp_path, "image,label,split", lambda i: f"{i:03},{word(i)},{'train' if i else 'tset'}")
    refused(tmp_path, 'but got "tset": correct it')
    write(tmp_path, "image,label", lambda i: f"{i:03},{word(i)}")
    refused(tmp_path, "DATASET.TABLE.SPLIT", table={"TEST_FOLD": 1})


def test_an_image_for_training_and_for_test_is_refused_and_one_listed_twice_counted(tmp_path, capsys):
    images(tmp_path)
    row = lambda i: f"{i % 23:03},{word(i % 23)},{('train', 'test')[i // 12]}"  # noqa: E731
    refused(write(tmp_path, "image,label,split", row), "labels.csv lists 1 for both, the first is img/000.png")
    write(tmp_path, "image,label", lambda i: f"{i % 22:03},{word(i % 22)}")
    assert len(everything(table(tmp_path))) == 22
    assert "2 entries of" in capsys.readouterr().out


def test_the_division_is_kept_and_held_against_the_table(tmp_path, capsys):
    images(tmp_path)
    first = table(write(tmp_path, "image,label", lambda i: f"{i:03},{word(i)}", count=20))
    kept = tmp_path / "split_TableDataset.json"
    assert sum(map(len, json.loads(kept.read_text()).values())) == 20
    again = table(write(tmp_path, "image,label", lambda i: f"{i:03},{word(i)}"))
    assert again.split_hash == first.split_hash
    assert f"4 images came after the division in {kept} and stay out" in capsys.readouterr().out
    write(tmp_path, "image,label", lambda i: f"{i:03},{word(i + (i == 3))}")
    refused(tmp_path, "1 images have others now, the first is img/003.png", f"delete {kept}")
    write(tmp_path, "image,label", lambda i: f"{i + 1:03},{word(i + 1)}", count=23)
    refused(tmp_path, "1 are missing, the first is", "img/000.png", f"delete {kept}")


# --------------------------------------------------------------------------------------- tables as publishers give them


def test_ham10000(tmp_path):
    images(tmp_path, "HAM10000_images_part_1/ISIC_{:07}.jpg")
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    row = lambda i: f"HAM_{i // 2:07},ISIC_{i:07},{('bkl', 'nv', 'mel')[i // 2 % 3]},histo,80.0,male,scalp"  # noqa: E731
    data = table(write(tmp_path, header, row, "HAM10000_metadata.csv"))
    assert data.classnames == ["bkl", "mel", "nv"] and len(set(data.groups.values())) == 12
    parts = [set(data.groups_of(part)) for part in (data.train_x, data.val, data.test)]
    assert sum(map(len, parts)) == 12 and not parts[0] & parts[2]


def test_chexpert(tmp_path):
    root = images(tmp_path / "CheXpert-v1.0-small", "train/patient{:05}/study1/view1_frontal.jpg")
    header = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Cardiomegaly,Edema"
    cells = ["1.0,,", ",1.0,0.0", ",,1.0"]

    def row(i: int, cells=cells) -> str:
        path = f"CheXpert-v1.0-small/train/patient{i:05}/study1/view1_frontal.jpg"
        return f"{path},Female,{20 + i},Frontal,AP,{cells[i % len(cells)]}"

    data = table(write(root, header, row, "train.csv"), GROUP_PATTERN=r"(patient\d+)")
    assert Counter(item.classname for item in data.train_x) == {"No Finding": 4, "Cardiomegaly": 4, "Edema": 4}
    assert len(set(data.groups.values())) == COUNT
    write(root, header, lambda i: row(i, [*cells, ",1.0,-1.0"]), "train.csv")
    refused(root, 'line 5, but got "-1.0" in Edema')
    write(root, header, lambda i: row(i, [*cells, ",1.0,1.0"]), "train.csv")
    refused(root, "2 (Cardiomegaly, Edema)")
    write(root, header, row, "valid.csv")
    refused(root, "found train.csv, valid.csv: name it by DATASET.TABLE.FILE")


def test_nih_chest_xray_several_findings(tmp_path):
    images(tmp_path, "images/{:08}_000.png")
    header = "Image Index,Finding Labels,Follow-up #,Patient ID"
    row = lambda i: f"{i:08}_000.png,{('No Finding', 'Hernia')[i % 2]},0,{i // 3}"  # noqa: E731
    data = table(write(tmp_path, header, row, "Data_Entry_2017.csv"))
    assert data.classnames == ["Hernia", "No Finding"] and len(set(data.groups.values())) == 8
    write(tmp_path, header, lambda i: row(i).replace("Hernia", "Hernia|Mass"), "Data_Entry_2017.csv")
    refused(tmp_path, '"Hernia|Mass", which are several')


def test_nnu_net_folders_hold_masks(tmp_path):
    for folder in ("imagesTr", "labelsTr"):
        images(tmp_path, folder + "/case_{:03}_0000.png")
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "liver": 1}}')
    refused(tmp_path, "nnU-Net's imagesTr: its labels are masks")
    with pytest.raises(UserError, match="nnU-Net's imagesTr"):
        load(tmp_path, FolderDataset)
    write(tmp_path, "image,label", lambda i: f"imagesTr/case_{i:03}_0000.png,{word(i)}")
    assert len(everything(table(tmp_path))) == COUNT


# ------------------------------------------------------------------------------------------------------------ property


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), min_size=2, max_size=4),
        min_size=2,
        max_size=6,
    ).filter(lambda rows: len({len(row) for row in rows}) == 1 and all(any(c.strip() for c in row) for row in rows)),
)
def test_what_csv_writes_is_read_back(tmp_path_factory, rows):
    import csv

    path = tmp_path_factory.mktemp("rows") / "a.csv"
    rows[0] = [f"column {i}" for i, _ in enumerate(rows[0])]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    found = read_table(path)
    assert [found.header, *(cells for _, cells in found.rows)] == [
        [unicodedata.normalize("NFC", cell.strip()) for cell in row] for row in rows
    ]
