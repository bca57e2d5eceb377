"""Registries, and the sentences that say what exists."""

import pytest

from dassl.data.datasets import build_dataset
from dassl.engine import build_trainer
from dassl.errors import UserError
from dassl.evaluation import build_evaluator
from dassl.utils import Registry, check_availability


def test_register_get_and_list():
    registry = Registry("SHAPE")

    @registry.register()
    class Circle:
        pass

    class Square:
        pass

    registry.register(Square)
    assert registry.registered_names() == ["Circle", "Square"]
    assert registry.get("Circle") is Circle
    assert registry.get("Square") is Square


def test_a_name_is_taken_once_unless_forced():
    registry = Registry("SHAPE")
    registry.register(dict)
    with pytest.raises(KeyError, match="dict is registered already: rename one"):
        registry.register(dict)
    other = type("dict", (), {})
    registry.register(other, force=True)
    assert registry.get("dict") is other


def test_unknown_names_list_what_exists():
    registry = Registry("SHAPE")
    with pytest.raises(KeyError, match="shape, but got 'Circle', and none is registered: import its module"):
        registry.get("Circle")
    registry.register(dict)
    with pytest.raises(KeyError, match=r"shape to be one of dict, but got 'dic': did you mean 'dict'\?"):
        registry.get("dic")
    check_availability("a", ["a", "b"])
    with pytest.raises(ValueError, match="name to be one of a, b, but got 'zzz': choose one of these"):
        check_availability("zzz", ["a", "b"])


@pytest.mark.parametrize(
    ("key", "build", "kind", "existing"),
    [
        ("TRAINER.NAME", build_trainer, "trainer", "ToyCoOp"),
        ("DATASET.NAME", build_dataset, "dataset", "ToySquares"),
        ("TEST.EVALUATOR", build_evaluator, "evaluator", "Classification"),
    ],
)
def test_build_with_an_unknown_name(cfg, key, build, kind, existing):
    cfg.merge_from_list([key, existing + "x"])
    with pytest.raises(
        UserError, match=rf"{kind} to be one of .*{existing}.*, but got '{existing}x': did you mean '{existing}'\?"
    ) as e:
        build(cfg)
    assert "\n" not in str(e.value)


def test_build_says_what_it_loads_if_verbose(cfg, capsys):
    build_evaluator(cfg)
    assert capsys.readouterr().out == "Loading evaluator: Classification\n"
    cfg.VERBOSE = False
    build_evaluator(cfg)
    assert capsys.readouterr().out == ""
