"""Breast ultrasound; one novel class only, so there is no base-to-novel task."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class BUSI(BiomedDataset):
    """Breast ultrasound; one novel class only, so there is no base-to-novel task."""

    dataset_dir = "BUSI"
    classes = (
        "benign tumor",
        "malignant tumor",
        "normal scan",
    )
    modality = "ultrasound"
    organ = "breast"
    source = "Al-Dhabyani et al. 2020"
    licence = "not stated clearly by the source"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/BUSI.zip"
    archive_mb = 193
    drive_id = "1hB5M7wcAUTV9EtiYrijACoQ36R6VmQaa"
