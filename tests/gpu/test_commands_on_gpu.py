"""What is built around runs, on the pretended GPU: the grid, tuning, diagnosis, other checkouts, benchmarks."""

import re
from functools import partial

import pytest
import torch

import train
from benchmarks import cost_tables, few_shot_cost, many_classes, our_way, padded_way, timing
from benchmarks import predict as predictions
from clip import backbone
from dassl.utils import device as device_module
from grid import __main__ as grid
from grid.plan import plan
from grid.worker import work
from reproduce import diagnose
from runs.config import configure
from runs.outcome import DONE
from tests.checkouts import small_checkout
from tests.gpu.sides import CPU, GPU, check_alike
from tests.pretended_gpu import NAME, pretended_gpu
from tests.run_folders import record, run_folder
from tuning import objective


def test_the_log_says_first_which_device_it_is_and_the_results_too(flags, tmp_path):
    words = {"cpu": "Device: cpu", "gpu": f"Device: cuda ({NAME})"}
    for side, device in (("cpu", CPU), ("gpu", GPU)):
        with pretended_gpu():
            assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0, *device, output=tmp_path / side)) == 0
        folder = run_folder(tmp_path / side, "ZeroshotCLIP")
        assert (folder / "log.txt").read_text().splitlines()[0] == words[side]
        cuda = torch.version.cuda if side == "gpu" else None
        name = NAME if side == "gpu" else "cpu"
        assert record(folder)["device"] == {"name": name, "precision": "fp32", "cuda": cuda}


def test_a_gpu_that_cannot_be_used_stops_a_run_before_it_leaves_anything(flags, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(device_module, "DRIVER_FILE", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    line = partial(flags, "ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0, output=tmp_path / "runs", more=("--seed", 1, 2))
    assert train.main(line()) == 1
    (words,) = capsys.readouterr().err.splitlines()
    assert words.startswith("error: Expected PyTorch") and "USE_CUDA False" in words
    assert not (tmp_path / "runs").exists()


def test_a_job_of_the_grid(data_root, tmp_path):
    words = f"--methods coop --datasets btmri --shots 2 --seeds 1 2 --root {data_root} --output {tmp_path} --setting "
    words += "base2new --backbone PhantomCLIP OPTIM.MAX_EPOCH 1 DATALOADER.NUM_WORKERS 0"
    (job,), _ = plan(grid.parse(words.split())[0])
    with pretended_gpu() as gpu:
        assert [outcome.state for outcome in work(job)] == [DONE, DONE]
    assert gpu.kernels
    for part in ("train_base", "test_new"):
        found = record(run_folder(tmp_path / "base2new" / part, "CoOp", seed=2))
        assert found["device"] == {"name": NAME, "precision": "fp32", "cuda": torch.version.cuda}


@pytest.mark.parametrize("whole", [True, False])
def test_a_setting_that_is_tuned_scores_what_it_scores_on_the_cpu(flags, whole):
    scores, weights = [], set()
    for device in (CPU, GPU):
        spec = train.parse(flags("vMFCoOp", "OPTIM.MAX_EPOCH", 1, *device, more=("--seed", 101, 102)))
        with pretended_gpu():
            cfgs = [configure(spec, seed) for seed in spec.seeds]
            scores.append(objective.evaluate(cfgs, whole))
            weights.add(objective.fingerprint(cfgs[0]))
    assert scores[1] == pytest.approx(scores[0], abs=1e-4) and len(weights) == 1


def test_the_diagnosis_of_a_run(flags, tmp_path, capsys):
    said = []
    for side, device in (("cpu", CPU), ("gpu", GPU)):
        with pretended_gpu():
            line = flags("vMFCoOp", "OPTIM.MAX_EPOCH", 2, "OPTIM.LR", 0.1, *device, output=tmp_path / side)
            assert train.main(line) == 0
            capsys.readouterr()
            folder = run_folder(tmp_path / side, "vMFCoOp")
            assert diagnose.main([str(folder), "--root", line[line.index("--root") + 1]]) == 0
            said.append(capsys.readouterr().out.replace(str(tmp_path / side), ""))
    words, numbers = zip(*(_parted(text) for text in said), strict=True)
    assert words[0] == words[1] and len(numbers[0]) > 40
    assert numbers[1] == pytest.approx(numbers[0], rel=2e-3, abs=2e-3)


def _parted(text: str) -> tuple[str, list[float]]:
    """The words of a text, and its numbers."""
    number = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]\d+)?")
    return number.sub("#", re.sub(r"[ -]+", " ", text)), [float(found[0]) for found in number.finditer(text)]


def test_a_trainer_of_another_checkout(flags, tmp_path):
    folder = small_checkout.write(tmp_path / "Small")
    code = folder / "trainers/Tiny/tiny.py"
    code.write_text(
        code.read_text().replace(
            "        self.optim =", "        print(torch.cuda.device_count())\n        self.optim =", 1
        )
    )
    name, found = "Tiny_PhantomCLIP", {}
    for side, device in (("cpu", CPU), ("gpu", GPU)):
        more = ("--with", folder, "--output-dir", tmp_path / side)
        with pretended_gpu(count=2):
            assert train.main(flags(name, "OPTIM.MAX_EPOCH", 2, *device, more=more)) == 0
        found[side] = record(tmp_path / side)
        gpus = {"cpu": 0, "gpu": 1}[side]  # of the two: the code would spread over both
        assert f"\n{gpus}\n" in (tmp_path / side / "log.txt").read_text()
    check_alike(tmp_path / "gpu", tmp_path / "cpu")
    assert (found["cpu"]["device"]["name"], found["gpu"]["device"]["name"]) == ("cpu", NAME)
    assert found["gpu"]["device"]["precision"] is None


@pytest.fixture
def small_products(monkeypatch):
    """The benchmarks' measure of a processor's pace, tiny; and what one of them sets for its process, brought back."""
    monkeypatch.setattr(timing, "WIDTH", 32)
    monkeypatch.setattr(backbone, "TOKENS_AT_ONCE", backbone.TOKENS_AT_ONCE)


@pytest.mark.slow
def test_the_parts_of_the_benchmarks(tmp_path, small_products, gpu):
    names = few_shot_cost.class_names(2)
    images = few_shot_cost.write_images(tmp_path / "images", 2)
    ours = our_way.measure("PhantomCLIP", images, tmp_path / "store", "cuda", repeats=1, views=1)
    vocabulary = our_way.vocabulary("PhantomCLIP", tmp_path / "store", "cuda")
    padded = padded_way.measure("PhantomCLIP", names, "cuda", repeats=1)
    results = {"cold": ours, "warm": ours, "padded": padded}
    seconds = cost_tables.seconds_of_runs(results, vocabulary["seconds"], classes=2, shots=1)
    assert all(second > 0 for pair in seconds.values() for second in pair)
    assert ours["step FLOPs"] > 0 and ours["written"] > 0 and padded["written"] > 0


def test_the_benchmark_of_predictions(capsys, gpu):
    predictions.main(["--pictures", "3", "--device", "cuda"])
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(r"\| (PNG|JPEG)", line)]
    assert len(rows) == 4 and all(re.search(r"\| \d+\.\d\d ms \|( +\d+ % \|){5}", row) for row in rows)


@pytest.mark.parametrize("method", many_classes.METHODS)
def test_the_benchmark_of_many_classes(method, monkeypatch, gpu):
    monkeypatch.setattr(backbone, "TOKENS_AT_ONCE", 48)
    folder = backbone.__file__.replace("backbone.py", "phantomclip")
    assert re.search(r"\|gradient\| (?!nan)", many_classes.step(method, 4, folder, "cuda"))
