"""Which pictures a command means: files, folders, tables."""

from pathlib import Path

import pytest
from PIL import Image

from dassl.errors import UserError
from runs.pictures import Picture, find_pictures


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("b.png", "a.jpg", "deep/c.png", "mask/b.png", "deep/mask/c.png", "masked/d.png"):
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (9, 9, len(name))).save(path)
    (tmp_path / "scans" / "notes.txt").write_text("not a picture")
    return tmp_path / "scans"


def found(*words) -> list[Picture]:
    return find_pictures([str(word) for word in words])[0]


def test_a_folder_stands_for_the_pictures_below_it_without_masks(folder):
    pictures, lines = find_pictures([str(folder)])
    names = ["a.jpg", "b.png", "deep/c.png", "masked/d.png"]
    assert pictures == [Picture(str(folder / name), str(folder / name)) for name in names]
    assert lines == [f'Left out in {folder}: 2 folders of masks ("mask"); 1 .txt files']
    (folder / "a.jpg").unlink()
    (folder / "b.png").unlink()
    assert [each.path for each in found(folder)][-2:] == [str(folder / name) for name in ("mask/b.png", "masked/d.png")]
    assert found(folder / "mask") == [Picture(str(folder / "mask" / "b.png"), str(folder / "mask" / "b.png"))]


def test_words_keep_their_order_and_a_file_that_is_not_there_is_a_picture_too(folder):
    pictures = found(folder / "b.png", "gone.png", folder / "deep")
    assert [each.path for each in pictures] == [str(folder / "b.png"), "gone.png", str(folder / "deep" / "c.png")]


def test_a_folder_without_pictures_is_a_line(tmp_path):
    (tmp_path / "empty").mkdir()
    assert find_pictures([str(tmp_path / "empty")]) == ([], [f"No pictures in {tmp_path / 'empty'}"])


@pytest.mark.parametrize(("name", "mark"), [("list.csv", ","), ("list.TSV", "\t"), ("list.csv", ";")])
def test_a_table_lists_paths_relative_to_its_folder(folder, name, mark):
    rows = [("dx", "image"), ("x", "b.png"), ("y", "./deep/c.png"), ("z", "d"), ("z", "gone.png"), ("z", "../b.png")]
    (folder / name).write_text("\n".join(mark.join(row) for row in rows))
    good, *_ = parts = found(folder / name)
    assert good == Picture("b.png", str(folder / "b.png")) and parts[1].path == str(folder / "deep/c.png")
    assert parts[2] == Picture("d", str(folder / "masked/d.png"))
    assert parts[3].path == parts[4].path == ""
    assert f'{folder / name}, line 5 names none ("gone.png")' in parts[3].error and 'by ".."' in parts[4].error


def test_a_table_that_is_none_is_one_sentence(folder, tmp_path):
    (folder / "list.csv").write_text("name,dx\nx,y\n")
    with pytest.raises(UserError, match=r'with the pictures in .*list\.csv, called path, .* columns are "name", "dx"'):
        found(folder / "list.csv")
    with pytest.raises(UserError, match=r"Expected a table at .*none\.csv"):
        found(tmp_path / "none.csv")


def test_a_link_that_leads_out_of_a_folder_is_refused(folder, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "private.png")
    (folder / "link.png").symlink_to(tmp_path / "private.png")
    with pytest.raises(UserError, match=r"link\.png is a link that leads out of it"):
        found(folder)
    (folder / "list.csv").write_text("path\nlink.png\n")
    assert "leads out of it" in found(folder / "list.csv")[0].error
    asked, _ = find_pictures([str(folder), str(folder / "list.csv")], links="anywhere")
    assert [each.path for each in asked].count(str(folder / "link.png")) == 2
