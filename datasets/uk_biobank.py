"""What the three UK Biobank sets share: they are had by application only, and prepared by the user."""

from datasets.base import BiomedDataset


class UKBiobank(BiomedDataset):
    source = "apply at https://www.ukbiobank.ac.uk, and prepare the images in the layout of DATASETS.md"
    licence = "UK Biobank material transfer agreement; no redistribution"
