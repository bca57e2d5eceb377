"""On the pretended GPU: a cold store, another text tower, prompts in chunks, runs that change the device."""

from functools import partial

import pytest
import torch

import train
from clip import FeatureStore, backbone, build_backbone
from runs.config import configure
from tests.clip.small_clip import write_clip
from tests.gpu.sides import CPU, GPU, check_alike, options
from tests.pretended_gpu import GpuTensor, pretended_gpu
from tests.run_folders import run_folder
from trainers.base.feature_trainer import FeatureTrainer


def test_a_store_that_a_gpu_fills_holds_what_a_cpu_puts_there(data_root, tmp_path):
    from torchvision.transforms import Compose, Resize, ToTensor

    paths = [str(path) for path in sorted(data_root.rglob("train*.png"))[:6]]
    texts = ["an MRI of a glioma", "a normal brain", "a small mass beside the pituitary gland"]
    found = []
    for device in ("cpu", "cuda"):
        with pretended_gpu() as gpu:
            towers = build_backbone("PhantomCLIP", device)
            store = FeatureStore(towers, tmp_path / device)
            transform = Compose([Resize((towers.image_size, towers.image_size)), ToTensor()])
            found.append([store.images(paths, transform), store.texts(texts), store.vocabulary()])
        assert bool(gpu.kernels) is (device == "cuda")
    for there, here in zip(found[1], found[0], strict=True):
        assert type(there) is torch.Tensor
        torch.testing.assert_close(there, here, rtol=1e-5, atol=1e-5)
    assert [path.name for path in (tmp_path / "cpu").iterdir() if path.is_dir()] == [
        path.name for path in (tmp_path / "cuda").iterdir() if path.is_dir()
    ]


@pytest.mark.parametrize("method", ["CoOp", "BiomedCoOp"])
def test_a_causal_text_tower(method, flags, tmp_path):
    name = write_clip(tmp_path / "tower")
    for side, device in (("cpu", CPU), ("gpu", GPU)):
        with pretended_gpu():
            line = flags(method, "OPTIM.MAX_EPOCH", 1, *device, backbone=name, more=("--output-dir", tmp_path / side))
            assert train.main(line) == 0
    check_alike(tmp_path / "gpu", tmp_path / "cpu")


@pytest.mark.parametrize("method", ["CoOp", "CoCoOp"])
def test_prompts_in_chunks(method, flags, tmp_path, monkeypatch):
    monkeypatch.setattr(backbone, "TOKENS_AT_ONCE", 24)
    given_back = []
    monkeypatch.setattr(backbone, "give_back_memory", lambda: given_back.append(1))
    for side, device in (("cpu", CPU), ("gpu", GPU)):
        given_back.clear()
        with pretended_gpu():
            assert train.main(flags(method, *options(method), *device, output=tmp_path / side)) == 0
        assert bool(given_back) is (side == "cpu")  # what the C library holds is the CPU's memory
    check_alike(*(run_folder(tmp_path / side, method) for side in ("gpu", "cpu")))


def test_a_run_that_one_device_began_goes_on_on_the_other(flags, tmp_path, monkeypatch):
    line = partial(flags, "vMFCoOp", "OPTIM.MAX_EPOCH", 3)
    assert train.main(line(*CPU, output=tmp_path / "whole")) == 0
    real = FeatureTrainer.after_epoch

    def killed(self):
        real(self)
        if self.epoch == 1:
            raise KeyboardInterrupt

    for first, second in ((CPU, GPU), (GPU, CPU)):
        output = tmp_path / f"gpu {first[1]}"
        with pretended_gpu():
            monkeypatch.setattr(FeatureTrainer, "after_epoch", killed)
            assert train.main(line(*first, output=output)) == 130
            monkeypatch.setattr(FeatureTrainer, "after_epoch", real)
            assert train.main(line(*second, output=output)) == 0
        folder = run_folder(output, "vMFCoOp")
        assert "Resuming from epoch 2 of 3" in (folder / "log.txt").read_text()
        check_alike(folder, run_folder(tmp_path / "whole", "vMFCoOp"))


def test_the_anchors_are_estimated_on_the_cpu_whatever_the_device(flags, monkeypatch):
    """Its geometry is float64, which most GPUs are slow at."""
    from dassl.engine import build_trainer
    from trainers import vmf

    seen = []
    real = vmf.fit
    monkeypatch.setattr(vmf, "fit", lambda x, *args: seen.append(type(x)) or real(x, *args))
    with pretended_gpu():
        for space in ("encoded", "projected"):
            spec = train.parse(flags("vMFCoOp", "TRAINER.VMFCOOP.VOCAB_SPACE", space, *GPU))
            trainer = build_trainer(configure(spec, 1))
            assert isinstance(trainer.anchors, GpuTensor)
    assert seen == [torch.Tensor] * 4
