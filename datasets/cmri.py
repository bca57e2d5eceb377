"""Cardiac cine MRI of UK Biobank."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.ukb.biobank import UKBiobank


@DATASET_REGISTRY.register()
class CMRI(UKBiobank):
    """Cardiac cine MRI of UK Biobank."""

    dataset_dir = "CMRI"
    classes = (
        "normal heart",
        "atrial fibrillation",
        "ischemic heart disease",
        "heart failure",
        "cardiomyopathy",
    )
    modality = "cardiac cine MRI"
    organ = "heart"
