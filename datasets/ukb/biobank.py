"""The base class of the three UK Biobank data sets: images are had by application, and prepared by the user."""

from datasets.base import BiomedDataset


class UKBiobank(BiomedDataset):
    """A data set of UK Biobank; there is no archive of it."""

    source = "apply at https://www.ukbiobank.ac.uk, then run python -m datasets.ukb prepare (see DATASETS.md)"
    licence = "UK Biobank material transfer agreement; no redistribution"
