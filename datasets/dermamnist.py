"""Pigmented skin lesions."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class DermaMNIST(BiomedDataset):
    """Pigmented skin lesions."""

    dataset_dir = "DermaMNIST"
    classes = (
        "actinic keratosis",
        "basal cell carcinoma",
        "benign keratosis",
        "dermatofibroma",
        "melanoma",
        "melanocytic nevus",
        "vascular lesion",
    )
    modality = "dermatoscopy"
    organ = "skin"
    source = "HAM10000 (Tschandl et al. 2018; Codella et al. 2019) through MedMNIST"
    licence = "CC BY-NC 4.0"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/DermaMNIST.zip"
    archive_mb = 675
    drive_id = "1Jxd1-DWljunRDZ8fY80dl5zUMefriQXt"
