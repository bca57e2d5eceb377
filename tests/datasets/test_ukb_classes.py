"""UK Biobank's recipes, the classes of participants, and the split."""

import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.ukb import LeftOut, cohort
from datasets.ukb.journal import Visit
from datasets.ukb.phenotypes import Record
from datasets.ukb.recipe import SETS, matches, read_recipe
from datasets.ukb.split import split_visits
from tests.datasets.participants import recipe_file


def classify(*codes: str, key: str = "cmri", **rules) -> str:
    record = Record(codes=dict.fromkeys(codes), visits={2: date(2021, 1, 1)})
    return cohort.classify(record, replace(read_recipe(key).participants, **rules)).classname


@pytest.mark.parametrize(
    ("key", "classname", "codes"),
    [
        ("cmri", "atrial fibrillation", "I48 I480 I489"),
        ("cmri", "ischemic heart disease", "I20 I209 I219 I22 I240 I259 I255"),
        ("cmri", "heart failure", "I50 I500 I501 I110 I130 I132"),
        ("cmri", "cardiomyopathy", "I42 I420 I428 I431"),
        ("cmri", "normal heart", "M545 I10 E119 J459 I839 I639"),
        ("lmri", "fatty liver disease", "K760 K700 K758"),
        ("lmri", "liver cirrhosis", "K703 K743 K745 K746 K717"),
        ("lmri", "hepatitis", "B15 B181 B199 K701 K732 K754 K712 K716"),
        ("lmri", "liver neoplasm", "C22 C220 C787 D134"),
        ("lmri", "normal liver", "M545 K802 K296 C189 D135 K69 K78"),
        ("pmri", "type 2 diabetes", "E11 E119"),
        ("pmri", "pancreatitis", "K85 K851 K860 K861"),
        ("pmri", "pancreatic cyst", "K862 K863 Q452"),
        ("pmri", "pancreatic neoplasm", "C25 C259 D136 D137"),
        ("pmri", "normal pancreas", "M545 K760 E780 E039 D135 K88"),
    ],
)
def test_icd_10_codes_of_each_class(key, classname, codes):
    for code in codes.split():
        assert classify(code, key=key) == classname, code


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        ("cmri", "I050 I119 I139 I269 I340 I442 I472 I517 Q211 Z950 Z941"),
        ("lmri", "K740 K72 K769 K711 B942 D376 D015 E831 I850 R17 R945 Z225 Z944"),
        ("pmri", "E109 E149 E162 K868 K87 Q450 R739 O244 D377"),
    ],
)
def test_who_is_neither_ill_nor_normal(key, codes):
    for code in codes.split():
        with pytest.raises(LeftOut, match=r"^neither a class's codes nor normal$"):
            classify(code, "M545", key=key)


def test_of_several_classes_the_first_of_the_recipe_or_none():
    assert classify("I48", "I251", "I500", "I420") == "cardiomyopathy"
    assert classify("I48", "I251", "I500") == "heart failure" and classify("I48", "I251") == "ischemic heart disease"
    assert classify("E119", "C250", "K862", key="pmri") == "pancreatic neoplasm"
    assert classify("K760", "K746", "B182", key="lmri") == "liver cirrhosis"
    assert classify("I251", "I209", "I050", several="drop") == "ischemic heart disease"
    with pytest.raises(LeftOut, match=r"^codes of several classes$"):
        classify("I251", "I48", several="drop")


def test_active_is_who_has_a_later_diagnosis_or_visit():
    rules = read_recipe("cmri").participants
    before, after = date(2020, 7, 1), date(2020, 7, 2)
    for codes, visits, active in (
        ({"I48": before}, {2: before}, False),
        ({"I48": None}, {}, False),
        ({}, {}, False),
        ({"I48": before, "M545": after}, {2: before}, True),
        ({"I48": None}, {2: before, 3: after}, True),
    ):
        record = Record(codes=codes, visits=visits)
        if active:
            assert cohort.classify(record, rules).classname == "atrial fibrillation"
        else:
            with pytest.raises(LeftOut, match=r"^not active after 2020-07-01$"):
                cohort.classify(record, rules)


def test_an_unknown_code_makes_nobody_normal():
    rules = read_recipe("cmri").participants
    visits = {2: date(2021, 1, 1)}
    assert cohort.classify(Record({"I48": None}, visits, unknown=1), rules).classname == "atrial fibrillation"
    with pytest.raises(LeftOut, match="a diagnosis that is no ICD-10 code"):
        cohort.classify(Record({"M545": None}, visits, unknown=1), rules)


def test_visits_that_show_the_class():
    people = read_recipe("cmri").participants
    by_visit = replace(people, diagnosed="by visit")
    visits = {2: date(2017, 1, 1), 3: date(2021, 1, 1)}
    for codes, instances in (
        ({"I48": date(2017, 1, 2)}, {3}),
        ({"I48": date(2017, 1, 2), "I489": date(2017, 1, 1)}, {2, 3}),
        ({"I48": date(2017, 1, 1), "I500": date(2022, 1, 1)}, set()),
        ({"I48": None}, set()),
    ):
        assert cohort.classify(Record(codes, visits), by_visit).instances == instances
        assert cohort.classify(Record(codes, visits), people).instances is None
    assert cohort.classify(Record({}, visits), by_visit) == ("normal heart", None)


def test_patterns():
    for pattern, hit, miss in (
        ("I42", "I42 I420", "I41 I4 I43"),
        ("I110", "I110 I1101", "I11 I119"),
        ("I20-I25", "I20 I209 I22 I259", "I19 I199 I26 I260 J22"),
        ("K743-K746", "K743 K746 K7460", "K74 K742 K747 K75"),
        ("I00-J", "I00 I99 J999", "H999 K00"),
    ):
        assert all(matches(code, [pattern]) for code in hit.split())
        assert not any(matches(code, [pattern]) for code in miss.split())
    assert not matches("I42", [])


# ------------------------------------------------------------------------------------------------------------- recipes


def test_recipes_name_the_fields_and_choices_that_are_documented():
    found = {}
    for key in SETS:
        images = read_recipe(key).images
        found[key] = images.field, images.slices.at, images.phases.at, images.without, images.window
        assert read_recipe(key).participants.active_after == date(2020, 7, 1)
    assert found == {
        "cmri": (20209, [0.5], [0.0], ["P"], [0.5, 99.5]),
        "lmri": (20254, [0.5], [0.0], ["P"], [0.5, 99.5]),
        "pmri": (20260, [0.5], [0.0], ["P"], [0.5, 99.5]),
    }
    for key, series in (
        ("cmri", "CINE_segmented_SAX_b12"),
        ("cmri", "CINE_segmented_SAX"),
        ("lmri", "LMS IDEAL OPTIMISED LOW FLIP 6DYN"),
        ("lmri", "LMS_IDEAL_OPTIMISED_LOW_FLIP_6DYN"),
        ("pmri", "gre_mullti_echo_10_TE_pancreas"),
    ):
        assert re.fullmatch(read_recipe(key).images.series, series)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("several: first", "several: last", "'last' is none of first, drop"),
        ("diagnosed: ever", "diagnosed: once", "'once' is none of ever, by visit"),
        ("several:", "severl:", "severl"),
        ("field: 20209", "", "field"),
        ("[I42, I43]", "[I42, I4.3]", "'I4.3' is no ICD-10 prefix"),
        ("[I42, I43]", "[I42, 43]", "43 is no ICD-10 prefix"),
        ("2020-07-01", "July 2020", "'July 2020' is no day"),
        ("at: [0.5]", "at: [5]", "[5] is no list of places"),
        ("at: [0.5]", "at: []", "[] is no list of places"),
        ("[0.5, 99.5]", "[99.5, 0.5]", "no pair of rising percentiles"),
        (r"(_b\d+)?", r"(_b\d+", "unterminated"),
        ("cardiomyopathy:", "heart muscle disease:", "found heart muscle disease, heart failure"),
        ("images:", "images: [", "while parsing"),
        ("participants:", "people:", "participants"),
    ],
)
def test_a_recipe_that_is_none(tmp_path, old, new, said):
    path = recipe_file(tmp_path / "mine.yaml", (old, new))
    with pytest.raises(ValueError) as error:
        read_recipe("cmri", path)
    message = str(error.value)
    assert message.startswith("Expected ") and "\n" not in message and str(path) in message and said in message


# ----------------------------------------------------------------------------------------------------------- the split


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text("0123456789abcdef", min_size=16, max_size=16), max_size=60), st.randoms(use_true_random=False))
def test_shares_of_a_split_whatever_the_order(participants, chance):
    def divided(order):
        parts = split_visits([Visit(name, 2, "normal heart", [f"{name}.png"]) for name in order], ["normal heart"])
        return {part: [item.path for item in items] for part, items in parts.items()}

    parts = divided(participants)
    paths = [f"normal_heart/{name}.png" for name in participants]
    assert sorted(path for some in parts.values() for path in some) == sorted(paths)
    for part, share in (("train", 0.5), ("val", 0.2), ("test", 0.3)):
        assert abs(len(parts[part]) - share * len(participants)) <= 1
    shuffled = list(participants)
    chance.shuffle(shuffled)
    assert divided(shuffled) == parts
