"""The 14 data sets: names, classes in the order of labels, configs, and the tables of DATASETS.md."""

import re
from pathlib import Path

import pytest
import yaml

import datasets
from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError
from datasets import catalogue
from datasets.phantoms import PHANTOMS
from datasets.ukb.biobank import UKBiobank
from report import paper
from runs.layout import own_datasets
from tests.datasets.layout import lay_out, load

ROOT = Path(datasets.__file__).parents[1]
# Config key: registry name, classes in the order of labels; "//" is where the novel ones begin.
EXPECTED = {
    "btmri": ("BTMRI", "glioma tumor, meningioma tumor // pituitary tumor, normal brain"),
    "busi": ("BUSI", "benign tumor, malignant tumor // normal scan"),
    "chmnist": (
        "CHMNIST",
        "adipose tissue, complex stroma, debris, empty background"
        " // immune cells, normal mucosal glands, simple stroma, tumour epithelium",
    ),
    "covid": ("COVID_19", "covid lungs, lung opacity lungs // viral pneumonia lungs, normal lungs"),
    "ctkidney": ("CTKidney", "cyst kidney, kidney stone // kidney tumor, normal kidney"),
    "dermamnist": (
        "DermaMNIST",
        "actinic keratosis, basal cell carcinoma, benign keratosis, dermatofibroma"
        " // melanoma, melanocytic nevus, vascular lesion",
    ),
    "kneexray": (
        "KneeXray",
        "healthy knee, doubtful osteoarthritis, minimal osteoarthritis"
        " // moderate osteoarthritis, severe osteoarthritis",
    ),
    "kvasir": (
        "Kvasir",
        "dyed lifted polyps, dyed resection margins, esophagitis, normal cecum"
        " // normal pylorus, normal z line, polyps, ulcerative colitis",
    ),
    "lungcolon": (
        "LungColon",
        "colon adenocarcinoma, colon benign tissue, lung adenocarcinoma"
        " // lung benign tissue, lung squamous cell carcinoma",
    ),
    "octmnist": ("OCTMNIST", "choroidal neovascularization, diabetic macular edema // drusen, normal OCT scan"),
    "retina": ("RETINA", "diabetic retinopathy, glaucoma // cataract, normal retina"),
    "cmri": (
        "CMRI",
        "normal heart, atrial fibrillation, ischemic heart disease // heart failure, cardiomyopathy",
    ),
    "lmri": ("LMRI", "normal liver, fatty liver disease, liver cirrhosis // hepatitis, liver neoplasm"),
    "pmri": ("PMRI", "normal pancreas, type 2 diabetes, pancreatitis // pancreatic cyst, pancreatic neoplasm"),
}
CLASSES = {name: DATASET_REGISTRY.get(name) for name, _ in EXPECTED.values()}


def table(heading: str) -> dict[str, dict[str, str]]:
    """Rows of the table in DATASETS.md whose first column is `heading`: config key to {column: cell}."""
    text = (ROOT / "DATASETS.md").read_text(encoding="utf-8")
    lines = text[text.index(f"| {heading} |") :].split("\n\n")[0].splitlines()
    header, _, *rows = [re.split(r" *\| *", line.strip(" |")) for line in lines]
    return {cells[0].strip("`"): dict(zip(header, cells, strict=True)) for cells in rows}


def test_the_catalogue_has_what_the_source_and_the_registry_have():
    facts = catalogue.read_facts()
    assert {key: cls.__name__ for key, cls in catalogue.by_key().items()} == {
        k: name for k, (name, _) in EXPECTED.items()
    }
    assert catalogue.names() == sorted(facts) == sorted([*EXPECTED, "folder", "table"])
    registered = {n: DATASET_REGISTRY.get(n) for n in DATASET_REGISTRY.registered_names()}
    ours = {name: cls for name, cls in registered.items() if cls.__module__.startswith("datasets.")}
    assert sorted(ours) == sorted(one.name for one in facts.values())
    for key, one in facts.items():
        cls = ours[one.name]
        assert (cls.key, cls.own, tuple(cls.classes)) == (key, one.own, one.classes)
        assert catalogue.find_class(key) is cls
    assert {key for key, one in facts.items() if one.own} == set(own_datasets())
    assert {key for key, one in facts.items() if not one.novel} == paper.WITHOUT_NOVEL


def test_a_key_and_what_is_inherited_are_read_from_the_source(tmp_path):
    (tmp_path / "base.py").write_text("class Own:\n    own = True\n    key: str = 'inherited'\n")
    register = "@DATASET_REGISTRY.register()\n"
    (tmp_path / "one.py").write_text(f"{register}class One(Own):\n    key = 'first'\n    size = max(1, 2)\n")
    (tmp_path / "two.py").write_text(
        f"{register}class Two(Base):\n    classes = ('a', 'b', 'c')\n\nclass Three(Own): pass\n"
    )
    (tmp_path / "unknown.py").write_text(f"{register}class Unknown(Base):\n    classes = tuple(NAMES)\n")
    assert catalogue.read_facts(tmp_path) == {
        "first": catalogue.Facts("first", "One", True, (), True),
        "two": catalogue.Facts("two", "Two", False, ("a", "b", "c"), False),
        "unknown": catalogue.Facts("unknown", "Unknown", False, (), True),
    }
    (tmp_path / "four.py").write_text(f"{register}class Four(Base):\n    key = 'two'\n")
    with pytest.raises(UserError, match='Four and Two are both "two"'):
        catalogue.read_facts(tmp_path)


def test_a_file_of_settings_names_its_data_set():
    """They are there for CoOp's users; a data set needs none."""
    for path in (ROOT / "configs" / "datasets").glob("*.yaml"):
        name = catalogue.find_facts(path.stem).name
        assert yaml.safe_load(path.read_text())["DATASET"]["NAME"] == name


@pytest.mark.parametrize("key", EXPECTED)
def test_labels_classes_and_the_cut_between_base_and_novel(tmp_path, key):
    name, listed = EXPECTED[key]
    base, novel = (half.split(", ") for half in listed.split(" // "))
    cls = CLASSES[name]
    lay_out(tmp_path, cls, train=1, val=1, test=1)
    data = load(tmp_path, cls)
    assert data.classnames == base + novel and data.lab2cname == dict(enumerate(base + novel))
    assert [item.label for item in data.test] == list(range(len(base + novel)))
    assert data.key == key and cls.dataset_dir == name
    if len(novel) > 1:
        assert load(tmp_path, cls, classes="base").classnames == base
        assert load(tmp_path, cls, classes="new").classnames == novel


@pytest.mark.parametrize("name", CLASSES)
def test_every_data_set_says_where_it_comes_from(tmp_path, name):
    cls = CLASSES[name]
    assert all((cls.modality, cls.organ, cls.source, cls.licence))
    if issubclass(cls, UKBiobank):
        assert not cls.archive and "no redistribution" in cls.licence
        wanted = "apply at https://www.ukbiobank.ac.uk"
    else:
        assert cls.archive == f"https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/{name}.zip"
        assert len(cls.drive_id) == 33
        assert sum(other.drive_id == cls.drive_id for other in CLASSES.values()) == 1
        wanted = f"`python -m datasets.download {cls.key}`"
    with pytest.raises(UserError) as error:
        load(tmp_path, cls)
    assert str(tmp_path / name) in str(error.value) and wanted in str(error.value)
    assert ("DATA=phantoms" in str(error.value)) is (name in {phantom.name for phantom in PHANTOMS.values()})


def test_the_table_of_data_sets_is_that_of_the_classes():
    rows = table("config key")
    assert list(rows) == list(EXPECTED)
    for key, row in rows.items():
        name, _ = EXPECTED[key]
        cls = CLASSES[name]
        told = [row[column] for column in ("registry name", "modality", "organ", "classes", "source", "licence")]
        assert told == [f"`{name}`", cls.modality, cls.organ, str(len(cls.classes)), cls.source, cls.licence]


def test_the_table_of_archives_is_that_of_the_classes():
    told = {key: row["Google Drive id"] for key, row in table("archive of").items()}
    assert told == {key: f"`{CLASSES[name].drive_id}`" for key, (name, _) in EXPECTED.items() if CLASSES[name].drive_id}
    assert len(told) == 11


def test_the_table_of_classes_is_that_of_the_classes():
    rows = table("classes of")
    told = {key: f"{row['base classes']} // {row['novel classes']}" for key, row in rows.items()}
    assert told == {key: listed for key, (_, listed) in EXPECTED.items()}
