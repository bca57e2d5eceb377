"""Retinal OCT."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class OCTMNIST(BiomedDataset):
    """Retinal OCT."""

    dataset_dir = "OCTMNIST"
    classes = (
        "choroidal neovascularization",
        "diabetic macular edema",
        "drusen",
        "normal OCT scan",
    )
    modality = "OCT"
    organ = "retina"
    source = "Kermany et al. 2018 through MedMNIST"
    licence = "CC BY 4.0"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/OCTMNIST.zip"
    drive_id = "1mYZNWxbPxnnVvcwHQYybA8gdMzQAoOem"
