"""Brain tumours in MRI."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class BTMRI(BiomedDataset):
    """Brain tumours in MRI."""

    dataset_dir = "BTMRI"
    classes = (
        "glioma tumor",
        "meningioma tumor",
        "pituitary tumor",
        "normal brain",
    )
    modality = "MRI"
    organ = "brain"
    source = "Kaggle, masoudnickparvar/brain-tumor-mri-dataset (Nickparvar 2021)"
    licence = "CC0"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/BTMRI.zip"
    archive_mb = 112
    drive_id = "1_lJLZRUmczqZqoN-dNqkAzGzmi4ONoU5"
