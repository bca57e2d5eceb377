"""A report writes below its folder alone: links and files that lie in its way lead nowhere."""

import re
import shutil
from pathlib import Path

import pytest

from report import compare
from report.__main__ import main


@pytest.fixture
def precious(tmp_path):
    path = tmp_path / "home" / "precious"
    path.parent.mkdir()
    path.write_text("mine")
    return path


def test_links_in_place_of_its_files_lead_nowhere(output, tmp_path, precious):
    received = shutil.copytree(output, tmp_path / "received")
    assert main([str(output)]) == 0
    names = [path.relative_to(output) for path in (output / "report").rglob("*") if path.is_file()]
    assert {path.suffix for path in names} == {".html", ".csv", ".md", ".tex", ".png", ".svg"}
    for name in names:
        for path in (received / name, received / f"{name}.part", received / f"{name}.tmp"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(precious)
    assert main([str(received)]) == 0
    assert precious.read_text() == "mine"
    for name in names:
        assert (received / name).is_file() and not (received / name).is_symlink()


@pytest.mark.parametrize("folder", ["report", "report/BiomedCLIP"])
def test_a_link_among_its_folders_is_refused(output, folder, precious, capsys):
    (output / folder).parent.mkdir(exist_ok=True)
    (output / folder).symlink_to(precious.parent)
    assert main([str(output)]) == 1
    assert "is a link to elsewhere" in capsys.readouterr().err
    assert [path.name for path in precious.parent.iterdir()] == ["precious"]


def test_a_link_on_the_way_to_a_folder_below_the_runs_is_refused_where_it_is_named_too(output, precious, capsys):
    (output / "sub").symlink_to(precious.parent)
    assert main([str(output), "--to", str(output / "sub" / "mine")]) == 1
    assert "is a link to elsewhere" in capsys.readouterr().err
    assert [path.name for path in precious.parent.iterdir()] == ["precious"]


def test_ones_own_link_to_the_folder_that_is_asked_for_is_followed(output, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "mine").symlink_to(tmp_path / "real")
    assert main([str(output), "--to", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "real" / "index.html").is_file()


@pytest.mark.parametrize(
    ("place", "kind"), [("report", "file"), ("report/BiomedCLIP", "file"), ("report/index.html", "folder")]
)
def test_what_lies_in_the_way_is_one_sentence(output, place, kind, capsys, undrawn):
    path = output / place
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if kind == "folder" else path.write_text("")
    assert main([str(output)]) == 1
    assert capsys.readouterr().err.startswith("error: Expected to write ")


def test_the_picture_of_a_comparison_replaces_a_link(output, precious):
    picture = output / "btmri" / "shots_16" / "comparison_BiomedCLIP.png"
    picture.symlink_to(precious)
    line = ["--output", str(output), "--dataset", "btmri", "--shots", "16", "--backbone", "BiomedCLIP"]
    assert compare.main([*line, "--methods", "vmfcoop"]) == 0
    assert precious.read_text() == "mine" and not picture.is_symlink()


def test_a_comparison_of_a_data_set_called_like_a_path_stays_below_its_folder(output, tmp_path):
    line = ["--output", str(output), "--shots", "16", "--backbone", "BiomedCLIP", "--methods", "vmfcoop"]
    before = {str(path) for path in tmp_path.rglob("*")}
    assert compare.main([*line, "--dataset", "x/../../../../home/pwn"]) == 1
    assert {str(path) for path in tmp_path.rglob("*")} == before


def test_the_writer_is_the_only_one():
    root = Path(__file__).parents[2]
    for path in [*(root / "report").glob("*.py"), *(root / "tuning").glob("*.py"), root / "parse_test_res.py"]:
        text = path.read_text().replace('Path(os.devnull).open("w")', "")
        found = re.findall(r"write_text|write_bytes|\.mkdir\(|open\([^)]*[\"']w|savefig\(\w*path", text)
        assert not found, path
