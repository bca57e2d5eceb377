"""The shell scripts: what they hand to the commands, from whichever folder they are called."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dassl.errors import UserError

ROOT = Path(__file__).parents[1]
SCRIPTS = [*sorted(ROOT.glob("scripts/**/*.sh")), ROOT / ".ci" / "run"]
STUB = r"""#!/bin/sh
[ "$2" = runs.named ] && exec "$REAL" "$@"
{ printf '%s\000' "$@"; printf '\001'; } >> "$CALLS"
"""


@pytest.fixture
def calls(tmp_path):
    """calls(script, *words, cwd=folder, NAME=value) -> the words of each call of `python`; none is carried out."""
    stub, file = tmp_path / "bin" / "python", tmp_path / "calls"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)

    def run(script: str, *words: str, cwd: Path = ROOT, code: int = 0, **environment: str) -> list[list[str]]:
        env = {
            "PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}",
            "NO_VENV": "1",
            "CALLS": str(file),
            "REAL": sys.executable,
        } | environment
        file.write_text("")
        line = ["bash", str(ROOT / "scripts" / script), *words]
        done = subprocess.run(line, env=env, cwd=cwd, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return [call.split("\0")[:-1] for call in file.read_text().split("\1")[:-1]]

    return run


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("coop/few_shot.sh", ("btmri", "1")),
        ("coop/base2new.sh", ("btmri", "1")),
        ("few_shot.sh", ("coop", "btmri", "1")),
        ("compare.sh", ("btmri", "1", "coop", "kgcoop")),
        ("vmfcoop/tune.sh", ("btmri", "1")),
        ("vmfcoop/ablation.sh", ("btmri", "1")),
    ],
)
def test_relative_paths_mean_the_callers_folder(calls, tmp_path, script, words):
    found = calls(script, *words, cwd=tmp_path, DATA="my chest", OUTPUT="results")
    roots = {after(call, "--root") for call in found if "--root" in call}
    assert roots == {str(tmp_path / "my chest")}
    outputs = {Path(after(call, "--output")) for call in found if "--output" in call}
    assert all(output.is_relative_to(tmp_path / "results") for output in outputs) and (outputs or "tune" in script)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("phantoms", "HERE/output")),
        ({"DATA": "phantoms"}, ("phantoms", "HERE/output")),
        ({"DATA": "/data", "OUTPUT": "/results"}, ("/data", "/results")),
    ],
)
def test_what_is_absolute_stays_and_output_is_in_the_callers_folder(calls, tmp_path, given, expected):
    for script in ("coop/few_shot.sh", "vmfcoop/ablation.sh"):
        (call,) = calls(script, "btmri", "1", cwd=tmp_path, **given)
        assert (after(call, "--root"), after(call, "--output").replace(str(tmp_path), "HERE")) == expected
    *_, call = calls("compare.sh", "btmri", "1", "coop", "kgcoop", cwd=tmp_path, **given)
    assert (after(call, "--root"), after(call, "--output").replace(str(tmp_path), "HERE")) == expected


def test_a_comparison_may_name_what_is_compared(calls):
    (*_, call) = calls("compare.sh", "btmri", "1", "coop", "kgcoop")
    assert "--against" not in call and after(call, "--methods") == "coop"
    (*_, call) = calls("compare.sh", "btmri", "1", "coop", "kgcoop", AGAINST="coop")
    assert after(call, "--against") == "coop"


def test_the_picture_of_a_comparison_lies_beside_its_runs(calls):
    (*_, call) = calls("compare.sh", "folder", "1", "coop", "kgcoop", DATA="/data/chest")
    assert call[:2] == ["-m", "report.compare"] and "--png" not in call


def test_from_the_repository_paths_stay_as_they_are_written(calls):
    (call,) = calls("coop/few_shot.sh", "btmri", "1", "local-dir:w", DATA="data", OUTPUT="o")
    assert [after(call, flag) for flag in ("--root", "--output", "--backbone")] == ["data", "o", "local-dir:w"]


@pytest.mark.parametrize("backbone", ["local-dir:w", "PhantomCLIP", "hf-hub:org/model", "local-dir:/w"])
def test_a_backbones_folder_is_the_callers_too(calls, tmp_path, backbone):
    expected = f"local-dir:{tmp_path / 'w'}" if backbone == "local-dir:w" else backbone
    (call,) = calls("coop/few_shot.sh", "btmri", "1", backbone, cwd=tmp_path)
    assert after(call, "--backbone") == expected
    (*_, call) = calls("vmfcoop/tune.sh", "btmri", "1", backbone, cwd=tmp_path)
    assert after(call, "--backbone") == expected


@pytest.mark.slow
def test_a_script_reads_images_and_writes_runs_where_it_is_called(tmp_path):
    from PIL import Image

    for number, name in enumerate(("normal", "tumour")):
        (tmp_path / "my chest" / name).mkdir(parents=True)
        for i in range(6):
            Image.linear_gradient("L").resize((32 + 8 * number, 32 + i)).save(tmp_path / "my chest" / name / f"{i}.png")
    env = os.environ | {"DATA": "my chest", "OUTPUT": "results", "NO_VENV": "1", "VMFCOOP_CACHE": "cache"}
    env |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
    line = ["bash", str(ROOT / "scripts/zeroshot/few_shot.sh"), "folder", "1", "PhantomCLIP"]
    done = subprocess.run(line, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "results").rglob("metrics.json"))) == 1 and any((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("words", ["btmri busi", "btmri,busi", "btmri, busi btmri"])
@pytest.mark.parametrize(
    ("script", "before", "command"),
    [
        ("coop/few_shot.sh", (), "train.py"),
        ("coop/base2new.sh", (), "train.py"),
        ("few_shot.sh", ("coop",), "train.py"),
        ("base2new.sh", ("coop",), "train.py"),
        ("vmfcoop/ablation.sh", (), "reproduce.ablation"),
        ("compare.sh", (), "report.compare"),
    ],
)
def test_several_data_sets_are_run_one_after_the_other(calls, words, script, before, command):
    more = ("coop", "kgcoop") if script == "compare.sh" else ()
    found = [call for call in calls(script, *before, words, "1 4", *more) if command in call]
    datasets = [after(call, "--dataset") for call in found]
    assert list(dict.fromkeys(datasets)) == ["btmri", "busi"]
    assert datasets == sorted(datasets) and datasets.count("btmri") == datasets.count("busi")
    if command == "train.py":
        expected = ["1", "4"] * 2 if "few_shot" in script else ["1", "1", "4", "4"] * 2
        assert [after(call, "--shots") for call in found] == expected


@pytest.mark.parametrize("script", ["coop/few_shot.sh", "coop/base2new.sh", "compare.sh", "vmfcoop/ablation.sh"])
def test_an_unknown_one_of_several_data_sets_is_told_before_anything_runs(calls, script):
    assert calls(script, "btmri brains", "1", *(["coop"] if script == "compare.sh" else []), code=1) == []


def test_all_data_sets_are_those_of_the_grid(calls):
    from datasets.catalogue import named_datasets

    found = calls("coop/few_shot.sh", "all", "1", code=0)
    assert [after(call, "--dataset") for call in found] == named_datasets() and len(found) == 14
    found = calls("coop/base2new.sh", "all", "1", code=0)
    novel = [after(call, "--dataset") for call in found if "train.py" in call and "--eval-only" in call]
    assert novel == named_datasets(novel=True) and "busi" not in novel


def test_each_of_several_data_sets_has_a_heading_and_the_usage_names_what_there_is():
    env = {"PATH": os.environ["PATH"], "NO_VENV": "1"}
    line = ["bash", str(ROOT / "scripts" / "tip_adapter" / "few_shot.sh")]
    told = subprocess.run(line, env=env, capture_output=True, text=True)
    assert told.returncode == 2 and "scripts/<method>/few_shot.sh DATASET SHOTS [BACKBONE]" in told.stderr
    (novel,) = re.findall(r"base2new\.sh likewise, of: (.*)", told.stderr)
    assert novel.split() == sorted(path.parent.name for path in ROOT.glob("scripts/*/base2new.sh"))
    assert "retina table" in told.stderr and "btmri busi" in told.stderr
    line = ["bash", "-c", f'source "{ROOT}/scripts/run.sh"; each_dataset few_shot echo coop "btmri busi" 16']
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = subprocess.run(line, env=env | {"PATH": path}, capture_output=True, text=True)
    assert [line for line in found.stdout.splitlines() if line] == [
        "== coop on btmri ==",
        "coop btmri 16",
        "== coop on busi ==",
        "coop busi 16",
    ]


@pytest.mark.parametrize("seeds", ["1,2,3", "1 2 3", "1, 2, 3", " 1 2  3 "])
def test_seeds_with_commas(calls, seeds):
    import train

    (call,) = calls("coop/few_shot.sh", "btmri", "1", SEEDS=seeds)
    assert train.parse(call[1:]).seeds == (1, 2, 3)


@pytest.mark.parametrize(
    ("words", "seeds", "opts"),
    [
        (["1,2,3"], [1, 2, 3], []),
        (["1", "2,3", "OPTIM.LR", "1"], [1, 2, 3], ["OPTIM.LR", "1"]),
        (["1", "INPUT.SIZE", "(1,2)"], [1], ["INPUT.SIZE", "(1,2)"]),
        (["2,2,1"], [2, 1], []),
        (["1,", "2"], [1, 2], []),
        (
            ["1", "INPUT.GREY_RANGE", "-160:240", "OPTIM.LR", "-1e-3"],
            [1],
            ["INPUT.GREY_RANGE", "-160:240", "OPTIM.LR", "-1e-3"],
        ),
        ([], [], []),
    ],
)
def test_seeds_of_the_command(words, seeds, opts):
    import train

    spec = train.parse(["--trainer", "CoOp", *(["--seed", *words] if words else [])])
    assert (list(spec.seeds), spec.words) == (seeds, opts)


@pytest.mark.parametrize("words", ["a", "1 2 a", "1.5", "1;2", "one OPTIM.LR 1"])
def test_a_seed_that_is_no_number_is_told_as_a_seed(words):
    import train

    with pytest.raises(UserError, match=r"Expected seeds such as 1 2 3 or 1,2,3 \(--seed, SEEDS\), but got '"):
        train.parse(["--seed", *words.split()])


@pytest.mark.parametrize("words", ["OPTIM.MAX_EPOCH=3 PROTOCOL best", "USE_CUDA=False", "LAMBDA_ANC 10", "optim.lr 1"])
def test_words_after_seeds_that_look_like_settings_are_settings(words):
    import train

    spec = train.parse(["--seed", "1", *words.split()])
    assert spec.seeds == (1,) and spec.options + ((spec.protocol,) if spec.protocol else ())


def test_key_equals_value_is_a_setting_in_every_command():
    import grid.__main__ as grid
    import train
    from reproduce import ablation
    from tuning import __main__ as tuning

    words, found = ["OPTIM.MAX_EPOCH=3", "OPTIM.LR", "0.1"], (("OPTIM.MAX_EPOCH", "3"), ("OPTIM.LR", "0.1"))
    assert train.parse(["--seed", "1", *words]).options == found
    assert train.parse(["--output", "o", *words]).options == found
    line = ["--datasets", "btmri", "--shots", "1"]
    assert grid.parse(["--methods", "coop", *line, *words])[0].template.options == found
    assert tuning.parse(["--trainer", "vMFCoOp", *line, *words])[0].template.options == found
    assert ablation.parse(["--dataset", "btmri", "--shots", "1", *words])[0].options == found
    with pytest.raises(UserError, match=r"OPTIM\.LR has none: write KEY VALUE"):
        train.parse(["--output", "o", "OPTIM.MAX_EPOCH=3", "OPTIM.LR"])


@pytest.mark.parametrize(
    ("opts", "words"),
    [
        ("", []),
        ("   ", []),
        ("A.B 1  C.D 2", ["A.B", "1", "C.D", "2"]),
        ("A.B 'two words' C.D \"it's\"", ["A.B", "two words", "C.D", "it's"]),
        ("A.B * C.D $(touch HERE) E.F `touch HERE` G.H $HOME I.J ~ K.L ;", None),  # as written
        ("A.B two\\ words", ["A.B", "two words"]),
        ("A.B ''", ["A.B", ""]),
        ("A.B 1\nC.D 2", ["A.B", "1", "C.D", "2"]),
    ],
)
@pytest.mark.parametrize("script", ["coop/few_shot.sh", "coop/base2new.sh", "vmfcoop/tune.sh"])
def test_opts_are_words_and_nothing_in_them_is_run(calls, tmp_path, script, opts, words):
    for call in calls(script, "btmri", "1", cwd=tmp_path, OPTS=opts):
        words = opts.split() if words is None else words
        if call[0] == "train.py" or "tuning" in call:
            assert call[len(call) - len(words) :] == words and call[-len(words) - 1] not in words[:1]
            assert any(call[-len(words) - 1 - back].startswith("--") for back in (0, 1))
    assert not (tmp_path / "HERE").exists() and not (ROOT / "HERE").exists()


@pytest.mark.parametrize("opts", ["A.B 'open", 'A.B "open'])
def test_an_open_quote_is_told(calls, opts):
    assert calls("coop/few_shot.sh", "btmri", "1", OPTS=opts, code=2) == []


def test_a_comparison_has_protocols_behind_names_alone(calls):
    assert calls("compare.sh", "btmri", "1", "lppp", "coop", OPTS="A.B 1 PROTOCOL published", code=2) == []
    first, *_ = calls("compare.sh", "btmri", "1", "lppp:published", "coop", OPTS="A.B 1")
    assert after(first, "--trainer") == "lppp:published"


def test_trainers_of_another_checkout_can_be_compared(calls, tmp_path):
    names = ("CoOp_BiomedCLIP", "coop")
    *runs, table = calls("compare.sh", "btmri", "1", *names, cwd=tmp_path, WITH="../Bio Med", OPTS="A.B 1")
    assert [(after(call, "--trainer"), after(call, "--with")) for call in runs] == [
        (name, f"{tmp_path}/../Bio Med") for name in names
    ]
    at = table.index("--methods") + 1
    assert runs[0][-2:] == table[-2:] == ["A.B", "1"] and tuple(table[at : at + 2]) == names and "--with" not in table


def test_our_toolbox_comes_before_another_dassl():
    """With NO_VENV=1 in an environment that has one."""
    code = f'source "{ROOT}/scripts/env.sh"; echo "$PYTHONPATH"'
    found = subprocess.check_output(
        ["bash", "-c", code], env={"PATH": os.environ["PATH"], "PYTHONPATH": "/theirs"}, text=True
    )
    assert found.strip().split(":") == [str(ROOT), str(ROOT / "toolbox"), "/theirs"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shellcheck_finds_nothing(script):
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not shellcheck:
        pytest.skip('shellcheck is not installed (pip install -e ".[test]")')
    done = subprocess.run([shellcheck, "-x", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_evaluated(script):
    assert not re.search(r"^[^#]*\beval\b(?!-)", script.read_text(), re.MULTILINE)
