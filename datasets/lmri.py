"""Liver MRI of UK Biobank."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.ukb.biobank import UKBiobank


@DATASET_REGISTRY.register()
class LMRI(UKBiobank):
    """Liver MRI of UK Biobank."""

    dataset_dir = "LMRI"
    classes = (
        "normal liver",
        "fatty liver disease",
        "liver cirrhosis",
        "hepatitis",
        "liver neoplasm",
    )
    modality = "liver MRI"
    organ = "liver"
