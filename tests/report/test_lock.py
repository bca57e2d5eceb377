"""requirements.lock: versions that runs recorded, of packages that this code needs and of no others."""

import pytest
from packaging.requirements import Requirement

from report import lock
from report.__main__ import main
from report.collect import find_all

VERSIONS = {"python": "3.11.2", "torch": "2.14.1+cu130", "numpy": "2.4.6", "vmfcoop": "0.1.0"}


def written(tmp_path) -> tuple[list[str], list[str]]:
    told = lock.write(find_all(tmp_path / "output"), tmp_path / "to", tmp_path)
    path = tmp_path / "to" / "requirements.lock"
    return told, path.read_text().splitlines() if path.exists() else []


def test_versions_are_pins_for_pip(write_run, tmp_path):
    for seed in (1, 2):
        write_run(seed=seed, versions=VERSIONS, commit="9af3e4d01b2c3d4e5f60718293a4b5c6d7e8f901")
    told, lines = written(tmp_path)
    assert told == [f"Versions of the runs: {tmp_path / 'to' / 'requirements.lock'}"]
    assert lines == [
        "# Versions of 2 runs; in a checkout of the commit: pip install -e . -c requirements.lock",
        "# python: 3.11.2",
        "# commit: 9af3e4d01b2c",
        "torch==2.14.1  # built as 2.14.1+cu130",
        "# vmfcoop: 0.1.0",
        "numpy==2.4.6",
    ]


def test_versions_that_differ_are_told_in_the_file_and_on_the_console(write_run, tmp_path):
    for seed, numpy in ((1, "2.4.6"), (2, "2.3.0"), (3, "2.4.6")):
        write_run(seed=seed, versions=VERSIONS | {"numpy": numpy})
    (line, _), lines = written(tmp_path)
    assert "numpy==2.4.6  # of 2.4.6 (2 runs), 2.3.0 (1 run)" in lines
    assert line == (
        "Versions differ between runs: numpy 2.4.6 (2 runs), 2.3.0 (1 run); requirements.lock has the most frequent."
    )


@pytest.mark.parametrize(
    "found",
    [
        {"evil": "1.0"},
        {"--index-url": "1.0"},
        {"-r /etc/passwd": "1.0"},
        {"numpy": "1.0 ; x"},
        {"numpy": "@ https://host/x.whl"},
        {"numpy": "1.0 --hash=x"},
        {"numpy @ https://host/x.whl": "1.0"},
        {"vmfcoop": "1.0"},
    ],
)
def test_nothing_is_named_that_a_stranger_could_have_installed(write_run, tmp_path, found):
    write_run(versions=found | {"torch": "2.14.1"})
    _, lines = written(tmp_path)
    asked = [line for line in lines if not line.startswith("#")]
    assert asked == ["torch==2.14.1"]


def test_every_line_is_read_by_pip(write_run, tmp_path):
    from runs.versions import versions

    write_run(versions=versions())
    _, lines = written(tmp_path)
    pins = {Requirement(line.split("#")[0].strip()).name for line in lines if not line.startswith("#")}
    assert {"torch", "numpy", "scikit-learn", "safetensors"} <= pins


def test_no_versions_no_file(write_run, tmp_path, undrawn, capsys):
    write_run()
    assert written(tmp_path) == (["No requirements.lock: no run has recorded versions."], [])
    assert main([str(tmp_path / "output")]) == 0
    assert "No requirements.lock: no run has recorded versions." in capsys.readouterr().out
