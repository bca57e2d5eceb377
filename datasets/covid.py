"""Chest radiographs."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class COVID_19(BiomedDataset):
    """Chest radiographs."""

    dataset_dir = "COVID_19"
    classes = (
        "covid lungs",
        "lung opacity lungs",
        "viral pneumonia lungs",
        "normal lungs",
    )
    modality = "X-ray"
    organ = "chest"
    source = "COVID-19 Radiography Database (COVID-QU-Ex, Tahir et al. 2021)"
    licence = "not stated clearly by the source"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/COVID_19.zip"
    archive_mb = 779
    drive_id = "1zMLN5q5e_tmH-deSZQiY4Xq0M1EqCrML"
