"""Nothing that is shared names a patient, a user or a place of the machine that made it."""

import html
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import train
from clip.build import source_of
from dassl.errors import UserError
from dassl.names import shared_name
from report import compare
from report.__main__ import main
from report.collect import find_all
from report.groups import group_runs
from report.render import relative, without_places
from tests.security.received import document, files, put
from tuning import __main__ as tuning

HOME, NAME = "SENTINEL_HOME", "SENTINEL_NAME"
SHARED = (".html", ".md", ".tex", ".csv", ".svg", ".png", ".json", ".yaml", ".db")


@pytest.fixture
def home(data_root, tmp_path):
    """A user's folder with images of patients and a model; its path and the names of its images are to stay there."""
    home = tmp_path / HOME
    data = shutil.copytree(data_root, home / "data") / "BTMRI"
    for path in list((data / "BTMRI").rglob("*.png")):
        path.rename(path.with_name(f"{NAME}_{path.name}"))
    listed = json.loads((data / "split_BTMRI.json").read_text())
    for entries in listed.values():
        for entry in entries:
            entry[0] = entry[0].replace("/", f"/{NAME}_")
    (data / "split_BTMRI.json").write_text(json.dumps(listed))
    shutil.copytree(source_of("PhantomCLIP").removeprefix("local-dir:"), home / "weights")
    return home


def words_of(home: Path, *more) -> list[str]:
    line = ["--root", home / "data", "--backbone", f"local-dir:{home / 'weights'}", "--output", home / "output"]
    line += ["--shots", 2, *more, "OPTIM.MAX_EPOCH", 1, "DATALOADER.NUM_WORKERS", 0, "FEATURES.ROOT", home / "store"]
    return list(map(str, line))


def telling(folder: Path, *sentinels: str) -> list[str]:
    """Shared files whose bytes hold one of the words."""
    found = files(folder)
    kept = {path: data for path, data in found.items() if path.endswith(SHARED) or "model.pth.tar" in path}
    kept = {path: data for path, data in kept.items() if not path.endswith("config.yaml")}
    assert len(kept) > 3
    return [path for path, data in kept.items() if any(word.encode() in data for word in sentinels)]


def test_a_run_and_its_report_tell_neither_the_place_nor_the_persons(home, monkeypatch, capsys):
    monkeypatch.setenv("DATA", str(home / "data"))
    output = home / "output"
    for seed in (1, 2):
        assert train.main(words_of(home, "--trainer", "CoOp", "--dataset", "btmri", "--seed", seed)) == 0
    (first, second) = sorted(path.parent for path in output.rglob("metrics.json"))
    killed = first.with_name("seed3")
    killed.mkdir()
    (killed / "log.txt").write_text(f"  ROOT: {home}\nepoch [1/2] batch\n")
    put(output / "strange" / "seed1", 3)
    (output / "link").symlink_to(home)

    assert main([str(output)]) == 0
    line = ["--output", str(output), "--dataset", "btmri", "--shots", "2", "--methods", "coop"]
    assert compare.main([*line, "--backbone", f"local-dir:{home / 'weights'}", "OPTIM.MAX_EPOCH", "1"]) == 0
    printed = capsys.readouterr().out
    assert f"DATA={home / 'data'}" in printed and f"OUTPUT={output}" in printed  # on one's own terminal, to be pasted

    assert telling(output, HOME) == []
    assert set(telling(output, NAME)) == {f"{run.relative_to(output)}/predictions.csv" for run in (first, second)}
    page = (output / "report" / "index.html").read_text()
    assert "local-dir:weights on real images" in page and "Report of 3 runs" in page
    assert "DATA='<folder>'" in html.unescape(page) and "OUTPUT='<output>'" in html.unescape(page)
    assert "strange/seed1/metrics.json" in page and "link is a symbolic link" in page
    for path in output.rglob("*.png"):
        with Image.open(path) as picture:
            assert set(picture.info) <= {"dpi", "Software"}

    assert main([str(output), "--with-paths"]) == 0
    page = (output / "report" / "index.html").read_text()
    assert f"<h1>Runs in {output}</h1>" in page and f"DATA={home / 'data'}" in page and f"{output}/strange" in page


def test_what_is_recorded_of_a_backbone_in_a_folder(home):
    assert train.main(words_of(home, "--trainer", "CoOp", "--dataset", "btmri", "--seed", 1)) == 0
    (path,) = (home / "output").rglob("metrics.json")
    record = json.loads(path.read_text())
    assert record["backbone"] == "local-dir:weights" and record["phantom_backbone"] is True
    assert record["hashes"]["backbone"] and record["hashes"]["backbone_files"]
    (checkpoint,) = path.parent.rglob("model.pth.tar-*")
    assert torch.load(checkpoint, weights_only=True)["backbone"] == "local-dir:weights"
    lines = (path.parent / "predictions.csv").read_text().splitlines()
    assert lines[1].startswith(f"glioma_tumor/{NAME}_test0.png,glioma tumor,")


@pytest.mark.slow
def test_a_study_and_what_it_chose_tell_no_place(home):
    line = ["--trainer", "vMFCoOp", "--datasets", "btmri", "--trials", 1, "--seeds", 101]
    words = [str(word) for word in line] + words_of(home)
    assert tuning.main(words) == 0
    found = files(home / "output")
    assert {Path(path).suffix for path in found} >= {".yaml", ".json", ".csv", ".db"}
    assert [path for path, data in found.items() if HOME.encode() in data or NAME.encode() in data] == []
    assert tuning.main(words) == 0  # and it is still known for the same study


def rewritten(folder: Path, name: object) -> None:
    """Have the checkpoint of a run say that it was learned with `name`."""
    (path,) = folder.rglob("model.pth.tar-*")
    torch.save(torch.load(path, weights_only=True) | {"backbone": name}, path)


def test_a_checkpoint_that_names_the_folder_in_full_is_still_tested(home, build):
    def trainer():
        return build("CoOp", backbone=f"local-dir:{home / 'weights'}", output=home / "output")

    first = trainer()
    first.train()
    rewritten(Path(first.output_dir), f"local-dir:{home / 'weights'}")
    second = trainer()
    second.load_model(first.output_dir)
    for name, words in (("local-dir:/a/other", "local-dir:other"), ("a\x1b[2J", "name of a backbone")):
        rewritten(Path(first.output_dir), name)
        with pytest.raises(UserError, match=words) as caught:
            second.load_model(first.output_dir)
        assert "/a/other" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_another_model_in_a_folder_of_the_same_name_is_not_taken_for_the_first(home, build):
    first = build("CoOp", backbone=f"local-dir:{home / 'weights'}", output=home / "output")
    first.train()
    other = shutil.copytree(home / "weights", home / "other" / "weights")
    path = other / "open_clip_config.json"
    path.write_text(path.read_text() + "\n")
    second = build("CoOp", backbone=f"local-dir:{other}", output=home / "output")
    with pytest.raises(UserError, match="other files of the backbone"):
        second.load_model(first.output_dir)


def test_two_models_whose_folders_have_one_name_are_never_averaged(tmp_path):
    for user in ("alice", "bob"):
        for seed in (1, 2):
            folder = tmp_path / "btmri" / "shots_16" / f"CoOp_local-dir--home-{user}-model" / "nctx4_cscFalse_ctpend"
            put(folder / f"seed{seed}", document(trainer="CoOp", backbone="local-dir:model", seed=seed))
        (folder / "seed3").mkdir()
    groups = group_runs(find_all(tmp_path))
    assert [(group.backbone, len(group.runs)) for group in groups] == [("local-dir:model", 3)] * 2
    assert main([str(tmp_path)]) == 0
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["index.html", "local-dir-model", "local-dir-model-2"]


def test_a_record_of_an_earlier_version_that_names_the_folder_is_shown_without(tmp_path):
    put(tmp_path / "x" / "seed1", document(backbone=f"local-dir:/{HOME}/{'long/' * 40}model"))
    assert main([str(tmp_path)]) == 0
    assert "local-dir:model on real images" in (tmp_path / "report" / "index.html").read_text()
    assert [path for path, data in files(tmp_path / "report").items() if HOME.encode() in data] == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("local-dir:/home/alice/model", "local-dir:model"),
        ("local-dir:/home/alice/model/", "local-dir:model"),
        ("local-dir:~/model", "local-dir:model"),
        ("local-dir:../alice/model", "local-dir:model"),
        (r"local-dir:C:\Users\alice\model", "local-dir:model"),
        ("local-dir:model", "local-dir:model"),
        ("local-dir:/", "local-dir:"),
        ("hf-hub:org/model", "hf-hub:org/model"),
        ("BiomedCLIP", "BiomedCLIP"),
    ],
)
def test_shared_names(name, shown):
    assert shared_name(name) == shared_name(shown) == shown


@pytest.mark.parametrize(
    ("text", "output", "shown"),
    [
        ("/home/a/out/x/seed1 is it.", "/home/a/out", "x/seed1 is it."),
        ("see /home/a/out/x, /home/a/out/y", "/home/a/out", "see x, y"),
        ("/home/a/out holds more", "/home/a/out/", "<output> holds more"),
        ("/home/a/output/x", "/home/a/out", "/home/a/output/x"),
        ("foo/bar o/x", "o", "foo/bar x"),
        ("btmri/seed1. It", ".", "btmri/seed1. It"),
        ("/o/b/CoOp_local-dir--home-alice-x/n/seed1 is it.", "/o", "b/CoOp_local-dir-<folder>/n/seed1 is it."),
    ],
)
def test_paths_relative_to_the_folder_of_runs(text, output, shown):
    assert relative(text, output) == shown


def test_words_of_a_command_line_without_places():
    words = [
        "--output",
        "/home/alice/out",
        "--to=/home/alice/x y",
        "OPTIM.LR",
        "0.1",
        "build/results",
        "~/a/b",
        "hf:a/b",
    ]
    shown = [
        "--output",
        "<folder>/out",
        "--to=<folder>/x y",
        "OPTIM.LR",
        "0.1",
        "build/results",
        "<folder>/b",
        "hf:a/b",
    ]
    assert without_places(words) == shown
