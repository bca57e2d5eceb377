"""Lung and colon histology; augmented from about 1,250 originals, which its splits share."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class LungColon(BiomedDataset):
    """Lung and colon histology; augmented from about 1,250 originals, which its splits share."""

    dataset_dir = "LungColon"
    classes = (
        "colon adenocarcinoma",
        "colon benign tissue",
        "lung adenocarcinoma",
        "lung benign tissue",
        "lung squamous cell carcinoma",
    )
    modality = "histopathology"
    organ = "lung and colon"
    source = "LC25000 (Borkowski et al. 2019)"
    licence = "free use, as its authors state"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/LungColon.zip"
    drive_id = "1YIu5fqMXgyemisiL1L1HCvES2nVpCtun"
