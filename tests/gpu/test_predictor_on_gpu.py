"""Every method's run is predicted with on the pretended GPU, as on the CPU."""

import csv

import pytest
import torch

import train
from runs.export import head_of_run
from runs.predictor import Predictor
from tests.gpu.sides import CPU, METHODS, options
from tests.pretended_gpu import pretended_gpu
from tests.run_folders import probabilities, run_folder
from tests.trainers.test_linear_head import CURVED


@pytest.mark.parametrize("method", METHODS)
def test_a_run_of_the_cpu_is_predicted_with_on_the_gpu(method, flags, tmp_path, data_root):
    assert train.main(flags(method, *options(method), "OPTIM.LR", 0.05, *CPU)) == 0
    folder = run_folder(tmp_path, method)
    with (folder / "predictions.csv").open(newline="") as file:
        paths = [data_root / "BTMRI" / "BTMRI" / row["path"] for row in csv.DictReader(file)]
    with pretended_gpu() as gpu:
        predictor = Predictor.from_run(folder, device="cuda")
        found = predictor.predict([*paths, tmp_path / "gone.png"])
        features = predictor.features(paths[:2]).features.requires_grad_()
        (gradient,) = torch.autograd.grad(predictor.logits(features)[:, 0].sum(), features)
        if method not in CURVED:
            head = head_of_run(predictor)
            assert head.weight.device.type == "cuda"
    assert predictor.trainer.device.type == "cuda" and gpu.kernels
    assert found.pop().error
    given = torch.tensor([each.probabilities for each in found])
    torch.testing.assert_close(given, probabilities(folder), atol=1e-4, rtol=0)
    assert gradient.device.type == "cpu" and gradient.abs().sum() > 0
