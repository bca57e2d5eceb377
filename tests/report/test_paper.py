import csv

import pytest

from report import paper
from report.__main__ import main
from report.stats import average_of_hms, harmonic_mean, hm_of_averages
from report.tables.ablation import NAMES, Terms
from runs.methods import METHODS


def test_every_row_is_a_method_of_ours_and_whole():
    rows = paper.TABLE1["rows"]
    beyond = {"GDAText", "KgCoOpLLM", "PromptSRCText", "SCD", "SSText", "SSTextU", "ZeroshotDN"}
    assert set(METHODS.values()) - set(rows) == beyond | {"vMFPosterior", "vMFPrototypes"}
    assert set(rows) <= set(METHODS.values())
    lengths = [(len(row["mean"]), len(row.get("std", []))) for row in rows.values()]
    assert lengths == [(1, 0)] * 3 + [(7, 7)] * 11
    assert rows["vMFCoOp"]["mean"][paper.TABLE1["shots"].index(16)] == 75.45


def test_own_data_sets_have_no_average_of_the_papers(write_run, tmp_path, undrawn):
    for trainer in ("CoOp", "vMFCoOp"):
        write_run(trainer=trainer)
        for part, subsample in (("train_base", "base"), ("test_new", "new")):
            write_run(trainer=trainer, root=f"base2new/{part}", subsample=subsample)
    output, tables = tmp_path / "output", tmp_path / "output" / "report" / "PhantomCLIP_phantom_images"
    write_run(root="ablation/ce", terms=(0, 0, 0))

    def sources(name: str) -> set[str]:
        with (tables / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return {row["source"] for row in csv.DictReader(file) if row.get("data set", "average") == "average"}

    assert main([str(output)]) == 0
    assert all(any(found.startswith("paper") for found in sources(name)) for name in ("table1", "table2", "table3_16"))
    assert (
        "Data sets here: btmri, 1 of the 14 that the paper's averages are over." in (tables / "table1.md").read_text()
    )
    for root, subsample in (("", "all"), ("base2new/train_base", "base"), ("base2new/test_new", "new")):
        write_run("folder-chest", key="folder-chest", root=root, subsample=subsample, trainer="CoOp")
    write_run("folder-chest", key="folder-chest", root="ablation/ce", terms=(0, 0, 0))
    assert main([str(output)]) == 0
    assert not any(
        any(found.startswith("paper") for found in sources(name)) for name in ("table1", "table2", "table3_16")
    )
    assert "left out, as it does not have folder-chest." in (tables / "table1.md").read_text()


def test_data_sets():
    assert len(paper.DATASETS) == 14
    assert sorted(paper.WITHOUT_NOVEL) == ["busi"]


def test_inferred_rows_of_table_2():
    assert NAMES == ("CE", "CE + anc", "CE + anc + sc", "SCE", "SCE + anc", "SCE + anc + sc")
    novel = {Terms(*row["terms"]): row["novel"] for row in paper.TABLE2["rows"]}
    assert all((value > 60) == terms.anc for terms, value in novel.items())
    hms = {row["hm"]: harmonic_mean(row["base"], row["novel"]) for row in paper.TABLE2["rows"]}
    wrong = {printed: round(hm, 2) for printed, hm in hms.items() if abs(printed - hm) > 0.01}
    assert wrong == {74.71: 74.21}  # as the note of the table says
    full, columns = paper.TABLE2["rows"][-1], paper.TABLE1["shots"]
    table1 = dict(zip(columns, paper.TABLE1["rows"]["vMFCoOp"]["mean"], strict=True))
    assert full["mean"] == [table1[k] for k in paper.TABLE2["shots"]]


@pytest.mark.parametrize("i", range(4))
def test_averages_of_table_3(i):
    rows, average = paper.TABLE3["rows"].values(), paper.TABLE3["average"]
    base, novel = ([row[key][i] for row in rows] for key in ("base", "novel"))
    assert harmonic_mean(average["base"][i], average["novel"][i]) == pytest.approx(average["hm"][i], abs=0.01)
    assert sum(novel) / 13 == pytest.approx(average["novel"][i], abs=0.006)
    higher = average["base"][i] - sum(base) / 13  # as the note of the table says of the last two methods
    assert higher == pytest.approx([0, 0, 1.54, 1.92][i], abs=0.006)
    assert hm_of_averages(base, novel) == pytest.approx([53.51, 66.73, 71.82, 76.40][i], abs=0.006)
    assert average_of_hms(base, novel) == pytest.approx([52.31, 64.81, 69.86, 75.13][i], abs=0.006)
