"""Models in the layout of transformers' SiglipModel, of which it builds the towers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from clip.backbone import Backbone, Tokens
from clip.families.transformers_models.config import Config, read_towers
from clip.families.transformers_models.images import siglip_images
from clip.families.transformers_models.names import find_weights
from clip.families.transformers_models.siglip_tokenizer import SiglipTokenizer, read_siglip_tokenizer
from clip.files import locate
from clip.image_layers import ImageLayers
from clip.part import Part
from clip.weights import one_line, read_tensors
from dassl.errors import UserError

if TYPE_CHECKING:
    from transformers import SiglipModel


class SiglipBackbone(Backbone):
    """SigLIP: every text fills the whole context, and its feature is read at the last place of it.

    The text tower sees padding like any other token, as in training, so that a shorter context would give another
    feature. Its two parameters of the loss are a scale, which cosines are multiplied by here too, and a bias, which is
    left out: it is the same for all classes, and a softmax over classes does not see it.

    Args:
        model: of transformers.
        tokenizer: of SigLIP.
    """

    start_tokens, fixed_length = 0, True

    def __init__(self, model: "SiglipModel", tokenizer: SiglipTokenizer):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.context_length = tokenizer.context_length
        self.token_dim = model.text_model.embeddings.token_embedding.embedding_dim

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Return ids and mask [N, context_length] of texts, their ends and padding; the mask is True throughout."""
        return self._filled(self.tokenizer(texts))

    def words(self) -> dict[int, str]:
        """Return the vocabulary: words by their ids."""
        return {number: word for word, number in self.tokenizer.tokenizer.get_vocab().items()}

    def _filled(self, texts: Sequence[Sequence[int]]) -> Tokens:
        """Return texts of ids with padding up to the context length."""
        pad, length = self.tokenizer.pad, self.context_length
        ids = torch.tensor([[*text, *[pad] * (length - len(text))] for text in texts], device=self.device)
        return Tokens(ids, torch.ones_like(ids, dtype=torch.bool))

    def lengths(self, texts: Sequence[str]) -> Tensor:
        """Return the numbers of tokens [N] of texts, ends with them and padding without."""
        return torch.tensor([len(text) for text in self.tokenizer(texts)])  # padding may have the id of the end

    def as_texts(self, ids: Tensor) -> Tokens:
        """Return ids and mask [N, context_length] of N texts that have one token each; ids [N]."""
        return self._filled([[number, self.tokenizer.end] for number in ids.tolist()])

    def embed(self, ids: Tensor) -> Tensor:
        """Return token embeddings [N, L, token_dim] of ids [N, L], without positions."""
        return self.model.text_model.embeddings.token_embedding(ids)

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Return text features [N, D] of any norm."""
        tower = self.model.text_model
        hidden = tower.encoder(inputs_embeds=tower.embeddings(inputs_embeds=embeddings)).last_hidden_state
        return self.project(tower.final_layer_norm(hidden[:, -1]))

    def pool_image(self, images: Tensor) -> Tensor:
        """Return image features [B, D] of any norm."""
        return self.model.vision_model(pixel_values=images).pooler_output

    def image_layers(self) -> ImageLayers:
        """Return the layers of the image tower at which it can be asked where it looks."""
        tower = self.model.vision_model
        blocks, pool = tower.encoder.layers, tower.head.attention

        def read(tokens: Tensor) -> Tensor:
            return tower.head(tower.post_layernorm(tokens))

        return ImageLayers(blocks[-1].layer_norm1, "NLC", pool, tuple((block, pool) for block in blocks), read)

    def vocabulary_ids(self) -> Tensor:
        """Return the ids [V] of the vocabulary without special and unused tokens."""
        return torch.tensor(self.tokenizer.words())

    def project(self, embeddings: Tensor) -> Tensor:
        """Apply the text projection alone to token embeddings [N, token_dim]; return [N, D] of any norm."""
        return self.model.text_model.head(embeddings)


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`.

    Args:
        name: as the user asked for it.
        source: `hf-hub:org/model` or `local-dir:/path`.

    Raises:
        UserError: a file is missing or damaged, the configuration is not supported, or the weights do not fit it.
    """
    place = locate(source)
    path = place.need("config.json")
    _, text, vision = read_towers(path)
    model = _towers(text, vision, path)
    config = model.config.text_config
    tokenizer = read_siglip_tokenizer(place, config.max_position_embeddings)
    if (words := max(tokenizer.tokenizer.get_vocab().values()) + 1) > config.vocab_size:
        raise UserError(
            f"Expected a tokenizer of at most {config.vocab_size} words, as {path} describes the text tower, but it "
            f"has {words}: put the tokenizer of this model beside it."
        )
    weights = find_weights(place)
    Part(read_tensors(weights), "", weights).fill(model)
    backbone = SiglipBackbone(model, tokenizer)
    backbone.name, backbone.revision = name, place.revision
    backbone.image_input = siglip_images(place, vision)
    backbone.embed_dim = config.projection_size
    backbone.logit_scale = model.logit_scale.exp().item()
    backbone.recipe = json.dumps({"text": text, "vision": vision, "context": tokenizer.context_length}, sort_keys=True)
    return backbone.freeze()


def _towers(text: Config, vision: Config, path: Path) -> "SiglipModel":
    """Build both towers without weights.

    Raises:
        UserError: transformers cannot build them, or their features do not fit each other.
    """
    from transformers import SiglipConfig, SiglipModel

    # The ids of marks in these files are those of CLIP's vocabulary, and mean nothing here.
    marks = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    try:
        config = SiglipConfig(text_config=text | marks, vision_config=vision)
        with torch.device("meta"):  # takes no memory until the weights are put there
            model = SiglipModel(config)
    except Exception as error:  # of several kinds, as numbers that do not fit each other lead to
        raise UserError(
            f"Expected {path} to describe a SiglipModel, but: {one_line(error)}: copy the file from the model's page "
            "on the hub."
        ) from error
    width = config.vision_config.hidden_size if config.vision_config.vision_use_head else None
    if config.text_config.projection_size != width:
        raise UserError(
            f"Expected {path} to describe towers with features of one size and vision_use_head true, but texts "
            f"have {config.text_config.projection_size} numbers and images {width}: choose another model."
        )
    for module in model.modules():
        _fill_positions(module)
    return model


def _fill_positions(module: nn.Module) -> None:
    """Number the positions of a module that has them; they are not among the weights."""
    for name, buffer in module.named_buffers(recurse=False):
        setattr(module, name, torch.arange(buffer.shape[-1]).expand(buffer.shape))
