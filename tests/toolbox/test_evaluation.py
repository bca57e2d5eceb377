"""The classification evaluator."""

import pytest
import torch

from dassl.evaluation import EvaluatorBase, build_evaluator

NAMES = {0: "cyst", 1: "stone", 2: "tumor"}


def scores(predictions):
    return torch.nn.functional.one_hot(torch.tensor(predictions), 3).float()


@pytest.fixture
def evaluator(cfg):
    cfg.TEST.PER_CLASS_RESULT = True
    cfg.TEST.COMPUTE_CMAT = True
    evaluator = build_evaluator(cfg, lab2cname=NAMES)
    evaluator.process(scores([0, 0, 1]), torch.tensor([0, 0, 0]))
    evaluator.process(scores([1, 0, 0, 1]), torch.tensor([1, 1, 1, 0]))
    return evaluator


def test_results_by_hand(evaluator):
    results = evaluator.evaluate()
    assert list(results) == ["accuracy", "error_rate", "macro_f1", "perclass_accuracy"]
    assert results["accuracy"] == pytest.approx(100 * 3 / 7)
    assert results["error_rate"] == pytest.approx(100 * 4 / 7)
    # class 0: 2 of 4 found, 2 of 4 right; class 1: 1 of 3 found, 1 of 3 right; class 2 does not occur
    assert results["macro_f1"] == pytest.approx(100 * (1 / 2 + 1 / 3) / 2)
    assert results["perclass_accuracy"] == pytest.approx(100 * (1 / 2 + 1 / 3) / 2)
    assert all(type(value) is float for value in results.values())


def test_lines(evaluator, capsys, cfg):
    capsys.readouterr()
    evaluator.evaluate()
    assert capsys.readouterr().out.splitlines() == [
        "=> result",
        "* total: 7",
        "* correct: 3",
        "* accuracy: 42.86%",
        "* error: 57.14%",
        "* macro_f1: 41.67%",
        "=> per-class result",
        "* class: 0 (cyst)\ttotal: 4\tcorrect: 2\tacc: 50.00%",
        "* class: 1 (stone)\ttotal: 3\tcorrect: 1\tacc: 33.33%",
        "* average: 41.67%",
        f"Confusion matrix is saved to {cfg.OUTPUT_DIR}/cmat.pt",
    ]


def test_thousands_have_commas(cfg, capsys):
    evaluator = build_evaluator(cfg)
    labels = torch.zeros(1717, dtype=torch.long)
    labels[:1323] = 1
    evaluator.process(scores([1] * 1717), labels)
    assert list(evaluator.evaluate()) == ["accuracy", "error_rate", "macro_f1"]
    assert "* total: 1,717\n* correct: 1,323\n* accuracy: 77.05%\n" in capsys.readouterr().out


def test_confusion_matrix_is_a_tensor(evaluator, cfg):
    evaluator.evaluate()
    matrix = torch.load(f"{cfg.OUTPUT_DIR}/cmat.pt", weights_only=True)
    expected = torch.tensor([[1 / 2, 1 / 2, 0], [2 / 3, 1 / 3, 0], [0, 0, 0]])
    assert torch.allclose(matrix, expected.double())


def test_reset_and_nothing_to_evaluate(evaluator):
    evaluator.reset()
    with pytest.raises(ValueError, match="no batch was processed"):
        evaluator.evaluate()
    evaluator.process(scores([2]), torch.tensor([2]))
    assert evaluator.evaluate()["accuracy"] == 100.0


def test_per_class_results_need_names(cfg):
    cfg.TEST.PER_CLASS_RESULT = True
    with pytest.raises(ValueError, match=r"class names for TEST\.PER_CLASS_RESULT"):
        build_evaluator(cfg)


def test_base_is_abstract(cfg):
    base = EvaluatorBase(cfg)
    for call in (base.reset, base.evaluate, lambda: base.process(None, None)):
        with pytest.raises(NotImplementedError):
            call()
