"""What a backbone expects of its images, before it is loaded."""

from clip.build import build_backbone, source_of
from clip.families import find_family
from clip.image_input import ImageInput


def input_of(name: str) -> ImageInput:
    """Return the image input of a backbone; its weights are loaded only if its family knows no other way.

    Args:
        name: as for `build_backbone`, which says what is raised.
    """
    source = source_of(name)
    family = find_family(name, source)
    return family.image_input(name, source) if hasattr(family, "image_input") else build_backbone(name).image_input
