"""The data sets that are known by name."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


def by_key() -> dict[str, type[BiomedDataset]]:
    """Config key, such as "btmri", to class; without `folder`, whose classes only its images tell."""
    registered = map(DATASET_REGISTRY.get, DATASET_REGISTRY.registered_names())
    ours = [cls for cls in registered if cls.__module__.startswith("datasets.") and cls.classes]
    return {cls.__module__.rsplit(".", 1)[-1]: cls for cls in ours}
