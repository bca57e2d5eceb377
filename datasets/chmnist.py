"""Tissue types in colorectal histology."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class CHMNIST(BiomedDataset):
    """Tissue types in colorectal histology."""

    dataset_dir = "CHMNIST"
    classes = (
        "adipose tissue",
        "complex stroma",
        "debris",
        "empty background",
        "immune cells",
        "normal mucosal glands",
        "simple stroma",
        "tumour epithelium",
    )
    modality = "histopathology"
    organ = "colon and rectum"
    source = "Kather et al. 2016"
    licence = "CC BY 4.0"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/CHMNIST.zip"
    archive_mb = 251
    drive_id = "1tyQiYQmqAGNaY4SCK_8U5vEbbaa1AD-g"
