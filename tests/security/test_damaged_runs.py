"""One bad run of a folder that someone else made is one line of the report, and the others are reported."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import pytest

import parse_test_res
from report import base2new, compare
from report.__main__ import main
from report.collect import find_all, read_run
from report.logs import parse_log
from tests.security.received import bounded, document, files, put, run


def record(**more):
    return lambda folder: (folder / "metrics.json").write_text(json.dumps(document(**{"seed": 7} | more)))


def text(name: str, content: str, log: bool = False):
    """Damage that writes a file; with `log` there is no metrics.json."""

    def write(folder: Path) -> None:
        if log:
            (folder / "metrics.json").unlink()
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(content)

    return write


def other(name: str, make, log: bool = False):
    """Damage that puts something else than a file at a place."""

    def put(folder: Path) -> None:
        if log:
            (folder / "metrics.json").unlink()
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return put


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024 * 1024)  # sparse


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_seed1(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.with_name("seed1"))


def link_to_root(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("/")


def link_of_json(path: Path) -> None:
    path.symlink_to(path.parent.with_name("seed1") / path.name)


def link_of_settings(path: Path) -> None:
    put_beside(path, "TRAINER: {VMFCOOP: {SCE: true, LAMBDA_ANC: 1.0, LAMBDA_SC: 1.0}}")


def link_of_log(path: Path) -> None:
    put_beside(path, f"{END}* accuracy: 99.0%\n")


def put_beside(path: Path, content: str) -> None:
    """A link to a file that would do."""
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text(content)
    path.symlink_to(elsewhere)


END = "Finish training\n=> result\n"
DAMAGE = {
    "metrics: pipe": other("metrics.json", os.mkfifo),
    "metrics: folder": other("metrics.json", Path.mkdir),
    "metrics: link": other("metrics.json", link_of_json),
    "metrics: zeros": other("metrics.json", zeros),
    "metrics: large": other("metrics.json", large),
    "metrics: empty": text("metrics.json", ""),
    "metrics: deep": text("metrics.json", "[" * 100_000),
    "metrics: deep value": text("metrics.json", '{"metrics": {"a": ' + '{"b": ' * 500 + "1" + "}" * 502),
    "metrics: digits": text("metrics.json", '{"metrics": {"accuracy": ' + "1" * 100_000 + "}}"),
    "metrics: bytes": other("metrics.json", lambda path: path.write_bytes(b"\xff\xfe\x00\x01{")),
    "metrics: a list": text("metrics.json", "[1]"),
    "accuracy: 400 digits": record(metrics={"accuracy": 10**400}),
    "accuracy: 1e300": record(metrics={"accuracy": 1e300}),
    "accuracy: text": record(metrics={"accuracy": "<b>"}),
    "accuracy: true": record(metrics={"accuracy": True}),
    "accuracy: list": record(metrics={"accuracy": [1]}),
    "metrics: number": record(metrics=3),
    "metric: name": record(metrics={"a\x1b[2J": 1.0}),
    "class: name": record(metrics={"accuracy": 1.0, "per_class": {"a\nb": 1.0}}),
    "class: long": record(metrics={"accuracy": 1.0, "per_class": {"W" * 300: 1.0}}),
    "trainer: list": record(trainer=["a"]),
    "trainer: line break": record(trainer="CoOp\n"),
    "trainer: empty": record(trainer=""),
    "backbone: number": record(backbone=3),
    "backbone: names": record(backbone={"a": 1}),
    "dataset: 300 letters": record(dataset="W" * 300),
    "dataset: turned": record(dataset="\u202etxt"),
    "shots: text": record(shots="16"),
    "shots: many": record(shots=10**30),
    "shots: half": record(shots=0.5),
    "seed: list": record(seed=[1]),
    "subsample: other": record(subsample="../x"),
    "phantom: text": record(phantom="no"),
    "hashes: list": record(hashes=[1]),
    "hashes: lists": record(hashes={"test": [1]}),
    "prompts: list": record(prompts=["gpt4"]),
    "prompts: text": record(prompts="gpt4"),
    "prompts: a list of models": record(prompts={"llm": "gpt4", "model": ["a"]}),
    "prompts: 300 letters": record(prompts={"llm": "W" * 300}),
    "prompts: turned": record(prompts={"model": "\u202etxt"}),
    "prompts: long": record(prompts={"instruction": "W" * 2001}),
    "gap: list": record(gap=[1]),
    "gap: text": record(gap={"common": "1"}),
    "gap: 1e300": record(gap={"images": 1e300}),
    "gap: true": record(gap={"largest_share": True}),
    "gap: list of classes": record(gap={"predicted": ["a"]}),
    "gap: turned": record(gap={"largest": "\u202etxt"}),
    "commit: words": record(commit="\x1b[2J"),
    "commit: list": record(commit=["9af3e4d"]),
    "device: text": record(device="cpu"),
    "device: turned": record(device={"name": "\u202etxt"}),
    "versions: deep": record(versions={"python": {"a": 1}}),
    "seconds: text": record(seconds={"train": "x"}),
    "seconds: number": record(seconds=3),
    "config: pipe": other("config.yaml", os.mkfifo),
    "config: zeros": other("config.yaml", zeros),
    "config: link": other("config.yaml", link_of_settings),
    "config: folder": other("config.yaml", Path.mkdir),
    "config: large": other("config.yaml", large),
    "config: deep": text("config.yaml", "[" * 100_000),
    "config: aliases": text(
        "config.yaml", "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1},' * 9}]\n" for i in range(1, 30))
    ),
    "config: long": text("config.yaml", f"TRAINER: [{'1,' * 400_000}]"),
    "config: object": text("config.yaml", "!!python/object/apply:os.system ['touch PWNED']"),
    "log: pipe": other("log.txt", os.mkfifo, log=True),
    "log: zeros": other("log.txt", zeros, log=True),
    "log: link": other("log.txt", link_of_log, log=True),
    "log: folder": other("log.txt", Path.mkdir, log=True),
    "log: large": other("log.txt", large, log=True),
    "log: digits": text("log.txt", f"{END}* accuracy: {'1' * 100_000}", log=True),
    "log: digits and a point": text("log.txt", f"{END}* accuracy: {'1' * 100_000}.{'1' * 100_000}", log=True),
    "log: spaces": text("log.txt", f"{' ' * 200_000}ROOT:{' ' * 200_000}x", log=True),
    "log: stars": text("log.txt", f"{END}{'* ' * 100_000}", log=True),
    "log: letters": text("log.txt", f"{END}{'* a' * 50_000}{'a' * 100_000}", log=True),
    "log: other metric": text("log.txt", f"{END}* accuracy: 1e400%\n", log=True),
    "folder: link to a run": link_to_seed1,
    "folder: link to /": link_to_root,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_bad_run_is_named_and_the_others_are_reported(output, kind, undrawn, capsys, monkeypatch):
    monkeypatch.chdir(output)
    before = files(Path(output))
    damaged = run(output, 7)
    DAMAGE[kind](damaged)
    with bounded():
        assert main([str(output)]) == 0
    page = (output / "report" / "index.html").read_text(encoding="utf-8")
    assert "nctx4_cscFalse_ctpend/seed7" in page.partition("Unfinished runs, not counted")[2]
    assert "seed7" in capsys.readouterr().out
    (row,) = [
        row
        for row in csv.DictReader((output / "report" / "BiomedCLIP" / "table1_btmri.csv").open())
        if row["method"] == "vMFCoOp"
    ]
    assert row["K = 16"] == "50.00 ± 0.00 (2/3 seeds)"
    assert not list(output.rglob("PWNED"))
    assert before.items() <= files(output).items()


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if not kind.startswith("config")])
def test_the_other_commands_go_on_as_well(output, kind, undrawn, capsys):
    DAMAGE[kind](run(output, 7))
    experiment = output / "btmri" / "shots_16" / "vMFCoOp_BiomedCLIP" / "nctx4_cscFalse_ctpend"
    line = ["--output", str(output), "--dataset", "btmri", "--shots", "16", "--backbone", "BiomedCLIP"]
    with bounded():
        assert parse_test_res.main([str(experiment)]) == 0
        assert compare.main([*line, "--methods", "vmfcoop", "--png", str(output / "x.png")]) == 0
    printed = capsys.readouterr()
    assert "* accuracy: 50.00% +- 0.00%" in printed.out
    assert "seed7" in printed.err and "seed7" in printed.out


def test_a_bad_run_that_no_table_has_a_place_for_is_named_too(output, undrawn):
    for i, more in enumerate(({"trainer": 3}, {"dataset": "W" * 300}, {})):
        put(output / f"strange{i}" / "seed1", document(**more) if more else 3)
    (output / "elsewhere").symlink_to("/")
    Path(os.fsdecode(b"%s/d\xff/shots_16/CoOp_X/nctx4_cscFalse_ctpend/seed1" % os.fsencode(output))).mkdir(parents=True)
    with bounded():
        assert main([str(output)]) == 0
    page = (output / "report" / "index.html").read_text(encoding="utf-8")
    for name in (
        "strange0/seed1",
        "strange1/seed1",
        "strange2/seed1",
        "elsewhere is a symbolic link",
        r"d\udcff/shots",
    ):
        assert name in page


def test_base_to_novel_goes_on_as_well(tmp_path, capsys):
    output = tmp_path / "output"
    for part, subsample in (("train_base", "base"), ("test_new", "new")):
        for seed in (1, 7):
            folder = run(output / "base2new" / part, seed, subsample=subsample)
        DAMAGE["metrics: pipe"](folder)
    line = ["--dataset", "btmri", "--shots", "16", "--backbone", "BiomedCLIP", "--trainer", "vMFCoOp"]
    with bounded():
        assert base2new.main(["--output", str(output), *line]) == 0
    out, err = capsys.readouterr()
    assert "HM of the averages: 50.00" in out and err.count("it is a named pipe") == 2


def test_a_tree_without_end_is_left_where_it_is_too_large(output, monkeypatch, undrawn, capsys):
    output.joinpath("deep", *["d"] * 40).mkdir(parents=True)
    assert main([str(output)]) == 0
    assert re.search(r"deep(/d)+ cannot be looked into: too deep", capsys.readouterr().err)
    for i in range(50):
        (output / "wide" / f"seed{i}").mkdir(parents=True)
    monkeypatch.setattr("report.collect.MOST", 20)
    assert any("holds more files and folders than are looked at" in run.problem for run in find_all(output))


def test_many_folders_that_cannot_be_read_are_counted_and_not_all_listed(output, undrawn, capsys):
    for i in range(60):
        put(output / "strange" / f"seed{i}", 3)
    assert main([str(output)]) == 0
    err = capsys.readouterr().err
    assert err.count("strange/seed") == 50 and "10 more folders could not be read." in err


def test_a_table_of_everything_by_everything_is_refused(output, undrawn, capsys):
    for i in range(30):
        put(output / f"x{i}" / f"seed{i}", document(dataset=f"d{i}", trainer=f"t{i}", shots=i + 1, seed=i))
    with bounded():
        assert main([str(output)]) == 1
    assert re.search(r"would span 31 methods, 31 data sets, 30 numbers of shots and 3\d seeds", capsys.readouterr().err)


def test_a_log_longer_than_what_is_read_is_still_known_for_one_of_phantoms(tmp_path):
    folder = tmp_path / "btmri" / "shots_16" / "CoOp_BiomedCLIP" / "nctx4_cscFalse_ctpend" / "seed1"
    folder.mkdir(parents=True)
    middle = "batch [1/2] loss 1.0\n" * 200_000
    (folder / "log.txt").write_text(f"*** PHANTOMS: x\n{middle}{END}* accuracy: 61.5%\n")
    found = read_run(folder)
    assert found.phantom_images and found.metrics == {"accuracy": 61.5}


@pytest.mark.parametrize("text", ["1" * 200_000, "1" * 100_000 + ".", "1." + "1" * 100_000, "1e" + "1" * 100_000])
def test_the_time_to_read_a_number_grows_with_its_length_alone(text):
    with bounded(20):
        assert parse_log(f"{END}* accuracy: {text}\n") == parse_log(f"{END}* accuracy: {text} x\n") == {}
