"""A few methods on a real GPU beside the CPU; scripts/test.sh asks for them where there is one."""

import pytest
import torch

import train
from clip import FeatureStore, build_backbone
from tests.conftest import ASKED
from tests.gpu.sides import CPU, GPU, check_alike, options
from tests.run_folders import record, run_folder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not ASKED, reason="VMFCOOP_TEST_GPU=1 asks for it"),
    pytest.mark.skipif(ASKED and not torch.cuda.is_available(), reason="PyTorch finds no GPU"),
]
# float32 on either device rounds to 1e-7; a product of some hundred terms, in another order, to some 1e-6; and the
# towers have a dozen of them one after the other.
TOLERANCE = 1e-4


@pytest.mark.parametrize(
    "method", ["CoOp", "CoCoOp", "BiomedCoOp", "vMFCoOp", "CLIPAdapter", "TipAdapterF", "ZeroshotCLIP"]
)
def test_a_run_learns_what_it_learns_on_the_cpu(method, flags, tmp_path, monkeypatch):
    for side, device in (("cpu", CPU), ("gpu", GPU)):
        monkeypatch.setenv("VMFCOOP_CACHE", str(tmp_path / f"store of {side}"))  # each encodes for itself
        line = flags(method, *options(method), *device, "FEATURES.VIEWS", 1, output=tmp_path / side)
        assert train.main(line) == 0
    folders = [run_folder(tmp_path / side, method) for side in ("gpu", "cpu")]
    check_alike(*folders, tolerance=TOLERANCE)
    assert record(folders[0])["device"]["name"] == torch.cuda.get_device_name()
    assert f"Device: cuda ({torch.cuda.get_device_name()})" in (folders[0] / "log.txt").read_text()


@pytest.mark.parametrize(("precision", "error"), [("fp32", 5e-5), ("tf32", 5e-3), ("bf16", 5e-2)])
def test_features_are_as_exact_as_their_precision(precision, error, data_root, tmp_path):
    """fp32 means fp32: PyTorch's own default leaves convolutions in TF32, whose relative error is 6e-4."""
    from torchvision.transforms import Compose, Resize, ToTensor

    paths = [str(path) for path in sorted(data_root.rglob("train*.png"))]
    exact, there = build_backbone("PhantomCLIP"), build_backbone("PhantomCLIP", "cuda", precision)
    transform = Compose([Resize((exact.image_size, exact.image_size)), ToTensor()])
    expected, found = (
        FeatureStore(each, tmp_path / each.device.type).images(paths, transform) for each in (exact, there)
    )
    assert (found - expected).norm() < error * expected.norm()
