"""Lists of images cannot reach out of the data folder, whoever wrote them, and what is odd in them is named."""

import json
import os
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dassl.errors import UserError
from datasets import entries
from datasets.btmri import BTMRI
from datasets.entries import relative_path
from datasets.folder import FolderDataset
from datasets.table import TableDataset
from tests.datasets.layout import lay_out, load, names

OUTSIDE = [
    "../secret.png",
    "glioma_tumor/../../secret.png",
    "glioma_tumor/../../../secret.png",
    "..\\secret.png",
    "glioma_tumor\\..\\..\\secret.png",
    ".. /secret.png",
    "../",
    "..",
    "/etc/passwd",
    "//server/share/secret.png",
    "\\\\server\\share\\secret.png",
    "\\secret.png",
    "C:\\secret.png",
    "c:secret.png",
    "C:/secret.png",
    "glioma_tumor/a\x00.png",
    "glioma_tumor/a\n.png",
    "glioma_tumor/\x1b[2J.png",
    "glioma_tumor/\x9b.png",
    "glioma_tumor/\ud800.png",
    "",
    "glioma_tumor/",
]
NO_TEXT = [7, 1.5, None, True, [], ["glioma_tumor/test0.png"], {}, {"path": "glioma_tumor/test0.png"}]


@pytest.fixture
def split(tmp_path):
    """A split file, with a file outside of the images that must not be read."""
    path = lay_out(tmp_path / "data")
    for folder in (tmp_path, tmp_path / "data", path.parent):
        (folder / "secret.png").write_text("of a patient")
    return path


def change(path: Path, **parts) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


def refused(path: Path, *words: str, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        load(path.parents[1], **kwargs)
    message = str(error.value)
    assert message.startswith("Expected ") and all(word in message for word in words), message
    return message


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("value", [*OUTSIDE, *NO_TEXT], ids=repr)
def test_a_path_that_leads_elsewhere_is_refused_with_file_and_entry(split, part, value):
    old = json.loads(split.read_text())[part]
    change(split, **{part: [*old[:3], [value, 0, "glioma tumor"], *old[3:]]})
    message = refused(split, str(split), f"{part}, entry 4")
    assert "\x1b" not in message and "\n" not in message


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("../a.png", 'leads out of the folder by ".."'),
        ("/a.png", "is absolute"),
        ("C:\\a.png", "is absolute"),
        ("a\x00.png", "has characters that no file's name should have"),
        ("", "names no file"),
        (7, "is no text"),
    ],
)
def test_the_reason_is_told(value, why):
    with pytest.raises(UserError) as error:
        relative_path(value, "list.json, entry 3")
    assert "class/image.png, in list.json, entry 3, but " in str(error.value) and f" {why}: correct it." in str(
        error.value
    )


@pytest.mark.parametrize(
    "entry",
    [
        ["glioma_tumor/test0.png", [0], "glioma tumor"],
        ["glioma_tumor/test0.png", "0", "glioma tumor"],
        ["glioma_tumor/test0.png", None, "glioma tumor"],
        ["glioma_tumor/test0.png", False, "glioma tumor"],
        ["glioma_tumor/test0.png", 0.5, "glioma tumor"],
        ["glioma_tumor/test0.png", {}, "glioma tumor"],
        ["glioma_tumor/test0.png", 0, 0],
        ["glioma_tumor/test0.png", 0, None],
        ["glioma_tumor/test0.png", 0, ["glioma tumor"]],
        ["glioma_tumor/test0.png", 0, "glioma\x1b[2Jtumor"],
        ["glioma_tumor/test0.png", 0, "g" * 201],
        ["glioma_tumor/test0.png", 0, ""],
        ["glioma_tumor/test0.png", 0],
        ["glioma_tumor/test0.png", 0, "glioma tumor", 1],
        {"path": "glioma_tumor/test0.png", "label": 0, "classname": "glioma tumor"},
        "glioma_tumor/test0.png",
        None,
        3,
    ],
    ids=repr,
)
def test_an_entry_of_another_type_is_refused_with_file_and_entry(split, entry):
    change(split, test=[*json.loads(split.read_text())["test"], entry])
    refused(split, str(split), "test, entry 9")


def test_whole_labels_may_be_written_as_floats_and_paths_as_windows_has_them(split):
    before = load(split.parents[1], shots=2)
    found = json.loads(split.read_text())
    split.write_text(
        json.dumps({part: [[p.replace("/", "\\"), float(n), c] for p, n, c in found[part]] for part in found})
    )
    after = load(split.parents[1], shots=2)
    assert [names(part) for part in (after.train_x, after.test)] == [
        names(part) for part in (before.train_x, before.test)
    ]
    assert after.split_hash == before.split_hash


@pytest.mark.parametrize("text", ['{"train": ' + "[" * 100_000, '{"train": {}}', '{"train": "abc"}', "[]", "3"])
def test_json_that_is_no_split(split, text):
    split.write_text(text)
    refused(split, str(split))


def test_a_list_without_end_is_refused_by_its_length(split, monkeypatch):
    monkeypatch.setattr(entries, "MOST", 20)
    refused(split, str(split), "at most 20 images", "lists 52")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12) | st.text(alphabet="./\\:aC \x00", max_size=8))
def test_what_passes_lies_below_the_folder_on_every_system(text):
    try:
        path = relative_path(text, "a test")
    except UserError:
        return
    below = os.path.normpath(os.path.join("/root/of/images", path))  # noqa: PTH118
    assert below == "/root/of/images" or below.startswith("/root/of/images/")
    windows = PureWindowsPath(text)
    assert not windows.anchor and not any(part.rstrip(". ") == "" and part.startswith("..") for part in windows.parts)
    assert "\\" not in path and "\0" not in path


@pytest.mark.parametrize(
    "spelling", ["glioma_tumor/./train0.png", "glioma_tumor\\train0.png", "./glioma_tumor//train0.png"]
)
def test_an_image_for_training_and_for_test_is_found_under_any_spelling(split, spelling):
    change(split, test=[*json.loads(split.read_text())["test"], [spelling, 0, "glioma tumor"]])
    refused(split, "lists 1 for both")


# ------------------------------------------------------------------------------------------------------------ links


def link_out(root: Path, kind: str) -> Path:
    """Replace an image, or its folder, by a link out of the data folder; return the link."""
    away = root.parent / "away"
    away.mkdir()
    (away / "test0.png").write_bytes(b"of a patient")
    image = root / "glioma_tumor" / "test0.png"
    if kind == "file":
        image.unlink()
        image.symlink_to(away / "test0.png")
        return image
    if kind == "chain":
        image.unlink()
        (root / ".inner").symlink_to(away)
        image.symlink_to(Path("..") / ".inner" / "test0.png")
        return image
    for path in image.parent.iterdir():
        path.rename(away / path.name)
    image.parent.rmdir()
    image.parent.symlink_to(away)
    return image.parent


def with_links(root: Path, cls=BTMRI, links: str = "anywhere", **kwargs):
    return load(root, cls, LINKS=links, **kwargs)


@pytest.mark.parametrize("kind", ["file", "chain", "folder"])
def test_a_link_out_of_the_data_folder_is_refused_unless_it_is_asked_for(split, kind):
    link = link_out(split.parent / "BTMRI", kind)
    message = refused(split, "DATASET.LINKS anywhere")
    assert str(link.relative_to(split.parent / "BTMRI")) in message
    assert len(with_links(split.parents[1]).test) == 8
    with pytest.raises(UserError, match=r'DATASET\.LINKS to be one of inside, anywhere, but got "yes"'):
        with_links(split.parents[1], links="yes")


def test_links_within_the_data_folder_and_to_it_are_followed(split, tmp_path):
    images = split.parent / "BTMRI"
    (images / "glioma_tumor" / "test0.png").rename(images / "kept.png")
    (images / "glioma_tumor" / "test0.png").symlink_to("../kept.png")
    (tmp_path / "link").symlink_to(split.parents[1])
    assert len(load(tmp_path / "link").test) == 8


def moved_away(path: Path) -> Path:
    """Replace a file or folder by a link to it outside of the data folder; return where it is now."""
    away = path.parents[2] / f"away_{path.name}"
    path.rename(away)
    path.symlink_to(away)
    return away


@pytest.mark.parametrize("name", ["BTMRI", "split_BTMRI.json", "groups.csv"])
def test_what_a_data_set_consists_of_is_no_link_out_of_its_folder(split, name):
    images = [item[0] for part in json.loads(split.read_text()).values() for item in part]
    (split.parent / "groups.csv").write_text("path,group\n" + "".join(f"{image},{image}\n" for image in images))
    moved_away(split.parent / name)
    refused(split, f"but {name} is a link that leads out of it", "DATASET.LINKS anywhere")
    assert len(with_links(split.parents[1]).test) == 8


def test_a_draw_is_not_read_through_a_link_out_of_the_folder(split):
    load(split.parents[1], shots=2)
    moved_away(split.parent / "split_fewshot")
    refused(split, "is a link that leads out of it", shots=2)
    assert len(with_links(split.parents[1], shots=2).train_x) == 8


@pytest.mark.parametrize("name", ["labels.csv", "classes.csv", "classes.txt", "groups.csv", "prompts.json"])
def test_what_describes_ones_own_images_is_no_link_out_of_the_folder(split, name):
    """The lines of such a file would become names of classes, which stand in what is shared."""
    root, found = split.parent / "BTMRI", load(split.parents[1])
    items = [*found.train_x, *found.val, *found.test]
    paths = [Path(item.impath).relative_to(root).as_posix() for item in items]
    rows = [f"{path},{item.classname}" for path, item in zip(paths, items, strict=True)]
    (root / "labels.csv").write_text("\n".join(["image,label", *rows]))
    (root / "classes.csv").write_text("\n".join(["label,name", *(f"{one},{one}" for one in found.classnames)]))
    (root / "classes.txt").write_text("\n".join(sorted(found.classnames)))
    (root / "groups.csv").write_text("\n".join(["path,group", *(f"{path},{path}" for path in paths)]))
    (root / "prompts.json").write_text("{}")
    moved_away(root / name)
    for cls in (TableDataset, FolderDataset)[: 1 if name == "labels.csv" else 2]:
        with pytest.raises(UserError, match=rf"{name} is a link that leads out of it: .* DATASET\.LINKS anywhere"):
            load(root, cls)
        assert len(with_links(root, cls).classnames) == 4


@pytest.mark.parametrize("kind", ["file", "chain", "folder"])
def test_links_out_of_ones_own_folder_of_images(split, kind):
    root = split.parent / "BTMRI"
    link_out(root, kind)
    with pytest.raises(UserError, match=r"is a link that leads out of it: .* DATASET\.LINKS anywhere"):
        load(root, FolderDataset)
    assert len(with_links(root, FolderDataset).classnames) == 4


@pytest.mark.parametrize("kind", ["file", "chain", "folder"])
def test_links_out_of_a_tables_folder(split, kind):
    root = split.parent / "BTMRI"
    rows = [
        f"{item.classname.replace(' ', '_')}/{Path(item.impath).name},{item.classname}"
        for item in load(split.parents[1]).test
    ]
    (root / "labels.csv").write_text("image,label\n" + "\n".join(rows))
    link_out(root, kind)
    with pytest.raises(UserError, match=r"is a link that leads out of it: .* DATASET\.LINKS anywhere"):
        load(root, TableDataset)
    assert len(with_links(root, TableDataset).classnames) == 4


def test_a_link_to_a_folder_above_does_not_go_round_in_circles(split):
    root = split.parent / "BTMRI"
    (root / "glioma_tumor" / "again").symlink_to("..")
    data = load(root, FolderDataset, NESTED=True)
    assert len({Path(item.impath).resolve() for item in data.train_x + data.val + data.test}) == 52


# ---------------------------------------------------------------------------------------- other lists of the user's


@pytest.mark.parametrize(
    "value", [value for value in OUTSIDE if value and not set(value) & set("\n\ud800\x00")], ids=repr
)
@pytest.mark.parametrize("file", ["labels.csv", "groups.csv"])
def test_a_table_cannot_lead_elsewhere_either(split, file, value):
    root = split.parent / "BTMRI"
    header = {"labels.csv": "image,label", "groups.csv": "path,group"}[file]
    (root / file).write_text(f'{header}\nglioma_tumor/test0.png,a\n"{value}",b\n', encoding="utf-8")
    with pytest.raises(UserError) as error:
        load(root, {"labels.csv": TableDataset, "groups.csv": FolderDataset}[file])
    assert f"{root / file}, line 3" in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize("name", ["a\x1b[2J", "b\nc", "\u202eabc", "a\\b", "T: tumour", "x" * 201])
def test_class_folders_whose_names_are_no_names(split, name):
    (split.parent / "BTMRI" / "normal_brain").rename(split.parent / "BTMRI" / name)
    with pytest.raises(UserError) as error:
        load(split.parent / "BTMRI", FolderDataset)
    assert "\x1b" not in str(error.value) and "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------------ draws


def draw_file(split: Path) -> Path:
    load(split.parents[1], shots=2)
    return split.parent / "split_fewshot" / "shot_2-seed_1.json"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda draw: {"train": ["../../secret.png", *draw["train"][1:]]},
        lambda draw: {"train": ["glioma_tumor/test0.png", *draw["train"][1:]]},  # of the test images
        lambda draw: {"train": [draw["train"][1], *draw["train"][1:]]},
        lambda draw: {"train": draw["train"][1:]},
        lambda draw: {"train": [*draw["train"], "glioma_tumor/train5.png", "glioma_tumor/train4.png"]},
        lambda draw: {"train": ["normal_brain/train5.png", *draw["train"][1:]]},
        lambda draw: {"train": [[path] for path in draw["train"]]},
        lambda draw: {"train": None},
        lambda draw: {"train": dict.fromkeys(draw["train"])},
        lambda draw: {"val": draw["val"][1:]},
        lambda draw: {"val": draw["train"]},
    ],
)
def test_a_draw_that_is_none_is_refused_with_its_file(split, spoil):
    path = draw_file(split)
    draw = json.loads(path.read_text())
    path.write_text(json.dumps(draw | spoil(draw)))
    refused(split, str(path), "delete it to draw anew", shots=2)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"split"'])
def test_a_draw_of_another_shape(split, text):
    path = draw_file(split)
    path.write_text(text)
    refused(split, str(path), "delete it to draw anew", shots=2)


def test_a_draw_that_someone_chose_is_said_to_be_one(split, capsys):
    path = draw_file(split)
    draw = json.loads(path.read_text())
    other = next(f"glioma_tumor/train{i}.png" for i in range(6) if f"glioma_tumor/train{i}.png" not in draw["train"])
    path.write_text(json.dumps(draw | {"train": [other, *draw["train"][1:]]}))
    capsys.readouterr()
    assert names(load(split.parents[1], shots=2).train_x)[0] == other
    assert f"The images in {path} are others than seed 1 draws" in capsys.readouterr().out


@pytest.mark.parametrize("cls", [BTMRI, FolderDataset])
def test_nothing_is_written_through_a_link_in_the_data_folder(split, tmp_path, capsys, cls):
    root, folder = {BTMRI: (split.parents[1], split.parent), FolderDataset: (split.parent / "BTMRI",) * 2}[cls]
    away = tmp_path / "away"
    away.mkdir()
    (folder / "split_fewshot").symlink_to(away)
    assert len(load(root, cls, shots=2).train_x) == 8
    assert "The draw is not kept" in capsys.readouterr().out and not list(away.iterdir())
