import pytest

from report.render import mean_std, p_value, render


def test_formats():
    table = (["run", "macro_f1 (%)"], [["seed1", "77.08 ± 1.36"]])
    assert render(*table, "text").splitlines()[1:] == ["-----  --------------", "seed1    77.08 ± 1.36"]
    assert render(*table, "markdown").splitlines()[0] == "| run   |   macro_f1 (%) |"
    assert render(*table, "csv") == "run,macro_f1 (%)\nseed1,77.08 ± 1.36"
    latex = render(*table, "latex")
    assert r"macro\_f1 (\%)" in latex
    assert r"77.08 $\pm$ 1.36" in latex


def test_cells():
    assert mean_std([76.0, 78.0, 80.0]) == "78.00 ± 1.63"  # population std sqrt(8 / 3)
    assert mean_std([76.0]) == "76.00"
    assert mean_std([]) == "-"


@pytest.mark.parametrize(("p", "shown"), [(None, "-"), (1.0, "1"), (0.03125, "0.031"), (1.9e-6, "1.9e-06")])
def test_p_values_have_two_digits(p, shown):
    assert p_value(p) == shown
