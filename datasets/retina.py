"""Eye diseases in fundus photographs."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class RETINA(BiomedDataset):
    """Eye diseases in fundus photographs."""

    dataset_dir = "RETINA"
    classes = (
        "diabetic retinopathy",
        "glaucoma",
        "cataract",
        "normal retina",
    )
    modality = "fundus photography"
    organ = "retina"
    source = "Kaggle, gunavenkatdoddi (after Koehler et al. 2013)"
    licence = "see the source"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/RETINA.zip"
    drive_id = "18U-Gc22h5QryomNNzY4r4Qfrq52yf5EO"
