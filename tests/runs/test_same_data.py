"""Results belong to exactly the images, sentences, settings and weights that made them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train
from tests.run_folders import learned, record, run_folder

NO_EPOCHS = ("OPTIM.MAX_EPOCH", 0)
WEIGHTS = Path(train.__file__).parent / "clip" / "phantomclip"


@pytest.fixture
def copy(data_root, tmp_path):
    """`copy(name)`: a data root of its own with the same images."""
    return lambda name: Path(shutil.copytree(data_root, tmp_path / name))


@pytest.fixture
def own(tmp_path):
    """`own(name, word)`: a user's folder of images of two classes, with sentences that begin with `word`."""

    def make(name: str, word: str = "first") -> Path:
        rng, root = np.random.default_rng(len(name)), tmp_path / name
        for label, kind in enumerate("ab"):
            (root / kind).mkdir(parents=True)
            for i in range(8):
                pixels = rng.integers(0, 120, (64, 64, 3)) + 100 * label
                Image.fromarray(pixels.astype(np.uint8)).save(root / kind / f"{i}.png")
        say(root, word)
        return root

    return make


def say(root: Path, word: str) -> None:
    sentences = {kind: [f"{word} {i} of {kind}" for i in range(50)] for kind in "ab"}
    (root / "prompts.json").write_text(json.dumps({"prompts": sentences}))


def plain(value: int) -> Image.Image:
    """A picture of one grey, but for a pixel: one that is the same everywhere is refused."""
    pixels = np.full((64, 64, 3), value, np.uint8)
    pixels[0, 0] += 1
    return Image.fromarray(pixels)


def redraw(path: Path, value: int = 200) -> None:
    plain(value).save(path)


def image(root: Path, part: str) -> Path:
    return root / "BTMRI" / "BTMRI" / "glioma_tumor" / f"{part}0.png"


def refused(capsys, what: str) -> bool:
    err = capsys.readouterr().err
    return f"but its run had other {what}:" in err and "choose another --output" in err


def test_the_same_line_on_another_folder_of_ones_own_images_is_another_run(own, flags, tmp_path):
    for name in ("chest", "skull"):
        assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=own(name), dataset="folder")) == 0
        found = record(run_folder(tmp_path, "ZeroshotCLIP", dataset=f"folder-{name}"))
        assert found["dataset"] == "FolderDataset" and set(found["metrics"]["per_class"]) == {"a", "b"}


def test_the_same_line_on_another_root_of_a_named_data_set_is_refused(copy, flags, tmp_path, capsys):
    first, other = copy("first"), copy("other")
    redraw(image(other, "test"))
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=first)) == 0
    before = record(run_folder(tmp_path, "ZeroshotCLIP"))
    capsys.readouterr()
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=other)) == 1
    assert refused(capsys, "test images")
    assert record(run_folder(tmp_path, "ZeroshotCLIP")) == before


def test_the_same_images_under_another_path_are_the_same_run(copy, flags, capsys):
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=copy("first"))) == 0
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=copy("moved"))) == 0
    assert "Finished already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "what"), [("train", "training images"), ("val", "training images"), ("test", "test images")]
)
def test_an_image_that_was_replaced_is_another_run(copy, flags, capsys, part, what):
    root = copy("first")
    every = ("DATASET.NUM_SHOTS", 6)  # of train; all three of val
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, *every, root=root)) == 0
    redraw(image(root, part))
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, *every, root=root)) == 1
    assert refused(capsys, what)


def test_an_image_that_was_replaced_with_equal_size_and_time_is_seen(copy, flags, capsys):
    root = copy("first")
    path = image(root, "test")
    plain(7).save(path.with_suffix(".bmp"))
    path.with_suffix(".bmp").replace(path)  # a bitmap, so that another picture has the same size
    stat = path.stat()
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root)) == 0
    plain(99).save(path.with_suffix(".bmp"))
    path.with_suffix(".bmp").replace(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root)) == 1
    assert refused(capsys, "test images")


def test_another_split_of_the_same_images_is_another_run(copy, flags, capsys):
    root = copy("first")
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root)) == 0
    path = root / "BTMRI" / "split_BTMRI.json"
    split = json.loads(path.read_text())
    split["test"] = split["test"][1:]
    path.write_text(json.dumps(split))
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root)) == 1
    assert refused(capsys, "entries of the split and test images")


def test_other_sentences_are_another_run_of_the_methods_that_read_them(own, flags, capsys):
    root = own("chest")
    for trainer in ("ZeroshotEnsemble", "ZeroshotCLIP"):
        assert train.main(flags(trainer, *NO_EPOCHS, root=root, dataset="folder")) == 0
    assert "per class, from prompts.json beside the images\n" in capsys.readouterr().out
    say(root, "second")
    assert train.main(flags("ZeroshotEnsemble", *NO_EPOCHS, root=root, dataset="folder")) == 1
    assert refused(capsys, "sentences")
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root, dataset="folder")) == 0
    assert "Finished already" in capsys.readouterr().out


def test_sentences_beyond_those_that_are_read_change_nothing(own, flags, capsys):
    root, few = own("chest"), ("TRAINER.ZEROSHOTENSEMBLE.N_PROMPTS", 10)
    assert train.main(flags("ZeroshotEnsemble", *NO_EPOCHS, *few, root=root, dataset="folder")) == 0
    bank = json.loads((root / "prompts.json").read_text())
    bank["prompts"]["a"][10:] = ["another"] * 40
    (root / "prompts.json").write_text(json.dumps(bank))
    assert train.main(flags("ZeroshotEnsemble", *NO_EPOCHS, *few, root=root, dataset="folder")) == 0
    assert "Finished already" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["weights", "interpolation"])
def test_another_backbone_under_the_same_name_is_another_run(flags, tmp_path, capsys, change):
    from safetensors.torch import load_file, save_file

    weights = Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))
    line = flags("ZeroshotCLIP", *NO_EPOCHS, backbone=f"local-dir:{weights}")
    assert train.main(line) == 0
    if change == "weights":
        path = weights / "open_clip_model.safetensors"
        save_file({name: tensor * 1.01 for name, tensor in load_file(path).items()}, path)
    else:
        path = weights / "open_clip_config.json"
        path.write_text(path.read_text().replace("bicubic", "bilinear"))
    assert train.main(line) == 1
    assert refused(capsys, "files of the backbone")


@pytest.mark.parametrize("change", ["images", "sentences"])
def test_an_unfinished_run_is_not_continued_on_other_data(own, flags, tmp_path, capsys, change):
    root = own("chest")
    line = flags("vMFCoOp", root=root, dataset="folder")
    assert train.main(line) == 0
    folder = run_folder(tmp_path, "vMFCoOp", dataset="folder-chest")
    (folder / "metrics.json").unlink()
    before = learned(folder)["ctx"]
    if change == "sentences":
        say(root, "second")
    else:
        for path in root.glob("a/*.png"):
            redraw(path)
    assert train.main(line) == 1
    expected = {"images": "training images", "sentences": "sentences"}[change]
    assert f"an unfinished run of this kind, but it has other {expected}" in capsys.readouterr().err
    assert not (folder / "metrics.json").exists() and (learned(folder)["ctx"] == before).all()


def test_figures_on_novel_classes_belong_to_what_was_learned_on_the_base_classes(flags, tmp_path, capsys):
    parts = [("--setting", "base2new", "--subsample", *words) for words in (("base",), ("new", "--eval-only"))]
    for part in parts:
        assert train.main(flags("CoOp", more=part)) == 0
    base = run_folder(tmp_path / "base2new" / "train_base", "CoOp")
    shutil.rmtree(base)
    assert train.main(flags("CoOp", "OPTIM.LR", 0.5, more=(*parts[0], "--output-dir", base))) == 0
    assert train.main(flags("CoOp", more=parts[1])) == 1
    assert refused(capsys, "learned tensors")


def test_the_grid_does_not_count_results_of_other_images(copy, flags, tmp_path, capsys):
    from grid.__main__ import parse
    from grid.plan import plan
    from grid.worker import work

    root = copy("first")
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root)) == 0
    line = ["--methods", "zeroshot", "--datasets", "btmri", "--shots", "2", "--root", str(root), "--devices", "cpu"]
    line += ["--backbone", "PhantomCLIP", "--output", str(tmp_path), "DATALOADER.NUM_WORKERS", "0"]
    assert plan(parse(line)[0]) == ([], 1)
    redraw(image(root, "test"))
    (job,), finished = plan(parse(line)[0])
    assert finished == 0
    (outcome,) = work(job)
    assert outcome.state == "failed" and "other test images" in outcome.reason


def test_a_study_goes_on_only_with_the_images_that_it_was_begun_with(copy, tmp_path, capsys):
    from tuning.__main__ import main

    root = copy("first")
    line = ["--trainer", "vmfcoop", "--datasets", "btmri", "--shots", "2", "--trials", "1", "--seeds", "101"]
    line += ["--root", str(root), "--backbone", "PhantomCLIP", "--output", str(tmp_path / "study")]
    line += ["OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]
    assert main(line) == 0
    for path in (root / "BTMRI" / "BTMRI").glob("*/train*.png"):
        redraw(path, int(path.stem[-1]) * 20)
    assert main(line) == 1
    assert "to be a study of images" in capsys.readouterr().err


def test_tensors_of_another_run_are_not_taken_for_those_that_are_trained(flags, tmp_path, capsys):
    for seed in (1, 2):
        assert train.main(flags("CoOp", seed=seed)) == 0
    other = ("--eval-only", "--model-dir", run_folder(tmp_path, "CoOp", seed=2))
    assert train.main(flags("CoOp", more=other)) == 1  # the folder holds what seed 1 has learned
    assert refused(capsys, "learned tensors")
    assert train.main(flags("CoOp", output=tmp_path / "o", more=other)) == 0
    assert train.main(flags("CoOp", output=tmp_path / "o", more=other)) == 0
    assert "Finished already" in capsys.readouterr().out
    assert train.main(flags("CoOp", output=tmp_path / "o")) == 1  # there they are those of seed 2
    assert refused(capsys, "learned tensors")
    assert train.main(flags("CoOp", more=("--eval-only",))) == 0  # its own
    assert "Finished already" in capsys.readouterr().out


def test_novel_classes_are_tested_with_what_the_same_settings_have_learned(flags, tmp_path, capsys):
    parts = [("--setting", "base2new", "--subsample", *words) for words in (("base",), ("new", "--eval-only"))]
    assert train.main(flags("CoOp", more=parts[0])) == 0
    other = run_folder(tmp_path / "base2new" / "train_base", "CoOp")
    other = other.parent.with_name(f"{other.parent.name.partition('__')[0]}__OPTIM.LR=0.5,OPTIM.MAX_EPOCH=3") / "seed1"
    shutil.copytree(run_folder(tmp_path / "base2new" / "train_base", "CoOp"), other)
    assert train.main(flags("CoOp", "OPTIM.LR", 0.5, more=parts[1])) == 1
    assert "learned, but its run had other settings: train the base classes again" in capsys.readouterr().err
    assert train.main(flags("CoOp", more=parts[1])) == 0


def test_a_data_folder_that_cannot_be_written_is_read(copy, flags, capsys, monkeypatch):
    import errno

    import dassl.writing as files

    real = files.atomic_write

    def forbidden(path, *args, **kwargs):
        if "split_fewshot" in str(path):
            with files.writing(path):
                raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real(path, *args, **kwargs)

    root = copy("first")
    shutil.rmtree(root / "BTMRI" / "split_fewshot", ignore_errors=True)
    monkeypatch.setattr(files, "atomic_write", forbidden)
    assert train.main(flags("ZeroshotCLIP", *NO_EPOCHS, root=root)) == 0
    assert "The draw is not kept" in capsys.readouterr().out


def test_a_backbone_of_another_checkouts_own_name_has_no_files_here():
    from checkouts.stand_in import stand_in
    from clip.build import files_of, is_phantom

    assert files_of("ViT-B/16") == [] and not is_phantom("ViT-B/16")
    with stand_in("ViT-B/16"):
        pass
