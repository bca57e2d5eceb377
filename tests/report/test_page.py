"""The whole report of an output folder: its tables, its gaps, its page."""

import csv
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from report.__main__ import main
from runs.methods import METHODS, both_protocols

SHOTS, SEEDS = (1, 16), (1, 2, 3)
VALUES = {"CoOp": 60.0, "BiomedCoOp": 70.0, "vMFCoOp": 74.0}


@pytest.fixture
def output(write_run, tmp_path):
    """Few-shot runs of four methods on two data sets, base to novel on one, one row of the ablation."""
    for i, dataset in enumerate(("btmri", "covid")):
        write_run(dataset, trainer="ZeroshotCLIP", accuracy=45.0 + i)
        for j, (trainer, value) in enumerate(VALUES.items(), start=1):
            for k in SHOTS:
                for seed in SEEDS:
                    untied = 1e-4 * j * (6 * i + k / 16 + seed)  # Wilcoxon's test is slow where differences are tied
                    write_run(dataset, k, trainer, seed, value + 10 * i + k / 4 + seed + untied, terms=(1, 1, 1))
    for seed in SEEDS:
        for part, subsample, value in (("train_base", "base", 80.0), ("test_new", "new", 60.0)):
            for root, terms, less in (("", (1, 1, 1), 0), ("ablation/ce_anc/", (0, 1, 0), 20)):
                where = {"root": f"{root}base2new/{part}", "subsample": subsample, "terms": terms}
                write_run(seed=seed, accuracy=value + seed - less, **where)
        write_run(seed=seed, accuracy=50.0 + seed, root="ablation/ce_anc", terms=(0, 1, 0))
    return tmp_path / "output"


@pytest.fixture(autouse=True)
def quick(request):
    """Draws nothing, which takes most of the time, but in tests that ask for `pictures`."""
    if "pictures" not in request.fixturenames:
        request.getfixturevalue("undrawn")


@pytest.fixture
def pictures():
    """Has the pictures drawn."""


@pytest.fixture
def table(output):
    """table(name) -> rows of a CSV that the report has written, as dictionaries."""

    def read(name, group="PhantomCLIP_phantom_images"):
        with (output / "report" / group / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read


def row(rows, **wanted):
    (found,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return found


def test_table_1(output, table, capsys):
    assert main([str(output)]) == 0
    rows = table("table1")
    # (74 + 84) / 2 + 16 / 4 + 2, and the std of 1, 2, 3
    ours = {"method": "vMFCoOp", "source": "here (phantom)", "K = 1": "81.25 ± 0.82", "K = 16": "85.00 ± 0.82"}
    assert row(rows, method="vMFCoOp", source="here (phantom)") == ours
    theirs = {"method": "vMFCoOp", "source": "paper, 14 sets", "K = 1": "57.25 ± 4.75", "K = 16": "75.45 ± 1.48"}
    assert row(rows, method="vMFCoOp", source="paper, 14 sets") == theirs
    zeroshot = row(rows, method="ZeroshotCLIP", source="here (phantom)")
    assert (zeroshot["K = 1"], zeroshot["K = 16"]) == ("45.50", "45.50")
    assert [r["source"] for r in rows if r["method"] == "KgCoOp"] == ["paper, 14 sets"]
    assert row(table("table1_covid"), method="CoOp")["K = 16"] == "76.00 ± 0.82"
    out = capsys.readouterr().out
    assert "missing: vMFCoOp" not in out and "missing: CoOp" not in out


def test_table_2_knows_its_rows_by_their_settings(output, table):
    assert main([str(output)]) == 0
    here = [row for row in table("table2") if row["source"] == "here (phantom)"]
    assert [list(row.values())[:3] for row in here] == [
        ["", "", ""],
        ["", "✓", ""],
        ["", "✓", "✓"],
        ["✓", "", ""],
        ["✓", "✓", ""],
        ["✓", "✓", "✓"],
    ]
    one, full = here[1], here[5]
    assert (one["base"], one["novel"], one["HM"]) == ("62.00 ± 0.82", "42.00 ± 0.82", "50.08")
    assert (one["K = 16"], full["K = 16"]) == ("52.00 ± 0.82", "80.00 ± 0.82")  # on the data set of the ablation
    assert (full["base"], full["HM"]) == ("82.00 ± 0.82", "70.61")
    assert set(list(here[0].values())[4:]) == {"-"}
    paper = [row for row in table("table2") if row["source"] == "paper, 14 sets"]
    assert [row["HM"] for row in paper] == ["52.14", "70.98", "73.42", "56.39", "74.71", "77.15"]


def test_table_3_has_both_harmonic_means(output, table, write_run):
    for seed in SEEDS:
        for part, subsample, value in (("train_base", "base", 40.0), ("test_new", "new", 88.0)):
            write_run("covid", root=f"base2new/{part}", subsample=subsample, seed=seed, accuracy=value)
    assert main([str(output)]) == 0
    rows = table("table3_16")
    here = {(r["data set"], r["metric"]): r["vMFCoOp"] for r in rows if r["source"] == "here (phantom)"}
    assert here["btmri", "HM"] == "70.61"  # of 82 and 62
    assert here["covid", "HM"] == "55.00"  # of 40 and 88
    assert here["average", "base"] == "61.00 ± 0.41"
    assert here["average", "HM of the averages"] == "67.28"  # of 61 and 75
    assert here["average", "average of the HMs"] == "62.81"
    mean = {"data set": "average", "source": "paper, 13 sets"}
    assert row(rows, metric="HM of the averages", **mean)["vMFCoOp"] == "77.35"
    recomputed = mean | {"source": "paper, recomputed"}
    assert row(rows, metric="average of the HMs", **recomputed)["BiomedCoOp"] == "69.86"
    assert row(rows, metric="base", source="paper", **{"data set": "btmri"})["CoCoOp"] == "79.43"


def test_differences(output, table):
    assert main([str(output), "--against", "biomedcoop"]) == 0
    rows = table("differences")
    coop = {"BiomedCoOp minus": "CoOp", "K": "16", "points": "+10.00 ± 0.00", "pairs": "6", "Wilcoxon p": "0.031"}
    assert row(rows, K="16", **{"BiomedCoOp minus": "CoOp"}) == coop  # 2 / 2^6
    assert row(rows, K="all", **{"BiomedCoOp minus": "vMFCoOp"})["points"] == "-4.00 ± 0.00"
    assert row(rows, K="all", **{"BiomedCoOp minus": "ZeroshotCLIP"})["pairs"] == "12"


def test_differences_base_to_novel(output, table, write_run):
    for part, subsample, value in (("train_base", "base", 71.0), ("test_new", "new", 61.0)):
        write_run(trainer="CoOp", root=f"base2new/{part}", subsample=subsample, accuracy=value)
    assert main([str(output)]) == 0
    points = {r["on"]: (r["points"], r["pairs"]) for r in table("differences_base2new_16")}
    # seed 1: 81 and 61, of harmonic mean 69.59, against 71 and 61, of 65.62
    assert points == {"base": ("+10.00", "1"), "novel": ("+0.00", "1"), "HM": ("+3.97", "1")}


def test_gaps_and_the_commands_that_fill_them(output, write_run, capsys):
    (output / "covid/shots_1/CoOp_PhantomCLIP/nctx4_cscFalse_ctpend/seed2/metrics.json").write_text("{")
    write_run("busi", trainer="ZeroshotCLIP")
    assert main([str(output), "--methods", "zeroshot", "coop", "kgcoop"]) == 0
    out = capsys.readouterr().out
    head = f"DATA=phantoms SEEDS={{}} OUTPUT={output} bash scripts/{{}} PhantomCLIP"
    gaps = dict(line.removeprefix("missing: ").split(": ", 1) for line in out.splitlines() if "missing: " in line)
    assert gaps["CoOp few-shot on covid at K = 1, seed 2"] == head.format("2", "coop/few_shot.sh covid 1")
    kgcoop = head.format("'1 2 3'", "kgcoop/few_shot.sh busi '1 16'")
    assert gaps["KgCoOp few-shot on busi at K = 1 16, seed 1 2 3"] == kgcoop
    assert not any(what.startswith("ZeroshotCLIP few-shot") for what in gaps)
    zeroshot = f"DATA=phantoms OUTPUT={output} bash scripts/zeroshot/base2new.sh btmri 16 PhantomCLIP"
    assert gaps["ZeroshotCLIP base to novel on btmri at K = 16"] == zeroshot
    ablation = head.format("'1 2 3'", "vmfcoop/ablation.sh btmri 16")
    assert gaps["ablation of vMFCoOp on btmri at K = 16, seed 1 2 3"] == ablation
    assert "covid/shots_1/CoOp_PhantomCLIP/nctx4_cscFalse_ctpend/seed2/metrics.json is half-written" in out


def test_everything_that_the_paper_has_run(output, capsys):
    assert main([str(output), "--full"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing: ")]
    few_shot = [line for line in lines if " few-shot on " in line]
    rows = len(both_protocols(METHODS))
    assert len(few_shot) == rows * 14 - 2  # a line per row and data set; zero-shot is complete on two
    assert "vMFCoOp few-shot on btmri at K = 2 4 8 32 64, seed 1 2 3" in " ".join(few_shot)
    assert len([line for line in lines if " of vMFCoOp on " in line]) == 14
    novel = [line for line in lines if " base to novel on " in line]
    assert not any(" on busi " in line or "TipAdapter" in line for line in novel)
    assert len({line.split(" on ")[1].split()[0] for line in novel}) == 13


def test_real_and_phantom_runs_are_never_averaged(output, write_run, table, capsys):
    for seed in SEEDS:
        write_run("retina", 16, "vMFCoOp", seed, 20.0, backbone="BiomedCLIP", phantom=False)
        write_run("busi", 16, "vMFCoOp", seed, 30.0, backbone="BiomedCLIP")
    assert main([str(output)]) == 0
    expected = {
        "BiomedCLIP": ("here", "20.00 ± 0.00"),
        "BiomedCLIP_phantom_images": ("here (phantom)", "30.00 ± 0.00"),
        "PhantomCLIP_phantom_images": ("here (phantom)", "85.00 ± 0.82"),
    }
    for group, (source, value) in expected.items():
        assert row(table("table1", group), method="vMFCoOp", source=source)["K = 16"] == value
    for group in expected:
        for path in (output / "report" / group).glob("*.md"):
            assert ("phantom" in path.read_text()) == ("phantom" in group)
    page = (output / "report" / "index.html").read_text()
    assert [title.count("phantom") for title in re.findall("<h2>(.*?)</h2>", page)] == [0, 1, 1]
    assert page.count('class="phantom"') == 2


class Outline(HTMLParser):
    """Checks that every tag is closed; collects what a browser would fetch, images, and rows of the paper."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.images, self.paper = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.fetched += [attrs[key] for key in ("src", "href", "srcset") if attrs.get(key, "#")[:1] != "#"]
        self.images += [attrs["alt"]] if tag == "img" else []
        self.paper += tag == "tr" and attrs.get("class") == "paper"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_in_itself(output, pictures):
    assert main([str(output)]) == 0
    text = (output / "report" / "index.html").read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    outline.close()
    assert outline.open == []
    assert {source.split(",")[0] for source in outline.fetched} == {"data:image/svg+xml"}
    assert not re.search(r"url\(|@import|<script|<link", re.sub(r'src="data:[^"]*"', "", text))
    assert len(outline.images) == len(outline.fetched) == 4  # average, ranks, and a curve per data set
    assert all("phantom images" in alt for alt in outline.images)
    assert outline.paper == 14 + 6 + 7 + 2  # Tables 1 and 2, averages and one data set of Table 3
    assert "prefers-color-scheme: dark" in text and "@media print" in text and "width=device-width" in text
    assert "Demšar" in text and "which terms a row has is inferred" in text


def test_files(output, pictures):
    assert main([str(output), "--to", str(output / "elsewhere"), "--keyword", "macro_f1"]) == 0
    folder = output / "elsewhere" / "PhantomCLIP_phantom_images"
    names = {"table1", "table1_btmri", "table1_covid", "table2", "table3_16", "differences"}
    for suffix, more in (("md", {"implementation"}), ("tex", {"implementation"}), ("csv", set())):
        assert {path.stem for path in folder.glob(f"*.{suffix}")} == names | more
    pictures = {"curves", "curves_btmri", "curves_covid", "ranks"}
    assert {path.stem for path in folder.glob("*.svg")} == pictures
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.size[0] == 1200
    text = (folder / "table1.md").read_text(encoding="utf-8")
    assert text.startswith("## Table 1: macro-F1 (%)") and "83.00 ± 0.82" in text
    assert "| paper" not in text  # which prints accuracies
    assert r"\checkmark" in (folder / "table2.tex").read_text(encoding="utf-8")


def test_a_method_without_a_number_of_shots_that_others_have(output, write_run, table):
    write_run("btmri", 4, "CoOp", 1, 66.0)
    assert main([str(output)]) == 0
    coop, vmf = (row(table("table1"), method=m, source="here (phantom)")["K = 4"] for m in ("CoOp", "vMFCoOp"))
    assert (coop, vmf) == ("-", "-")
    assert row(table("table1_btmri"), method="CoOp")["K = 4"] == "66.00 (1/3 seeds)"


def test_nothing_to_report_is_one_sentence(write_log, tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"No runs in {tmp_path / 'none'}: expected")
    write_log("o/btmri/shots_16/CoOp_PhantomCLIP/nctx4_cscFalse_ctpend/seed1", 50.0, end="Killed")
    assert main([str(tmp_path / "o")]) == 1
    assert "missing: CoOp few-shot on btmri at K = 16, seed 1: DATA=phantoms" in capsys.readouterr().out


def test_unknown_metric_and_two_runs_of_one_place(output, write_run, capsys):
    assert main([str(output), "--keyword", "f2"]) == 1
    assert "expected one of accuracy, auroc, balanced_accuracy, ece, macro_f1, per_class." in capsys.readouterr().err
    write_run(root="copy", terms=(1, 1, 1))
    assert main([str(output)]) == 1
    assert "are the same data set, shots and seed" in capsys.readouterr().err


@pytest.mark.parametrize("style", ["text", "markdown", "latex", "csv"])
def test_what_is_printed(output, capsys, style):
    assert main([str(output), "--format", style]) == 0
    out = capsys.readouterr().out
    assert "# PhantomCLIP on phantom images\n" in out
    assert ("81.25 $\\pm$ 0.82" if style == "latex" else "81.25 ± 0.82") in out
    assert f"Page: {output / 'report' / 'index.html'}" in out
