"""A trainer of another checkout runs with the checkout's own settings, says which, and does not run without any."""

import shutil
from pathlib import Path

import pytest

import train
from checkouts.settings import Settings, find_settings
from dassl.config import get_cfg_default
from dassl.errors import UserError
from runs.config import configure
from tests.checkouts import small_checkout
from trainers.base.digests import config_digest

TINY, STRAY, SILENT = "Tiny_PhantomCLIP", "Stray_PhantomCLIP", "Silent_PhantomCLIP"
FEW_SHOT, VIT = "scripts/tiny/few_shot.sh", "configs/trainers/Tiny/vit.yaml"
CHOSEN = ("OPTIM.LR", 0.5, "OPTIM.MAX_EPOCH", 3, "DATALOADER.TRAIN_X.BATCH_SIZE", 4)


@pytest.fixture
def small(tmp_path):
    """`small(path=text, ...)`: a checkout in which files have other texts."""
    return lambda **changed: small_checkout.write(tmp_path / "Small", **changed)


@pytest.fixture
def configured(flags):
    """`configured(folder, trainer, key, value, ...)`: the configuration of a run with that checkout."""

    def make(folder: Path, trainer: str, *opts, more=(), **kwargs):
        return configure(train.parse(flags(trainer, *opts, more=("--with", folder, *more), **kwargs)), 1)

    return make


def script(trainer: str, config: str, *words: str) -> str:
    """A script that trains a trainer with a yaml file."""
    return f"python train.py --trainer {trainer} --config-file {config} {' '.join(words)}\n"


def test_the_order_is_that_of_the_checkout_and_what_the_user_says_comes_last(small, configured, tmp_path):
    """Dassl's defaults, its yaml of the data set and of the trainer, its pairs; the user's yaml and pairs."""
    cfg = configured(small(), TINY)
    assert (cfg.OPTIM.GAMMA, cfg.OPTIM.LR, cfg.TRAINER.TINY.SIDE) == (0.75, 0.0625, 3)
    assert (cfg.OPTIM.LR_SCHEDULER, cfg.OPTIM.WARMUP_EPOCH) == ("single_step", -1)  # not those of our common.yaml
    assert (cfg.DATASET.NAME, cfg.DATASET.VAL_PERCENT, cfg.DATASET.NUM_SHOTS) == ("BTMRI", 0.25, 2)
    (tmp_path / "mine.yaml").write_text("OPTIM:\n  LR: 0.5\nTRAINER:\n  TINY:\n    SIDE: 5\n    N_CTX: 5\n")
    mine = configured(small(), TINY, "TRAINER.TINY.SIDE", 6, more=("--config-file", tmp_path / "mine.yaml"))
    assert (mine.OPTIM.LR, mine.TRAINER.TINY.N_CTX, mine.TRAINER.TINY.SIDE) == (0.5, 5, 6)


def test_a_data_set_is_ours_though_a_yaml_of_the_checkout_has_its_name(small):
    cfg = get_cfg_default()
    Settings(TINY, small(), files=(small() / "configs/datasets/btmri.yaml",)).merge_into(cfg)
    assert (cfg.DATASET.NAME, cfg.DATASET.VAL_PERCENT) == ("", 0.25)


def test_folders_that_a_yaml_of_the_checkout_names_are_not_those_of_a_run(small, configured, flags, capsys):
    text = "DATASET:\n  ROOT: data\nRESUME: output/old\nOUTPUT_DIR: output/new\nMODEL:\n  INIT_WEIGHTS: weights/a.pt\n"
    folder = small(**{VIT: f"{small_checkout.FILES[VIT]}{text}"} | {"configs/datasets/btmri.yaml": text})
    cfg = configured(folder, TINY)
    assert cfg.RESUME == "" and Path(cfg.MODEL.INIT_WEIGHTS) == folder / "weights/a.pt"  # weights are a setting
    assert cfg.DATASET.ROOT != "data" and not cfg.OUTPUT_DIR.startswith("output")
    assert configured(folder, TINY, "MODEL.INIT_WEIGHTS", "mine.pt").MODEL.INIT_WEIGHTS == "mine.pt"
    with pytest.raises(UserError, match="no --root"):
        configured(folder, TINY, root="")


def test_a_run_prints_its_settings_and_has_the_pixels_of_its_backbone(small, flags, tmp_path):
    assert train.main(flags(TINY, more=("--with", small()))) == 0
    (log,) = (tmp_path / "Small").rglob("log.txt")
    files = f"configs/datasets/btmri.yaml, {VIT}"
    assert f"Settings of {TINY}, as {FEW_SHOT} has them: {files}, TRAINER.TINY.SIDE 3\n" in log.read_text()
    filled = "No settings say INPUT.SIZE, INPUT.INTERPOLATION, INPUT.PIXEL_MEAN: those of PhantomCLIP are taken\n"
    assert filled in log.read_text()
    mean, std = "[0.5, 0.5, 0.5]", "[0.5, 0.25, 0.125]"  # of PhantomCLIP, and of the yaml
    assert log.read_text().count(f"normalization (mean={mean}, std={std})") == 2  # training and test
    assert "96" in log.read_text().partition("Building transform_test")[2].partition("normalization")[0]


@pytest.mark.parametrize(("backbone", "mean"), [("PhantomCLIP", 0.5), ("ViT-B/16", 0.48145466)])
def test_pixels_that_no_yaml_tells_are_never_those_of_imagenet(small, configured, backbone, mean):
    silent = configured(small(), SILENT, backbone=backbone)
    assert (silent.INPUT.PIXEL_MEAN[0], silent.INPUT.INTERPOLATION) == (mean, "bicubic")
    told = configured(small(), SILENT, "INPUT.PIXEL_MEAN", "[0.1, 0.2, 0.3]", backbone=backbone)
    assert told.INPUT.PIXEL_MEAN == [0.1, 0.2, 0.3] and told.INPUT.PIXEL_STD == silent.INPUT.PIXEL_STD


def test_the_layout_of_the_yaml_helps_where_no_script_does(small, configured):
    assert configured(small(), SILENT).OPTIM.LR == 0.03125
    found = find_settings(small(), SILENT, "few_shot", "btmri")
    assert str(found) == f"Settings of {SILENT}, which no script names: configs/trainers/Silent/few_shot/btmri.yaml"
    assert configured(small(**{"scripts/more.sh": script("Silent_$1", VIT)}), SILENT).OPTIM.LR == 0.0625


LOOKED_FOR = r"no script in scripts/ runs it, and there is none of configs/trainers/Stray/few_shot\.yaml, "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", LOOKED_FOR),
        (script("Stray_$1", "configs/trainers/$2.yaml"), r"scripts/more\.sh takes a part of configs/.*/\$\{2\}\.yaml"),
        (script("Stray_$1", "configs/no.yaml"), r"configs/no\.yaml, which scripts/more\.sh names, is not there: "),
        (script("Stray_$1", VIT, "--dataset-config-file configs/datasets/busi.yaml"), LOOKED_FOR),
        (script("Stray_$1", VIT, "DATASET.SUBSAMPLE_CLASSES base"), LOOKED_FOR),
        (script("Stray_$1", VIT) + script("Stray_$1", VIT, "OPTIM.LR 1"), r"in several ways by scripts/more\.sh: give"),
    ],
)
def test_a_run_without_settings_is_refused_unless_the_user_gives_them(small, configured, tmp_path, text, reason):
    folder = small(**{"scripts/more.sh": text})
    with pytest.raises(UserError, match=f"Expected the settings of {STRAY} in {folder}, but .*{reason}") as error:
        configured(folder, STRAY)
    assert str(error.value).endswith(
        "--config-file, or OPTIM.LR, DATALOADER.TRAIN_X.BATCH_SIZE at the end of the command line."
    )
    assert configured(folder, STRAY, *CHOSEN).OPTIM.LR == 0.5
    (tmp_path / "mine.yaml").write_text("OPTIM:\n  LR: 0.25\n")
    assert configured(folder, STRAY, more=("--config-file", tmp_path / "mine.yaml")).OPTIM.LR == 0.25
    assert configured(folder, STRAY, more=("--eval-only",)).OPTIM.LR == 0.0003  # nothing is trained with it
    line = str(find_settings(folder, STRAY, "few_shot", "btmri"))
    assert line.startswith(f"Settings of {STRAY}: defaults and what this command names alone, because ")


def test_a_pair_that_the_script_takes_from_elsewhere_has_to_be_given(small, configured):
    folder = small(**{"scripts/more.sh": script("Stray_$1", VIT, "TRAINER.TINY.SIDE $2 TRAINER.TINY.N_CTX ${3:-7}")})
    with pytest.raises(
        UserError, match=r"but scripts/more\.sh takes TRAINER\.TINY\.SIDE from elsewhere: give .* or TR"
    ):
        configured(folder, STRAY)
    assert configured(folder, STRAY, "TRAINER.TINY.SIDE", 8).TRAINER.TINY == {"N_CTX": 7, "SIDE": 8}
    assert str(find_settings(folder, STRAY, "few_shot")).endswith("; it takes from elsewhere: TRAINER.TINY.SIDE")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        (script("Stray_$1", VIT, "--eval-only") + script("Stray_$1", VIT, "OPTIM.LR 1"), 1),
        (script("Stray_$1", VIT, "--eval-only OPTIM.LR 1"), 1),
        (script("$1", VIT, "OPTIM.LR 1") + script("Stray_$1", VIT, "OPTIM.LR 2"), 2),
        (script("Stray_$1", "no.yaml") + script("Stray_$1", VIT), 0.0625),
        (script("Stray_$1", VIT, "OPTIM.LR 0.${2} DATASET.NUM_SHOTS $2"), 0.2),
        (script("Stray_$1", VIT, "DATASET.NUM_SHOTS 16 OPTIM.LR 1"), 1),
        (script("Stray_$1", "", "OPTIM.LR 1").replace("--config-file", ""), 1),
        (2 * script("Stray_$1", VIT), 0.0625),
    ],
)
def test_of_several_calls_that_which_trains_just_this_is_taken(small, configured, text, rate):
    cfg = configured(small(**{"scripts/more.sh": text}), STRAY)
    assert (rate, 2) == (cfg.OPTIM.LR, cfg.DATASET.NUM_SHOTS)


def test_what_a_call_has_beside_settings_is_named(small):
    text = script("Stray_$1", VIT, "--root $2 --seed 1 --transforms flip A.B 1 $@")
    found = find_settings(small(**{"scripts/more.sh": text}), STRAY, "few_shot", "btmri")
    assert str(found).endswith(f": {VIT}, A.B 1; not taken over: --transforms flip, $@")


def test_a_pair_that_does_not_fit_is_said_to_come_from_the_script(small, configured):
    folder = small(**{"scripts/more.sh": script("Stray_$1", VIT, "LOSS.WEIGHT 1")})
    with pytest.raises(UserError, match=rf"in {folder}/scripts/more\.sh, but there is no key LOSS"):
        configured(folder, STRAY)


@pytest.mark.parametrize("name", ["../mine.yaml", "{}/../mine.yaml", "configs/link.yaml"])
@pytest.mark.parametrize("flag", ["--config-file", "--dataset-config-file"])
def test_a_script_names_no_file_outside_its_checkout(small, configured, tmp_path, name, flag):
    (tmp_path / "mine.yaml").write_text("OPTIM:\n  LR: 0.25\n")
    folder = small()
    (folder / "configs/link.yaml").symlink_to(tmp_path / "mine.yaml")
    text = script("Stray_$1", VIT) + f"python train.py --trainer Stray_$1 {flag} {name.format(folder)}\n"
    small(**{"scripts/more.sh": text})
    with pytest.raises(UserError, match=r"scripts/more\.sh to name files inside its checkout, but it names "):
        find_settings(folder, STRAY, "few_shot")


def test_settings_are_part_of_what_tells_runs_apart(small, configured):
    """A run that was made before its settings were found does not count as this one."""
    before = config_digest(configured(small(), TINY))
    assert config_digest(configured(small(), TINY)) == before
    text = small_checkout.FILES[FEW_SHOT].replace("SIDE=3", "SIDE=4")
    for changed in ({FEW_SHOT: text}, {VIT: "OPTIM:\n  LR: 0.1\n"}, {"configs/datasets/btmri.yaml": ""}):
        assert config_digest(configured(small(**changed), TINY)) != before
    assert config_digest(configured(small(), TINY)) == before


def test_what_was_learned_with_other_settings_is_not_tested_on_novel_classes(small, flags, tmp_path, capsys):
    more = ("--with", small(), "--setting", "base2new", "--subsample")
    assert train.main(flags(TINY, "OPTIM.LR", 0.0003, more=(*more, "base"))) == 0
    (learned,) = tmp_path.glob("**/train_base/**/seed1")
    assert train.main(flags(TINY, more=(*more, "new", "--eval-only"))) == 1
    assert "Expected a checkpoint" in capsys.readouterr().err  # with these settings nothing was learned
    shutil.copytree(learned, Path(configure(train.parse(flags(TINY, more=(*more, "base"))), 1).OUTPUT_DIR))
    assert train.main(flags(TINY, more=(*more, "new", "--eval-only"))) == 1
    assert "to hold what a run like this one learned, but its run had other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"),
    [("OPTIM.SCHEDULE_STEP", "iteration"), ("OPTIM.SCHEDULE_LENGTH", 9), ("DATALOADER.TRAIN_X.DROP_LAST", False)],
)
def test_a_setting_that_only_our_trainers_read_is_refused(small, configured, key, value):
    with pytest.raises(UserError, match=f"there is no key {key}"):
        configured(small(), TINY, key, value)
