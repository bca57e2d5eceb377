"""The report of a folder that someone else made: nothing of it is obeyed, and one bad run is one line."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

import parse_test_res
from dassl import sheet, writing
from dassl.console import IN_NAME, printable
from dassl.names import file_name
from report import base2new, compare, plots, rank_plot
from report.__main__ import main
from report.collect import find_all, parse_log, read_run
from report.commands import fill_command
from report.escaping import latex_comment, markdown
from report.page import POLICY
from report.tables import FORMATS, file_names, render
from runs.layout import data_name, seeds_folder
from runs.methods import METHODS
from tests.security.received import (
    HOSTILE,
    UNSEEN,
    Tags,
    bounded,
    document,
    files,
    put,
    run,
)

NAMES = st.text(min_size=1, max_size=100) | st.sampled_from([*HOSTILE, *UNSEEN])


@pytest.fixture
def output(tmp_path):
    """A folder with two good runs."""
    for seed in (1, 2):
        run(tmp_path / "output", seed)
    return tmp_path / "output"


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures are empty, which takes no time."""

    def save(figure, axes, path, title, svg, within):
        with writing.atomic_write(path.with_suffix(".svg"), within=within) as file:
            file.write("<svg/>")

    monkeypatch.setattr(plots, "save", save)
    monkeypatch.setattr(rank_plot, "save", save)


# -------------------------------------------------------------------------------------------------- a bad run is a line


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
    monkeypatch.setattr("report.tree.MOST", 20)
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
    assert found.rendered and found.metrics == {"accuracy": 61.5}


@pytest.mark.parametrize("text", ["1" * 200_000, "1" * 100_000 + ".", "1." + "1" * 100_000, "1e" + "1" * 100_000])
def test_the_time_to_read_a_number_grows_with_its_length_alone(text):
    with bounded(20):
        assert parse_log(f"{END}* accuracy: {text}\n") == parse_log(f"{END}* accuracy: {text} x\n") == {}


# ------------------------------------------------------------------------------------------- names are names, not paths


def outside(folder: Path, known: set[str], to: Path) -> list[Path]:
    """Files and folders that are neither known nor below `to`."""
    return [path for path in folder.rglob("*") if str(path) not in known and to not in [path, *path.parents]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.fixed_dictionaries(dict.fromkeys(["dataset", "trainer", "backbone", "metric", "class"], NAMES)))
@example(names=dict.fromkeys(["dataset", "trainer", "backbone", "metric", "class"], "x/../../../../home/pwn"))
@example(names={"dataset": "a/b", "trainer": "$(id)", "backbone": "index.html", "metric": "=1+1", "class": "a"})
def test_whatever_names_runs_bear_the_report_is_written_below_its_folder(names, undrawn, monkeypatch):
    replaced, real = [], os.replace
    monkeypatch.setattr(os, "replace", lambda source, to: (replaced.append(Path(to)), real(source, to)))
    with tempfile.TemporaryDirectory() as place:
        output = Path(place, "a", "b", "output")
        metrics = {"accuracy": 50.0, names["metric"]: 50.0, "per_class": {names["class"]: 1.0}}
        about = {key: names[key] for key in ("dataset", "trainer", "backbone")}
        run(output)
        for i, more in enumerate([about, about | {"dataset": "btmri"}, about | {"backbone": "BiomedCLIP"}]):
            put(output / f"x{i}" / "seed1", document(metrics=metrics, shots=i + 1, **more))
        known = {str(path) for path in Path(place).rglob("*")}
        assert main([str(output), "--keyword", "accuracy"]) == 0
        assert outside(Path(place), known, output / "report") == []
        written = [path.resolve() for path in replaced if path.suffix != ".tmp"]
        assert written and all((output / "report").resolve() in path.parents for path in written)
        read_back(output / "report")


ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "span", "nav", "ul", "li", "a"}
ALLOWED |= {"section", "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "img", "figcaption", "dl", "dt"}
ALLOWED |= {"dd", "code"}


def read_back(folder: Path) -> None:
    """Read every file of a report as a program that shows it would."""
    page = Tags((folder / "index.html").read_text(encoding="utf-8"))
    assert page.tags <= ALLOWED
    assert not any(name.startswith("on") for name in page.attributes)
    assert all(value.startswith(("#runs-", "data:image/svg+xml;base64,")) for value in page.fetched)
    for path in folder.rglob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            check_csv(list(csv.reader(file)))
    for path in folder.rglob("*.md"):
        check_markdown(path.read_text(encoding="utf-8"))
    for path in folder.rglob("*.tex"):
        check_latex(path.read_text(encoding="utf-8"))


def check_csv(rows: list[list[str]]) -> None:
    assert len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row):
        assert cell[:1] not in tuple("=@\t\r") and (cell[:1] not in ("+", "-") or is_number(cell))


def is_number(cell: str) -> bool:
    try:
        return cell == "-" or all(isinstance(float(part), float) for part in cell.split(" ± "))
    except ValueError:
        return False


def check_markdown(text: str) -> None:
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        for child in [token, *(token.children or [])]:
            kinds = ("html", "link", "image", "code", "fence", "em", "strong", "list", "break")
            assert not child.type.startswith(kinds), (child.type, text)


def check_latex(text: str) -> None:
    title, note, *body = text.split("\n")
    assert title.startswith("% ") and note.startswith("% ") and body[0].startswith(r"\begin{tabular}")
    bare = re.sub(r"\\(textbackslash|ensuremath|textasciitilde|textasciicircum|checkmark|pm)\b", "", "\n".join(body))
    bare = re.sub(r"\\(begin|end)\{tabular\}(\{[lr]+\})?|\\(top|mid|bottom)rule|\\\\", "", bare)
    bare = re.sub(r"\\[&%$#_{}^~]|\$\$", "", bare)
    assert "\\" not in bare and not re.search(r"[%#_^~]", bare), bare


@given(NAMES)
@example("x/../../../../home/pwn")
@example("a\x1b[2J")
def test_a_folder_of_runs_is_where_it_should_be_whatever_it_is_called(name):
    folder = seeds_folder("o", name, 16, name, name, name)
    assert folder.parts[0] == "o" and len(folder.parts) == 5 and ".." not in folder.parts
    assert all(len(part.encode()) <= 255 for part in folder.parts)
    if "\x00" not in name:  # which no command line can hold
        assert len(Path(data_name("folder", f"/x/{name}")).parts) == 1


def test_run_folders_have_the_names_that_they_had():
    def name(backbone: str) -> str:
        return seeds_folder("o", "btmri", 4, "vmfcoop", backbone).parent.name

    assert name("BiomedCLIP") == "vMFCoOp_BiomedCLIP"
    assert name("hf-hub:org/a_b.c") == "vMFCoOp_hf-hub-org-a_b.c"
    assert name("local-dir:/a/b") == "vMFCoOp_local-dir--a-b"
    assert data_name("folder", "/images/My chest.1") == "folder-My-chest.1"


@given(st.lists(NAMES, max_size=6))
@example(["a/b", "a-b", "A-B", "a-b-2"])
def test_no_two_names_share_a_file(names):
    found = [name.casefold() for name in file_names(names, ["index.html"])]
    assert len({*found, "index.html"}) == len(names) + 1
    assert [Path(name).name for name in found] == found


def test_data_sets_whose_file_names_are_alike_have_a_table_each(output, undrawn):
    for i, dataset in enumerate(("a/b", "a-b", "a b")):
        put(output / f"x{i}" / "seed1", document(dataset=dataset, metrics={"accuracy": 10.0 * i}))
    assert main([str(output)]) == 0
    tables = sorted((output / "report" / "BiomedCLIP").glob("table1_a*.csv"))
    values = [next(iter(csv.DictReader(path.open())))["K = 16"] for path in tables]
    assert sorted(value.split()[0] for value in values) == ["0.00", "10.00", "20.00"]


# ------------------------------------------------------------------------------------------------ commands to be pasted


@given(st.sampled_from(sorted(METHODS)), NAMES, NAMES, NAMES, NAMES)
@example("coop", "btmri; touch PWNED #", "$(id)", "`id`", "'")
def test_a_command_to_be_pasted_gives_back_its_words(method, dataset, backbone, data, output):
    command = fill_command(method, dataset, [1, 16], backbone, data=data, output=output, seeds=[1, 2])
    unseen = any(IN_NAME.search(word) for word in (dataset, backbone, data, output))
    assert command.startswith("no command:") == unseen
    if unseen:
        return
    words = shlex.split(command)
    *variables, bash, script, given_dataset, shots, given_backbone = words
    assert (bash, shots) == ("bash", "1 16") and script == f"scripts/{method}/{words[-4].rsplit('/', 1)[1]}"
    assert given_dataset == ("folder" if dataset.startswith("folder-") else dataset)
    assert given_backbone.removeprefix("local-dir:<folder>/") in (backbone, backbone.removeprefix("local-dir:"))
    assert variables[0] == f"DATA={data}" or not data
    assert "SEEDS=1 2" in variables


def test_a_method_that_is_none_of_ours_is_no_command(output, undrawn, capsys):
    put(output / "x" / "seed3", document(trainer="$(touch PWNED)", seed=3))
    assert main([str(output)]) == 0
    assert "train '$(touch PWNED)' (its runs are read" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------- what is shown is harmless


@given(NAMES)
@example("=cmd|' /C calc'!A0")
def test_no_cell_of_a_sheet_is_a_formula_and_none_falls_into_two(name):
    text = "".join(sheet.csv_lines([[name, "b"], ["-1.5", "+3.00 ± 0.20"]]))
    rows = list(csv.reader(io.StringIO(text)))
    check_csv(rows)
    assert rows[1] == ["-1.5", "+3.00 ± 0.20"] and [row[1] for row in rows] == ["b", "+3.00 ± 0.20"]
    for separator in ";\t":  # as in a country where these separate cells
        cells = [cell for row in csv.reader(io.StringIO(text), delimiter=separator) for cell in row]
        assert not any(cell.startswith(("=", "@")) for cell in cells)
    assert rows[0][0] in (sheet.cell(name), sheet.cell(name).strip())


@pytest.mark.parametrize("number", ["1", "-1", "+1.5", "-1.50 ± 0.25", "1e-05", "-", "-.5"[:1] + "0.5"])
def test_numbers_of_a_sheet_stay_numbers(number):
    assert sheet.cell(number) == number


@pytest.mark.parametrize("text", ["=1", "+a1", "-a1", "@a", " =1", "-1+1", "- (2/3)", "--1", "\uff1d1"])
def test_what_only_looks_like_a_number_is_text(text):
    assert sheet.cell(text) == f"'{text}"


@given(NAMES, st.sampled_from(sorted(FORMATS)))
@example("a\nb|c", "markdown")
def test_a_table_has_a_line_for_each_row_whatever_its_cells_hold(name, style):
    extra = {"text": 2, "markdown": 2, "latex": 6, "csv": 1}[style]
    printed = render(["method", "K"], [[name, "1.0"], ["b", name]], style)
    assert len(printed.split("\n")) == len(printed.splitlines()) == 2 + extra
    if style == "markdown":
        check_markdown(printed)
    if style == "latex":
        check_latex(f"{latex_comment(name)}\n{latex_comment(name)}\n{printed}")


@given(NAMES)
@example("- a")
@example("www.x.y http://x.y a@b.c")
def test_markdown_shows_the_text_that_it_was_given(name):
    (_, inline, *_rest) = MarkdownIt("commonmark", {"html": True}).parse(markdown(f"a{name}a"))
    shown = "".join(child.content for child in inline.children)
    assert shown == f"a{printable(name)}a"
    check_markdown(f"{markdown(name, begins=True)}\n")


def test_the_page_fetches_and_runs_nothing(output, undrawn):
    for i, name in enumerate(HOSTILE):
        put(output / f"x{i}" / "seed1", document(dataset=name, trainer=name, shots=1))
    assert main([str(output), "--keyword", "accuracy"]) == 0
    page = (output / "report" / "index.html").read_text(encoding="utf-8")
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in page.partition("<title>")[0]
    assert POLICY.startswith("default-src 'none'; ")
    read_back(output / "report")


@pytest.mark.parametrize("name", [r"$\frac$", "$$", r"\mathrm{", "_a", "W" * 100, "漢字", "a\\nb", "%", "{", "</svg>"])
def test_a_picture_shows_any_name(output, name):
    put(output / "x0" / "seed1", document(trainer=name))
    put(output / "x1" / "seed1", document(trainer=name, dataset=name, shots=2))
    assert main([str(output)]) == 0
    pictures = list((output / "report").rglob("*.png"))
    assert pictures
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size[0] == 1200
            assert set(picture.info) <= {"dpi", "Software"}


@pytest.mark.parametrize("name", UNSEEN)
def test_a_name_that_steers_a_terminal_is_refused_and_shown_as_it_is_written(output, name, undrawn, capsys):
    put(output / "x" / "seed1", document(trainer=name))
    assert main([str(output)]) == 0
    out, err = capsys.readouterr()
    assert "Expected the name of a trainer in" in err
    for character in "\x1b\x07\x85\u2028\u202e\x00\r":
        assert character not in out + err + (output / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("flag", ["--methods", "--datasets", "--against", "--keyword", "--setting"])
def test_names_of_flags_are_checked_too(output, flag, capsys):
    assert main([str(output), flag, "a\x1b[2J"]) == 1
    assert "error: Expected the name of a" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------- nothing is overwritten


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


def test_file_names_are_those_of_the_shared_function():
    assert seeds_folder("o", "a b", 1, "m", "b").parts[1] == file_name("a b")
