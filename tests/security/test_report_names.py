"""Names in a folder that someone else made are names: no path, no command, no markup, no formula."""

import csv
import io
import os
import shlex
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from dassl import sheet
from dassl.console import IN_NAME, printable
from dassl.names import file_name
from report.__main__ import main
from report.gaps import fill_command
from report.render import FORMATS, file_names, latex_comment, markdown, render
from runs.layout import data_name, seeds_folder
from runs.methods import METHODS
from tests.security.read_back import check_csv, check_latex, check_markdown, read_back
from tests.security.received import HOSTILE, UNSEEN, Tags, document, put, run

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # of the page: nothing is fetched, nothing is run
)
NAMES = st.text(min_size=1, max_size=100) | st.sampled_from([*HOSTILE, *UNSEEN])


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
    assert name("local-dir:/a/b") == "vMFCoOp_local-dir-b"  # no path
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
    assert "train '$(touch PWNED)': trainers/ has no such method" in capsys.readouterr().out


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
@example("__0__")
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
    shown = "".join(Tags(page).text)
    assert [name for name in HOSTILE if name not in shown] == []
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


def test_file_names_are_those_of_the_shared_function():
    assert seeds_folder("o", "a b", 1, "m", "b").parts[1] == file_name("a b")
