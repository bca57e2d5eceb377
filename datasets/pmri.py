"""Pancreas MRI of UK Biobank."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.ukb.biobank import UKBiobank


@DATASET_REGISTRY.register()
class PMRI(UKBiobank):
    """Pancreas MRI of UK Biobank."""

    dataset_dir = "PMRI"
    classes = (
        "normal pancreas",
        "type 2 diabetes",
        "pancreatitis",
        "pancreatic cyst",
        "pancreatic neoplasm",
    )
    modality = "pancreas MRI"
    organ = "pancreas"
