"""Grades of knee osteoarthritis."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class KneeXray(BiomedDataset):
    """Grades of knee osteoarthritis."""

    dataset_dir = "KneeXray"
    classes = (
        "healthy knee",
        "doubtful osteoarthritis",
        "minimal osteoarthritis",
        "moderate osteoarthritis",
        "severe osteoarthritis",
    )
    modality = "X-ray"
    organ = "knee"
    source = "Chen 2018, Mendeley Data"
    licence = "CC BY 4.0"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/KneeXray.zip"
    archive_mb = 181
    drive_id = "1DBVraYJmxy2UcQ_nGLYvTB2reITOm453"
