"""Whether sentences name what is drawn: the figures on hand-made pictures, and the tables."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.phantoms import Phantom, find_phantom, prepare, sample
from datasets.phantoms.folder import Counts, seed_of
from reproduce import sentences
from reproduce.sentence_figures import (
    Decided,
    Ranked,
    Sentences,
    all_scores,
    auroc,
    captions,
    draw_one,
    rank,
    rank_classes,
)
from reproduce.sentence_scores import CHOSEN, SCORES

ATTRIBUTES = ("ring", "oedema", "tail", "smooth")
CLASSES = {
    "glioma": {"ring": 0.6, "oedema": 0.8, "tail": 0.2, "view": 0.5},
    "meningioma": {"ring": 0.3, "tail": 0.7, "smooth": 0.6, "view": 0.5},
}
PHANTOM = Phantom("Brain", CLASSES, ["a scan"], {a: [f"a {a}"] for a in (*ATTRIBUTES, "view")}, draw=None)


def made(blind: bool = False) -> tuple[Decided, Sentences]:
    """40 pictures whose features are their attributes, or noise; each attribute is a sentence of its classes."""
    rng, eye = np.random.default_rng(0), torch.eye(4).double()
    labels = torch.arange(40) % 2
    drawn = [PHANTOM.draw_attributes(rng, list(CLASSES)[label]) for label in labels]
    pictures = torch.stack([sum((eye[i] for i, a in enumerate(ATTRIBUTES) if a in some), 0 * eye[0]) for some in drawn])
    if blind:
        pictures = torch.from_numpy(rng.normal(size=(40, 4)))
    own = [[a for a in ATTRIBUTES if a in CLASSES[name]] for name in CLASSES]
    features = [torch.stack([eye[ATTRIBUTES.index(a)] for a in some]) for some in own]
    named = [[frozenset([a]) for a in some] for some in own]
    directions = torch.tensor([[0.3, 0.8, -0.5, -0.6], [-0.3, -0.8, 0.5, 0.6]]).double()
    template, bank = torch.ones(2, 4).double(), [["a"], ["b"]]  # it tells no class from the other
    decided = Decided(
        PHANTOM, pictures, drawn, labels, labels, 1 - labels, directions, template, pictures.mean(dim=0), bank
    )
    return decided, Sentences(features, named)


def test_pictures_that_are_their_attributes_rank_what_is_drawn_first():
    found = rank(*made(), SCORES["the picture alone"])
    told = [each for each in found if not math.isnan(each.drawn)]
    assert len(told) > 20 and np.mean([each.drawn for each in told]) > 0.95
    assert np.mean([each.other for each in told]) < 0.85
    assert np.mean([each.first for each in told]) == 1 and np.mean([each.other_first for each in told]) < 0.9
    assert 0.3 < np.mean([each.chance for each in told]) < 0.8
    assert sentences.interval([sentences.gains(found)])[1] > 0


def test_what_speaks_is_drawn_and_more_frequent_than_in_the_runner_up():
    decided, texts = made()
    i = next(i for i in range(40) if {"ring", "tail"} <= decided.drawn[i] and decided.labels[i] == 0)
    texts = texts._replace(
        features=[torch.eye(4).double()[[0, 2]], texts.features[1]], named=[[{"ring"}, {"tail"}], texts.named[1]]
    )
    decided = decided._replace(pictures=decided.pictures.index_fill(0, torch.tensor([i]), 0) + 0)
    for first, expected in (([1.0, 0.5], 1.0), ([0.5, 1.0], 0.0)):

        def score(seen, first=first):
            own = torch.tensor(first).double() if seen.label == 0 else torch.zeros(len(seen.sentences[1]))
            return own.expand(len(seen.pictures), -1)

        found = rank(decided, texts, score)[i]
        assert found.speaks == expected  # a ring speaks for a glioma, a tail against it
        assert math.isnan(found.drawn) and found.chance == 1  # both are drawn


def test_a_score_sees_the_pictures_of_one_class_and_runner_up_with_its_gain():
    decided, texts = made()
    directions = torch.tensor([[1.0, 2.0, 4.0, 8.0], [0.5, 0.5, 0.0, 0.0]]).double()

    def score(seen):
        assert (seen.label, seen.other) in ((0, 1), (1, 0)) and len(seen.pictures) == 20
        return (seen.pictures @ seen.gain)[:, None].expand(-1, len(seen.sentences[seen.label]))

    found = all_scores(decided._replace(directions=directions), texts, score)
    gains = [(directions[0] - directions[1]) * (1 - 2 * label) for label in decided.labels]
    for picture, gain, own, label in zip(decided.pictures, gains, found, decided.labels, strict=True):
        assert own.tolist() == pytest.approx([(picture @ gain).item()] * len(texts.named[label]))


def test_sentences_that_name_nothing_or_what_is_half_drawn_are_left_out():
    decided, texts = made()
    half = texts.named[0] + [frozenset(), frozenset(["ring", "oedema"])]
    more = texts._replace(
        features=[torch.cat([texts.features[0], torch.eye(4).double()[:2]]), texts.features[1]],
        named=[half, texts.named[1]],
    )
    i = next(i for i in range(40) if len(decided.drawn[i] & {"ring", "oedema"}) == 1 and decided.labels[i] == 0)

    def score(seen):
        return torch.arange(5.0).expand(len(seen.pictures), -1)[:, : len(seen.sentences[seen.label])]

    assert rank(decided, more, score)[i].drawn == rank(decided, texts, score)[i].drawn


def test_blind_pictures_gain_nothing_and_the_table_says_so():
    decided, texts = made(blind=True)
    seen, told = made()
    half = {
        name: [sentences.Measured(*pair)]
        for name, pair in {"blind": (decided, {"bank": texts}), "seen": (seen, {"bank": told})}.items()
    }
    table = sentences.confirmation_table(half, "bank")
    assert table.endswith("No gain beyond chance: blind.")
    assert abs(sentences.averages({"blind": rank(decided, texts, SCORES[CHOSEN])}, "drawn") - 0.5) < 0.15
    assert sentences.confirmation_table({"seen": half["seen"]}, "bank").endswith("beyond chance on every data set.")


def test_a_class_moves_towards_what_is_more_frequent_in_it():
    decided, texts = made()
    assert rank_classes(decided, texts) == [1.0, 1.0]
    turned = decided._replace(directions=-decided.directions)
    assert max(rank_classes(turned, texts)) < 0.5


@pytest.mark.parametrize("name", SCORES)
def test_every_score_has_a_value_for_each_picture_and_sentence(name):
    decided, texts = made()
    found = rank(decided, texts, SCORES[name])
    assert len(found) == 40 and all(0 <= each.drawn <= 1 for each in found if not math.isnan(each.drawn))


def test_the_interval_is_that_of_a_mean():
    rng = np.random.default_rng(0)
    samples = [rng.normal(0.3, 1.0, 400), rng.normal(0.5, 1.0, 400)]
    mean, low, high = sentences.interval(samples)
    assert mean == pytest.approx(np.mean([some.mean() for some in samples]))
    assert (high - low) / 2 == pytest.approx(1.96 / math.sqrt(800), rel=0.1) and low < mean < high


def test_auroc_counts_pairs():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 4, 30).astype(float), rng.random(30) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a in scores[truth] for b in scores[~truth]]
    assert auroc(scores, truth) == pytest.approx(np.mean(pairs))
    assert math.isnan(auroc(scores, np.ones(30, bool)))


def test_captions_name_one_attribute_each_that_is_drawn_in_their_class():
    class Store:
        def texts(self, texts):
            return torch.tensor([[float(len(text))] for text in texts])

    retina = find_phantom("retina")
    texts = captions(Store(), made()[0]._replace(phantom=retina), seed=1, count=20)
    for name, named in zip(retina.classes, texts.named, strict=True):
        assert len(named) == 20 and all(len(some) == 1 for some in named)
        assert set().union(*named) <= set().union(
            *(retina.draw_attributes(np.random.default_rng(i), name) for i in range(300))
        )
    assert draw_one(np.random.default_rng(0), PHANTOM, "glioma", frozenset(["tail"])) == "tail"


def test_the_attributes_are_those_of_the_picture_in_the_file(tmp_path):
    prepare("busi", tmp_path, progress=False, counts=Counts(train=2, val=1, test_total=6))
    split = json.loads((tmp_path / "BUSI" / "split_BUSI.json").read_text())
    for part in ("train", "val", "test"):
        for path, _, classname in split[part]:
            picture, attributes = sample("busi", classname, seed_of(path))
            assert np.array_equal(np.asarray(Image.open(tmp_path / "BUSI" / "BUSI" / path)), picture)
            assert attributes <= set(find_phantom("busi").phrases)


def test_the_command_writes_between_its_marks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("datasets.base.PHANTOM_ROOT", tmp_path / "phantoms")
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{sentences.BEGIN}\nof another day\n{sentences.END}\n\n## After\n")
    words = ["--development", "--confirmation", "busi", "--pictures", "30", "--seeds", "1", "--to", str(page)]
    assert sentences.main(words) == 0
    text = page.read_text()
    assert text.startswith(f"before\n\n{sentences.BEGIN}\n") and text.endswith(f"{sentences.END}\n\n## After\n")
    assert "of another day" not in text and "<folder>/page.md" in text and str(tmp_path) not in text
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| busi")]
    assert [int(row[2]) > 60 and int(row[3]) > 15 and float(row[4]) > 0.6 for row in rows] == [True, True]
    assert "**Phantom figures.**" in text and "Development" not in text
    assert sentences.main([*words[:-1], str(tmp_path / "new.md")]) == 0
    assert (tmp_path / "new.md").read_text().startswith(sentences.BEGIN)
    page.write_text(sentences.BEGIN)
    capsys.readouterr()
    assert sentences.main(words) == 1 and "Expected both marks" in capsys.readouterr().err


def test_the_development_table_compares_all_scores():
    decided, texts = made()
    half = {"seen": [sentences.Measured(decided, {"captions": texts, "bank": texts})] * 2}
    table = sentences.text_of(half, {}, "python -m reproduce sentences")
    assert all(f"| {name}" in table for name in SCORES) and f"{CHOSEN} (chosen)" in table


def test_a_sample_is_printed_for_a_person(capsys):
    assert sentences.main(["--development", "btmri", "--confirmation", "--sample", "5"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert int(first.split()[0]) > 10 and len(lines) == 5 and all(line.startswith("btmri, ") for line in lines)


def test_figures_of_several_seeds_are_averaged_picture_by_picture():
    nan = float("nan")
    one, two = Ranked(0.5, 0.25, nan, 1, 0.5, nan), Ranked(1.0, nan, 0.5, 0, 0.5, nan)
    (found,) = sentences.averaged([[one], [two]])
    assert found[:5] == (0.75, 0.25, 0.5, 0.5, 0.5) and math.isnan(found.chance)
