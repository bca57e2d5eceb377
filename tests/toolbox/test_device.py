"""The choice of a device, and the error about a GPU that cannot be used."""

import stat

import pytest
import torch

from dassl.errors import UserError
from dassl.utils import choose_device, describe_device, device
from dassl.utils.device import runs_on


@pytest.fixture
def without_gpu(monkeypatch, tmp_path):
    """Pretend a machine on which PyTorch sees no GPU, and nothing hides one."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "DRIVER_FILE", tmp_path / "nvidiactl")
    return tmp_path


def old_driver() -> None:
    raise RuntimeError("The NVIDIA driver on your system is too old (found version 12020). Please update\nit. Or not.")


@pytest.fixture
def with_gpu(monkeypatch):
    """Return `with_gpu(capability)`, after which PyTorch sees a GPU of that compute capability."""

    def see(*capability: int, built_for=("sm_75", "sm_80", "sm_90")) -> None:
        found = {"is_available": True, "get_device_name": "Tesla V100", "get_device_capability": capability}
        for name, value in (found | {"get_arch_list": list(built_for)}).items():
            monkeypatch.setattr(torch.cuda, name, lambda *args, value=value: value)
        monkeypatch.setattr(torch.version, "cuda", "13.0")

    return see


def test_without_a_gpu_it_is_the_cpu(without_gpu):
    assert choose_device() == torch.device("cpu") and describe_device(choose_device()) == "cpu"


def test_a_gpu_is_taken_and_named_unless_it_is_not_wanted(with_gpu):
    with_gpu(8, 6)
    assert choose_device().type == "cuda" and describe_device(choose_device()) == "cuda (Tesla V100)"
    assert choose_device(use_cuda=False).type == "cpu"


def test_a_driver_that_is_too_old_for_this_pytorch_is_told(without_gpu, monkeypatch):
    (without_gpu / "nvidiactl").touch()
    monkeypatch.setattr(torch.cuda, "init", old_driver)
    with pytest.raises(UserError) as error:
        choose_device()
    words = str(error.value)
    assert "cannot (The NVIDIA driver on your system is too old (found version 12020)): update the driver" in words
    assert "--index-url https://download.pytorch.org/whl/" in words and words.endswith(
        "USE_CUDA False to run on the CPU."
    )
    assert choose_device(use_cuda=False).type == "cpu"


@pytest.mark.parametrize(
    ("listed", "there"), [("GPU 0: NVIDIA A100 (UUID: GPU-1)", True), ("No devices were found", False)]
)
def test_nvidia_smi_is_asked_where_the_driver_has_no_file(without_gpu, monkeypatch, listed, there):
    script = without_gpu / "nvidia-smi"
    script.write_text(f'#!/bin/sh\n[ "$1" = -L ] && echo "{listed}"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    if there:
        with pytest.raises(UserError, match=r"cannot \(it finds none\)"):
            choose_device()
    else:
        assert choose_device().type == "cpu"


@pytest.mark.parametrize("hidden", ["", "-1", " -1", "NoDevFiles", "-1,0"])
def test_a_gpu_that_the_user_hid_is_not_missed(without_gpu, monkeypatch, hidden):
    (without_gpu / "nvidiactl").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert choose_device().type == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(UserError):
        choose_device()


def test_a_gpu_that_this_pytorch_has_no_kernels_for_is_told(with_gpu):
    with_gpu(7, 0)
    with pytest.raises(
        UserError, match=r"architectures sm_75, sm_80, sm_90 .* Tesla V100 has compute capability 7\.0: "
    ):
        choose_device()
    with_gpu(7, 0, built_for=())  # nothing is known of what it is built for
    assert choose_device().type == "cuda"


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((8, 6), ["sm_80"], True),  # machine code is for later minor versions too
        ((8, 0), ["sm_86"], False),  # but not for earlier ones
        ((9, 0), ["sm_80"], False),  # nor for another major one
        ((9, 0), ["sm_80", "compute_80"], True),  # which what is translated on the spot is for
        ((7, 0), ["compute_80"], False),
        ((12, 0), ["sm_75", "sm_120"], True),
        ((9, 0), ["sm_90a"], True),
    ],
)
def test_what_runs_where(capability, built_for, runs):
    assert runs_on(capability, built_for) is runs
