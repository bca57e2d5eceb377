"""What the three UK Biobank sets share: they are had by application only, and prepared by the user."""

from datasets.base import BiomedDataset


class UKBiobank(BiomedDataset):
    source = "apply at https://www.ukbiobank.ac.uk, then run python -m datasets.ukb prepare (see DATASETS.md)"
    licence = "UK Biobank material transfer agreement; no redistribution"
