"""Findings and landmarks in endoscopy."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class Kvasir(BiomedDataset):
    """Findings and landmarks in endoscopy."""

    dataset_dir = "Kvasir"
    classes = (
        "dyed lifted polyps",
        "dyed resection margins",
        "esophagitis",
        "normal cecum",
        "normal pylorus",
        "normal z line",
        "polyps",
        "ulcerative colitis",
    )
    modality = "endoscopy"
    organ = "gastrointestinal tract"
    source = "Simula (Pogorelov et al. 2017)"
    licence = "research and education"
    archive = "https://huggingface.co/datasets/TahaKoleilat/BiomedCoOp/resolve/main/Kvasir.zip"
    drive_id = "1T_cqnNIjmGazNeg6gziarvCNWGsFEkRi"
