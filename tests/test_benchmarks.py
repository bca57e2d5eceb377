"""What `python -m benchmarks` says."""

from benchmarks import __main__ as benchmarks


def test_it_names_the_scripts_in_one_line(capsys):
    assert benchmarks.main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "python benchmarks/few_shot_cost.py" in line and "timing.py" not in line
