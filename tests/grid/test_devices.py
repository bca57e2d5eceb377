"""Which devices a grid works on."""

import pytest
import torch

from dassl.errors import UserError
from dassl.utils import device
from grid import __main__ as command
from grid.devices import devices
from grid.local import threads_each
from tests.pretended_gpu import pretended_gpu


def test_all_gpus_by_default_and_the_cpu_where_no_gpu_is_wanted():
    with pretended_gpu(count=2):
        assert devices(None) == ["cuda:0", "cuda:1"]
        assert devices(["cuda:1", "cuda:1"]) == ["cuda:1", "cuda:1"]
        assert devices(None, (("OPTIM.LR", "0.1"), ("USE_CUDA", "False"))) == ["cpu"]
        with pytest.raises(UserError, match="Expected devices of cpu, cuda:0, cuda:1, but got"):
            devices(["cuda:2"])
    assert devices(None) == ["cpu"]


def test_a_gpu_that_pytorch_cannot_use_is_told_unless_it_is_not_wanted(monkeypatch, tmp_path, line, capsys):
    driver = tmp_path / "nvidiactl"
    driver.touch()
    monkeypatch.setattr(device, "DRIVER_FILE", driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    for asked in (None, ["cuda:0"]):
        with pytest.raises(UserError, match="to use the GPU of this machine, but it cannot"):
            devices(asked)
    assert devices(["cpu"]) == devices(None, [("USE_CUDA", "False")]) == ["cpu"]
    assert command.main(line("coop", output=tmp_path / "runs")) == 1
    assert "set USE_CUDA False to run on the CPU" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_settings_may_begin_with_one_that_has_no_section(line):
    words = line("coop")
    end = words.index("OPTIM.MAX_EPOCH")
    grid, _ = command.parse([*words[:end], "USE_CUDA", "False", *words[end:]])
    assert grid.template.options[:2] == (("USE_CUDA", "False"), ("OPTIM.MAX_EPOCH", "4")) and grid.seeds == [1, 2]


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 32)
    assert [threads_each(workers) for workers in (1, 2, 4, 64)] == [None, 16, 8, 1]
