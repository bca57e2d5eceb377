"""Kidney findings in CT."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class CTKidney(BiomedDataset):
    """Kidney findings in CT."""

    dataset_dir = "CTKidney"
    classes = (
        "cyst kidney",
        "kidney stone",
        "kidney tumor",
        "normal kidney",
    )
    modality = "CT"
    organ = "kidney"
    source = "Kaggle, nazmul0087 (Islam et al. 2022)"
    licence = "see the source"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/CTKidney.zip"
    archive_mb = 1_630
    drive_id = "1PBZ299k--mZL8JU7nhC1Wy8yEmlqmVDh"
