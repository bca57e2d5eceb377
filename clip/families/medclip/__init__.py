"""MedCLIP: Swin or ResNet-50 beside Bio_ClinicalBERT, for chest X-rays (Wang et al., EMNLP 2022)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from clip.backbone import Backbone
from clip.files import Address, Folder, locate
from clip.image_input import ImageInput
from clip.models import Model
from dassl.console import tell
from dassl.errors import UserError

if TYPE_CHECKING:
    from clip.families.open_clip_models.towers import HFTextBackbone

FILE = "pytorch_model.bin"
ZIPS = {"MedCLIP": "medclip-vit-pretrained.zip", "MedCLIP-RN50": "medclip-pretrained.zip"}
NAMES = {
    name: Model(
        f"https://storage.googleapis.com/pytrial/{archive}", 512, 77, 224, "no licence file", weights=((FILE, archive),)
    )
    for name, archive in ZIPS.items()
}
DESCRIBED = ()
BESIDE = (("vocab.txt", "tokenizer.json"),)
# Of the published processor: the weights come without a description of their images.
IMAGES = ImageInput(224, (0.5862785803043838,) * 3, (0.27950088968644304,) * 3, prepare=("gray", "pad_square"))


def weights(name: str, place: Folder) -> tuple[tuple[str, ...], ...]:
    """Return the names of the files of weights: a file of any name if one was chosen."""
    if place.chosen:
        return ((place.chosen,),)
    return NAMES[name].weights if name in NAMES else ((FILE, *ZIPS.values()),)


def recognises(place: Folder) -> bool:
    """Return whether a file of weights is a zip, or has the names of MedCLIP's tensors; nothing is downloaded."""
    path = place.find_here(weights("", place)[0])
    if path is None or path.suffix not in (".bin", ".zip"):
        return False
    from clip.families.medclip.zipped import is_published_zip
    from clip.weights import read_tensors

    if path.suffix == ".zip" or is_published_zip(path):
        return True
    try:
        names = read_tensors(path).keys()
    except UserError:  # whoever needs the file will say what is wrong with it
        return False
    seen = any(name.startswith("vision_model.model.") for name in names)
    return seen and "text_model.projection_head.weight" in names


def image_input(name: str, source: str) -> ImageInput:
    """Return the image input, which is the same for both models."""
    return IMAGES


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose weights lie at `source`, unpacked or as the published zip.

    Raises:
        UserError: a file is missing, damaged or of another model; names it and says what to do.
    """
    from clip.families.medclip.towers import (  # it imports transformers, which takes seconds
        RESNET,
        build_towers,
        recipe_of,
    )
    from clip.families.medclip.words import clinical_tokenizer, find_vocabulary
    from clip.families.medclip.zipped import is_published_zip, read_zipped
    from clip.families.open_clip_models.towers import HFTextBackbone
    from clip.weights import read_tensors

    place = locate(source)
    path, words = _weights_path(name, place), find_vocabulary(place)
    tokenizer = clinical_tokenizer(words, NAMES["MedCLIP"].context_length)
    tensors = read_tensors(path, read_zipped(path, FILE) if is_published_zip(path) else None)
    kind = "MedCLIP-RN50" if RESNET in tensors else "MedCLIP"
    if name in NAMES and name != kind:
        raise UserError(
            f"Expected the weights of {name} in {path}, but they are those of {kind}: give {kind} as the backbone, or "
            f"bring {NAMES[name].source}."
        )
    model = build_towers(tensors, path)
    model.text.config.pad_token_id = tokenizer.tokenizer.pad_token_id
    backbone = HFTextBackbone(model, tokenizer)
    _check_words(backbone, words, path)
    backbone.name, backbone.image_input = name, IMAGES
    backbone.embed_dim, backbone.logit_scale = model.embed_dim, model.logit_scale
    backbone.recipe = json.dumps({"family": "MedCLIP"} | recipe_of(model))
    tell(
        f"{kind} sees pictures in grey, padded to a square in black, and lower-cased texts in the words of {words}; "
        "the feature of a text is a mean over its tokens without padding; it was trained on chest X-rays alone"
    )
    return backbone.freeze()


def _weights_path(name: str, place: Folder) -> Path:
    """Return the file of weights; raise a UserError that says what to download if there is none."""
    (names,) = weights(name, place)
    if found := place.find_here(names):
        return found
    url = NAMES[name if name in NAMES else "MedCLIP"].source
    if isinstance(place, Address):
        return place.need(*names)
    raise UserError(
        f"Expected {' or '.join(names)} in {place.path}, but there is none: download it there (`curl -LO {url}`); it "
        "may stay packed."
    )


def _check_words(backbone: "HFTextBackbone", words: Path, path: Path) -> None:
    """Raise a UserError unless the text tower has an embedding for each word, and each text one mark at either end."""
    needed, found = backbone.embeddings.num_embeddings, len(backbone.words())
    if found != needed or backbone.tokenize([""]).ids.shape != (1, 2):
        raise UserError(
            f"Expected the {needed:,} words of the text tower of {path} in {words}, but it has {found:,}, or no marks "
            "of beginning and end among them: put the vocab.txt of emilyalsentzer/Bio_ClinicalBERT beside the weights."
        )
