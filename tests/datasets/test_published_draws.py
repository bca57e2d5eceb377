"""Draws that are published: names and digests in one file, and taken from one on another machine."""

import json
import shutil

import pytest

from datasets.draws.__main__ import main
from datasets.load import load_dataset


@pytest.fixture
def root(data_root, tmp_path):
    """A folder of data sets, of which the test may change all."""
    return shutil.copytree(data_root, tmp_path / "here", ignore=shutil.ignore_patterns("split_fewshot"))


def published(root, tmp_path, *words, shots=2, seeds=(1, 2)) -> dict:
    path = tmp_path / "draws.json"
    line = ["btmri", "--root", root, "--shots", shots, "--seeds", *seeds, "--out", path, *words]
    assert main(list(map(str, line))) == 0
    return json.loads(path.read_text())


def taken(root, tmp_path, document: dict, *words) -> int:
    (tmp_path / "theirs.json").write_text(json.dumps(document))
    return main(["btmri", "--root", str(root), "--from", str(tmp_path / "theirs.json"), *words])


def names(root, seed, part="train", **settings) -> list[str]:
    data = load_dataset("btmri", root, shots=2, seed=seed, **settings)
    return [path.removeprefix(f"{data.images}/") for path in data.paths(part)]


def test_a_file_has_what_runs_draw_and_no_place(root, tmp_path, capsys):
    found = published(root, tmp_path)
    data = load_dataset("btmri", root, shots=2, seed=2)
    assert {key: found[key] for key in ("dataset", "phantom", "split", "draws", "shots")} == {
        "dataset": "btmri",
        "phantom": False,
        "split": data.split_hash,
        "draws": "nested",
        "shots": 2,
    }
    assert list(found["seeds"]) == ["1", "2"]
    for part in ("train", "val"):
        classes = found["seeds"]["2"][part]
        assert list(classes) == data.classnames
        assert [image for some in classes.values() for image, _ in some] == names(root, 2, part)
    assert str(tmp_path) not in json.dumps(found)
    assert "It holds the names of image files" in capsys.readouterr().out


def test_nothing_is_written_beside_the_images(root, tmp_path):
    published(root, tmp_path)
    assert not (root / "BTMRI" / "split_fewshot").exists()
    assert taken(root, tmp_path, published(root, tmp_path)) == 0
    assert not (root / "BTMRI" / "split_fewshot").exists()


def test_draws_of_biomedcoop(root, tmp_path):
    found = published(root, tmp_path, "DATASET.DRAWS", "biomedcoop")
    assert found["draws"] == "biomedcoop"
    listed = [image for some in found["seeds"]["1"]["train"].values() for image, _ in some]
    assert listed == names(root, 1, draws="biomedcoop") != names(root, 1)


def swapped(found: dict) -> dict:
    """The draw of seed 1 for seed 2."""
    return found | {"seeds": {"2": found["seeds"]["1"]}}


@pytest.mark.parametrize("words", [(), ("DATASET.DRAWS", "biomedcoop")])
def test_a_run_uses_the_draw_that_was_taken(root, tmp_path, capsys, words):
    settings = {"draws": words[1]} if words else {}
    before = names(root, 1, **settings)
    shutil.rmtree(root / "BTMRI" / "split_fewshot")
    document = swapped(published(root, tmp_path, *words))
    assert taken(root, tmp_path, document, *words) == 0
    assert "seed 2: other images than are drawn here; runs use them from now on: " in capsys.readouterr().out
    assert names(root, 2, **settings) == before
    assert taken(root, tmp_path, document, *words) == 0
    assert "seed 2: the images that are drawn here too" in capsys.readouterr().out


def test_a_split_with_an_entry_twice(root, tmp_path):
    path = root / "BTMRI" / "split_BTMRI.json"
    split = json.loads(path.read_text())
    split["train"].append(split["train"][0])
    path.write_text(json.dumps(split))
    before = names(root, 1)
    shutil.rmtree(root / "BTMRI" / "split_fewshot")
    assert taken(root, tmp_path, swapped(published(root, tmp_path))) == 0
    assert names(root, 2) == before


def change(found: dict, what: str):
    """A published file with something wrong."""
    train = found["seeds"]["2"]["train"]
    first = next(iter(train.values()))
    if what == "another split":
        found["split"] = "0" * 16
    elif what == "another rule":
        found["draws"] = "biomedcoop"
    elif what == "no list":
        found["seeds"]["2"]["train"] = 3
    elif what == "too few":
        first.pop()
    elif what == "another class":
        train["tumor"] = train.pop("glioma tumor")
    elif what == "a test image":
        first[0][0] = "glioma_tumor/test0.png"
    elif what == "a place":
        first[0][0] = "/etc/passwd"
    elif what == "upwards":
        first[0][0] = "../../x.png"
    elif what == "another content":
        first[0][1] = "0" * 16
    elif what == "twice":
        first[1] = first[0]
    return found


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("another split", 'Expected draws of split "'),
        ("another rule", 'Expected draws of draws "nested"'),
        ("no list", "Expected draws that python -m datasets.draws wrote in"),
        ("too few", "is it of this data set?"),
        ("another class", "is it of this data set?"),
        ("a test image", "but glioma_tumor/test0.png is none: take the same split."),
        ("a place", "is absolute: correct it."),
        ("upwards", 'leads out of the folder by "..": correct it.'),
        ("another content", "but 1 of 8 have another content here, the first is glioma_tumor/"),
        ("twice", "is there twice: remove it."),
    ],
)
def test_what_is_no_draw_of_the_images_here_is_refused_and_nothing_is_written(root, tmp_path, capsys, what, words):
    assert taken(root, tmp_path, change(swapped(published(root, tmp_path)), what)) == 1
    assert words in capsys.readouterr().err
    assert not (root / "BTMRI" / "split_fewshot").exists()


def test_another_draw_that_is_kept_here_is_not_written_over(root, tmp_path, capsys):
    before = names(root, 2)
    assert taken(root, tmp_path, swapped(published(root, tmp_path))) == 1
    assert "Expected no other draw in" in capsys.readouterr().err
    assert names(root, 2) == before
