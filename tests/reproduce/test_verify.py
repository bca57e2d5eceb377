"""Zero-shot figures against the paper's Table 3: verdicts, status, what is looked at, and what cannot be verified."""

import csv
import json
import os
from pathlib import Path

import pytest

from datasets import splits
from datasets.catalogue import find_class
from datasets.entries import Item
from reproduce import advice, verify
from reproduce.advice import PUBLISHED
from runs.outcome import DONE, FAILED, Outcome

ROOT = Path(__file__).parents[2]
CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
VERDICTS = ("agrees", "differs", "failed", "phantom")
PARTS = {"base": "train_base", "new": "test_new"}
INPUT = {"SIZE": [224, 224], "INTERPOLATION": "bicubic"}
INPUT |= {"PIXEL_MEAN": [0.48145466, 0.4578275, 0.40821073], "PIXEL_STD": [0.26862954, 0.26130258, 0.27577711]}
BTMRI = {"base": 44.32, "new": 92.57}
KIDNEY = {"base": 31.59, "new": 49.21}


@pytest.fixture
def data(tmp_path):
    """The root of the data sets, with the empty folders of two."""
    for name in ("BTMRI", "CTKidney"):
        (tmp_path / "data" / name).mkdir(parents=True)
    return str(tmp_path / "data")


@pytest.fixture
def recorded(write_run, monkeypatch):
    """recorded(btmri={"base": accuracy, ...}, **more) -> what is run leaves such records; None fails."""
    asked = []

    def record(more=None, **accuracies):
        def perform(spec):
            asked.append(spec)
            value = accuracies[spec.dataset][spec.subsample]
            if value is None:
                return [Outcome(1, FAILED, None, "Expected images, but none are there.")]
            cls = find_class(spec.dataset)
            half = splits.base_classes(len(cls.classes))
            names = cls.classes[:half] if spec.subsample == "base" else cls.classes[half:]
            counts = PUBLISHED[spec.dataset]["test"]
            counts = counts[:half] if spec.subsample == "base" else counts[half:]
            facts = {
                "backbone": "BiomedCLIP",
                "backbone_revision": "9f341de",
                "phantom": False,
                "phantom_backbone": False,
                "method": {"TEMPLATE": "a photo of a {}."},
                "hashes": {"split": PUBLISHED[spec.dataset]["digest"], "backbone": "2e83aa"},
                "metrics": {"accuracy": value, "per_class": dict.fromkeys(names, 50.0)},
                "total": sum(counts),
            } | (more or {})
            where = f"base2new/{PARTS[spec.subsample]}"
            folder = write_run(spec.dataset, trainer="ZeroshotCLIP", root=where, subsample=spec.subsample, **facts)
            (folder / "config.yaml").write_text(json.dumps({"INPUT": INPUT}))
            with (folder / "predictions.csv").open("w", newline="") as file:
                rows = [["x.png", name, names[0]] for name, n in zip(names, counts, strict=True) for _ in range(n)]
                csv.writer(file).writerows([["path", "label", "predicted", *names], *rows])
            return [Outcome(1, DONE, folder)]

        monkeypatch.setattr(verify, "perform", perform)
        monkeypatch.setattr(verify, "shared_backbone", lambda cfg: None)
        return asked

    return record


def cells(out: str) -> list[list[str]]:
    rows = [line.split() for line in out.splitlines()]
    return [row for row in rows if row[1:2] in (["base"], ["novel"]) and row[-1] in VERDICTS]


def test_agreement_within_half_a_point(recorded, data, capsys):
    asked = recorded(btmri={"base": 44.82, "new": 92.07}, ctkidney=KIDNEY)
    assert verify.main(["--root", data, "USE_CUDA", "False"]) == 0
    out = capsys.readouterr().out
    assert cells(out) == [
        ["btmri", "base", "44.32", "44.82", "+0.50", "agrees"],
        ["btmri", "novel", "92.57", "92.07", "-0.50", "agrees"],
        ["ctkidney", "base", "31.59", "31.59", "+0.00", "agrees"],
        ["ctkidney", "novel", "49.21", "49.21", "+0.00", "agrees"],
    ]
    assert "4 of 4 rows agree within 0.5 points." in out and "Look at" not in out
    assert f"kvasir is not in {data}: python -m datasets.download kvasir --root {data}\n" in out
    assert out.count("is not in") == 8 and "cmri" not in out
    told = {(s.trainer, s.backbone, s.root, s.shots, s.seeds, s.setting, s.options) for s in asked}
    assert told == {("ZeroshotCLIP", "BiomedCLIP", data, 1, (1,), "base2new", (("USE_CUDA", "False"),))}
    assert [(s.dataset, s.subsample, s.eval_only) for s in asked][:2] == [
        ("btmri", "base", False),
        ("btmri", "new", True),
    ]


def test_a_difference_is_the_status_and_what_to_look_at_is_said_in_order(recorded, data, capsys):
    recorded(btmri={"base": 44.83, "new": 92.57}, ctkidney=KIDNEY)
    assert verify.main(["--root", data]) == 1
    out = capsys.readouterr().out
    assert ["btmri", "base", "44.32", "44.83", "+0.51", "differs"] in cells(out)
    assert "3 of 4 rows agree" in out and "weights and preprocessing, which all rows share, are likely right" in out
    *_, last = out.partition("\nbtmri:\n")
    assert "ctkidney" not in last
    lines = [line.strip() for line in last.splitlines()]
    assert [line.split(":")[0] for line in lines] == [
        *("1. weights", "2. split file", "3. preprocessing", "4. class names", "5. test images found"),
    ]
    assert "BiomedCLIP, revision 9f341de, fingerprint 2e83aa;" in lines[0]
    assert f"{data}/BTMRI/split_BTMRI.json, digest cd57b2dd092055f1, which is the published one's" in lines[1]
    assert lines[2].endswith("PIXEL_STD [0.26862954, 0.26130258, 0.27577711], as in BiomedCoOp's benchmark")
    assert (
        'in the prompt "a photo of a {}.", base: glioma tumor, meningioma tumor; novel: pituitary tumor, ' in lines[3]
    )
    assert lines[4].endswith("base 800 (397 + 403), as published; novel 917 (438 + 479), as published")


def test_what_differs_from_the_published_is_named(recorded, data, monkeypatch, capsys):
    monkeypatch.setitem(INPUT, "INTERPOLATION", "bilinear")
    recorded({"hashes": {"split": "ffff"}, "backbone_revision": None}, btmri={"base": 20.0, "new": 92.57})
    assert verify.main(["--root", data, "--datasets", "btmri"]) == 1
    out = capsys.readouterr().out
    assert "BiomedCLIP, no revision, as it is a folder or not recorded, fingerprint not recorded" in out
    assert "digest ffff; the published one has cd57b2dd092055f1 without groups, and 2,854/1,141/1,717 images" in out
    assert "INTERPOLATION bilinear" in out and "in BiomedCoOp's benchmark INTERPOLATION bicubic\n" in out


def test_counts_that_differ_are_shown_beside_the_published_ones(recorded, data, capsys):
    recorded(btmri={"base": 20.0, "new": 30.0})
    rows = verify.run("btmri", verify.RunSpec(trainer="ZeroshotCLIP", setting="base2new", root=data))
    sides = {row.side: (row.outcome, row.record) for row in rows}
    path = rows[0].outcome.folder / "predictions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    line = advice.images_line("btmri", sides)
    assert "base 799 (397 + 402) where the published split has 800 (397 + 403); novel 917" in line
    path.unlink()
    assert "base 800 where the published split has 800 (397 + 403)" in advice.images_line("btmri", sides)
    (rows[0].outcome.folder / "config.yaml").unlink()
    assert advice.preprocessing_line(rows[0].outcome) == "preprocessing: not recorded"
    assert "the published split has 1,000 of all classes" in advice.images_line("octmnist", sides)
    assert "is not known here" in advice.split_line("octmnist", rows[0].record, data)


def test_nobody_agrees_so_the_weights_are_no_less_suspect(recorded, data, capsys):
    recorded(btmri={"base": 20.0, "new": 30.0})
    assert verify.main(["--root", data, "--datasets", "btmri"]) == 1
    out = capsys.readouterr().out
    assert "0 of 2 rows agree" in out and "Look at, in this order:\n" in out


def test_a_run_that_fails_is_a_row_and_the_others_are_run(recorded, data, capsys):
    recorded(btmri={"base": None}, ctkidney=KIDNEY)
    assert verify.main(["--root", data]) == 1
    out = capsys.readouterr().out
    assert cells(out)[0] == ["btmri", "base", "44.32", "-", "-", "failed"] and len(cells(out)) == 3
    assert "failed: btmri, base classes: Expected images, but none are there." in out and "2 of 2 rows agree" in out


@pytest.mark.parametrize("mark", ["phantom", "phantom_backbone"])
def test_phantoms_have_no_verdict(recorded, data, mark, capsys):
    recorded({mark: True}, btmri=BTMRI)
    assert verify.main(["--root", data, "--datasets", "btmri"]) == 2
    out = capsys.readouterr().out
    assert cells(out)[0] == ["btmri", "base", "44.32", "44.32", "-", "phantom"]
    assert "Nothing can be verified on btmri: images or backbone are phantoms" in out and "rows agree" not in out


def test_without_any_data_nothing_can_be_verified(tmp_path, capsys):
    assert verify.main(["--root", str(tmp_path)]) == 2
    out = capsys.readouterr().out
    assert out.count("python -m datasets.download") == 10 and "Nothing can be verified: no data set is there." in out


def test_a_set_that_is_named_and_absent_is_the_status(recorded, data, capsys):
    recorded(btmri=BTMRI)
    assert verify.main(["--root", data, "--datasets", "btmri", "kvasir"]) == 2
    assert "kvasir is not in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--datasets", "cmri"], "cmri is not public"),
        (["--datasets", "busi"], "but busi is not"),
        (["--datasets", "heads"], "but got 'heads'"),
        (["--backbone", "hf-hub:timm/vit_base_patch16_clip_224.openai@main"], "because the row is of BiomedCLIP"),
        (["--backbone", "CLIP"], "because the row is of BiomedCLIP, but got CLIP"),
        (["--backbone", "BiomedCLOP"], "but got 'BiomedCLOP': did you mean 'BiomedCLIP'"),
    ],
)
def test_what_has_no_row_is_refused(recorded, data, flags, words, capsys):
    assert verify.main(["--root", data, *flags]) == 1
    assert words in capsys.readouterr().err


def test_a_copy_of_the_weights_is_taken_and_told(recorded, data, capsys):
    recorded(btmri=BTMRI)
    line = ["--root", data, "--datasets", "btmri", "--backbone"]
    assert verify.main([*line, "local-dir:/models/BiomedCLIP"]) == 0
    assert "local-dir:/models/BiomedCLIP is taken for a copy of BiomedCLIP" in capsys.readouterr().out


def test_a_copy_at_a_commit_is_the_original(capsys):
    verify.check_backbone("hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224@9f341de")
    assert capsys.readouterr().out == ""


def test_a_run_is_made_and_kept(data_root, tiny, tmp_path, capsys):
    line = ["--root", str(data_root), "--backbone", "PhantomCLIP", "--datasets", "btmri", "--output", str(tmp_path)]
    line += ["DATALOADER.NUM_WORKERS", "0"]
    assert verify.main(line) == 2
    first = cells(capsys.readouterr().out)
    paths = sorted(tmp_path.rglob("metrics.json"))
    assert [(path.parts[-7], path.parts[-4]) for path in paths] == [
        ("test_new", "ZeroshotCLIP_PhantomCLIP"),
        ("train_base", "ZeroshotCLIP_PhantomCLIP"),
    ]
    found = {path.parts[-7]: json.loads(path.read_text()) for path in paths}
    assert [row[3] for row in first] == [
        f"{found[part]['metrics']['accuracy']:.2f}" for part in ("train_base", "test_new")
    ]
    assert {each["total"] for each in found.values()} == {10}  # five images of each of two classes
    assert verify.main(line) == 2
    out = capsys.readouterr().out
    assert out.count("Finished already") == 2 and cells(out) == first


def test_the_published_counts_are_those_that_our_documents_have():
    text = (ROOT / "DATASETS.md").read_text()
    assert set(PUBLISHED) == set(verify.public())
    for key, known in PUBLISHED.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{key}` | `")]
        assert " / ".join(f"{count:,}" for count in known["images"]) in line
        if "test" in known:
            assert sum(known["test"]) == known["images"][2] and len(known["test"]) == len(find_class(key).classes)


def test_digests_of_splits_are_computed_as_those_that_are_kept():
    """If this fails, the digests in reproduce/splits.json are to be computed anew."""
    split = {"train": [Item("a/1.png", 0, "a")], "val": [], "test": [Item("b/2.png", 1, "b")]}
    assert splits.hash_split(split, {}) == "ea9f81e770c8b974"


@pytest.mark.skipif(not CHECKOUT, reason="BIOMEDCOOP_CHECKOUT names no checkout of BiomedCoOp")
@pytest.mark.parametrize("key", [key for key, known in PUBLISHED.items() if "digest" in known])
def test_published_splits_are_those_of_the_checkout(key):
    cls = find_class(key)
    path = Path(CHECKOUT, "data", cls.dataset_dir, f"split_{cls.dataset_dir}.json")
    split = splits.read_split(path, cls.classes, "")
    counts = [sum(item.label == label for item in split["test"]) for label in range(len(cls.classes))]
    found = {"images": [len(split[part]) for part in ("train", "val", "test")], "test": counts}
    assert PUBLISHED[key] == found | {"digest": splits.hash_split(split, {})}
