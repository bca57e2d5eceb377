"""What the console shows of runs: few lines, as all else is in their logs."""

import io
import multiprocessing
import re
import shutil
from pathlib import Path

import pytest

import train
from datasets.base import PHANTOM_NOTICE
from runs import tally
from runs.labelled import Labelled
from runs.screen import Screen
from tests.conftest import CLASSES
from tests.run_folders import run_folder
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.stored_features import StoredFeatures

pytestmark = pytest.mark.usefixtures("tiny")
SEVERAL = ("--seed", 1, 2, 3)


def test_a_run_of_three_seeds_is_eight_lines_and_each_log_has_all_of_its_own(flags, tmp_path, capsys):
    assert train.main(flags("CoOp", more=SEVERAL)) == 0
    shown, err = capsys.readouterr()
    head, settings, place, trained, *results = shown.splitlines()
    assert re.fullmatch(r"CoOp on btmri, 2 shots, seeds 1 2 3, PhantomCLIP, cpu", head)
    assert "OPTIM.LR 0.002, OPTIM.MAX_EPOCH 3" in settings and "TRAINER.COOP.VIEWS none" in settings
    assert place.endswith("CoOp_PhantomCLIP/nctx4_cscFalse_ctpend__OPTIM.MAX_EPOCH=3/seed{1,2,3}")
    assert re.fullmatch(r"trained in \d+ s: epoch 3 of 3, loss \d+\.\d{3}", trained)
    for seed, line in enumerate(results, start=1):
        log = (run_folder(tmp_path, "CoOp", seed=seed) / "log.txt").read_text()
        for text in (
            "** Config **",
            "** System info **",
            "Loading trainer: CoOp",
            "# train_x",
            "epoch [3/3]",
            "=> result",
        ):
            assert text in log
        accuracy = re.search(r"\* accuracy: (\d+\.\d\d)%", log)[1]
        assert line.startswith(f"seed {seed}: accuracy {accuracy}, macro-F1 ") and "seed " not in log.splitlines()[-1]
    assert len(results) == 3 and err == ""


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_encoding_images_is_no_part_of_the_time_of_a_step(flags, monkeypatch, seeds):
    happened = []
    views, begin, end = StoredFeatures.views, FeatureTrainer.begin_steps, FeatureTrainer.end_step
    monkeypatch.setattr(StoredFeatures, "views", lambda *a: happened.append("encode") or views(*a))
    monkeypatch.setattr(FeatureTrainer, "begin_steps", lambda *a: happened.append("begin") or begin(*a))
    monkeypatch.setattr(FeatureTrainer, "end_step", lambda *a: happened.append("end") or end(*a))
    assert train.main(flags("vMFCoOp", "FEATURES.VIEWS", 1, more=("--seed", *seeds))) == 0
    count = len(seeds)
    assert happened[: 2 * count + 1] == ["encode"] * count + ["begin"] * count + ["end"]


def test_a_verbose_run_shows_all_with_the_seed_before_each_line(flags, tmp_path, capsys):
    assert train.main(flags("CoOp", "VERBOSE", True, more=SEVERAL)) == 0
    shown = capsys.readouterr().out
    assert shown.count("** Config **") == shown.count("Loading trainer") == 1
    for seed in (1, 2, 3):
        log = (run_folder(tmp_path, "CoOp", seed=seed) / "log.txt").read_text()
        assert "** Config **" in log and "Loading trainer" in log and "seed 1 | " not in log
        assert f"seed {seed} | * accuracy: " in shown and f"seed {seed} | epoch [3/3]" in shown
        assert (f"seed {seed} | Built as seed 1" in shown) == (seed > 1)


def test_a_verbose_run_alone_has_no_label(flags, capsys):
    assert train.main(flags("CoOp", "VERBOSE", True)) == 0
    shown = capsys.readouterr().out
    assert "epoch [3/3]" in shown and "seed 1 | " not in shown


def test_finished_seeds_are_one_line(flags, capsys):
    assert train.main(flags("CoOp", more=("--seed", 1, 2))) == 0
    capsys.readouterr()
    assert train.main(flags("CoOp", more=SEVERAL)) == 0
    first, head, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("Finished already, nothing to do: seeds 1 2 in ") and first.endswith("seed{1,2}")
    assert "seed 3" in head


def test_what_is_left_out_or_found_wrong_is_told_once_for_all_seeds(flags, data_root, tmp_path, capsys):
    root = Path(shutil.copytree(data_root / "BTMRI" / "BTMRI", tmp_path / "mine"))
    folder = root / CLASSES[0].replace(" ", "_")
    shutil.copy(folder / "test0.png", folder / "zz.png")
    assert train.main(flags("CoOp", root=root, dataset="folder", more=SEVERAL)) == 0
    shown = capsys.readouterr().out
    assert len(re.findall(r"^Images found: \d+ \.png$", shown, re.MULTILINE)) == 1
    assert "WARNING" in shown and shown.count("\n") < 20


def test_lines_are_told_with_their_seeds_unless_all_say_them(capsys):
    screen = Screen("runs", (1, 2, 3), known=[PHANTOM_NOTICE])
    for seed in (1, 2, 3):
        screen.voice(seed).write(f"of all\n{PHANTOM_NOTICE}\n")
    screen.say(2, "of one")
    screen.say(1, "of two")
    screen.say(3, "of two")
    screen.flush()
    screen.say(1, "of all")  # once is enough
    screen.flush()
    assert capsys.readouterr().out == "of all\nseed 2: of one\nseeds 1 3: of two\n"


def test_a_process_that_loads_images_tells_at_once(capfd):
    voice = Screen("runs", (1, 2)).voice(1)
    worker = multiprocessing.get_context("fork").Process(target=voice.write, args=("a picture has no colours\n",))
    worker.start()
    worker.join()
    assert capfd.readouterr().out == "a picture has no colours\n"


def test_an_error_of_several_seeds_is_printed_once(flags, capsys):
    assert train.main(flags("vMFCoOp", "PROMPTS.LLM", "nobody", more=SEVERAL)) == 1
    err = capsys.readouterr().err
    assert err.startswith('error: Expected prompts by "nobody"') and err.count("\n") == 1


def test_every_line_of_a_verbose_run_begins_with_its_label():
    stream = io.StringIO()
    labelled = Labelled(stream, "seed 1 | ")
    labelled.write("a\n\nb")
    labelled.write("c\nd\n")
    labelled.silent = True
    labelled.write("e\n")
    assert stream.getvalue() == "seed 1 | a\n\nseed 1 | bc\nseed 1 | d\n"


def test_commands_note_their_runs_and_a_loop_tells_how_many_failed_and_why(flags, tmp_path, monkeypatch, capsys):
    file = tmp_path / "tally"
    monkeypatch.setenv(tally.VARIABLE, str(file))
    assert train.main(flags("CoOp", more=SEVERAL, output=tmp_path / "o")) == 0
    assert train.main(flags("vMFCoOp", "PROMPTS.LLM", "nobody", more=("--seed", 1, 2), output=tmp_path / "o")) == 1
    capsys.readouterr()
    assert tally.main([str(file)]) == 0
    first, reason = capsys.readouterr().out.splitlines()
    assert first == "2 of 5 runs failed."
    assert reason.startswith('failed: vMFCoOp on btmri, K = 2, seeds 1 2: Expected prompts by "nobody"')
