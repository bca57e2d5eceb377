"""The two kinds of text tower in models that open_clip builds."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clip.backbone import Backbone, Tokens
from clip.families.open_clip_models.layers import layers_of
from clip.image_layers import ImageLayers

if TYPE_CHECKING:
    from open_clip.model import CLIP, CustomTextCLIP
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer


class OpenCLIPBackbone(Backbone):
    """Base class of both kinds: image tower, vocabulary and embeddings.

    Args:
        model: of open_clip.
        tokenizer: of open_clip.

    Attributes:
        text_config: what the text tower's own config.json says beside the model's, such as numbers of heads.
    """

    text_config: Mapping[str, Any] = MappingProxyType({})
    end_is_highest = False  # whether the end-of-text token is found as the highest id of a text

    def __init__(self, model: "CLIP | CustomTextCLIP", tokenizer: "HFTokenizer | SimpleTokenizer"):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.context_length = tokenizer.context_length

    @property
    @abstractmethod
    def embeddings(self) -> nn.Embedding:
        """Embeddings of the vocabulary's words."""

    def words(self) -> dict[int, str]:
        """Return the vocabulary: words by their ids."""
        inner = getattr(self.tokenizer, "tokenizer", None)
        found = inner.get_vocab() if inner is not None else self.tokenizer.encoder
        return {number: word for word, number in found.items()}

    def special_ids(self) -> set[int]:
        """Return ids that stand for no word: marks of beginning and end, padding, unused entries."""
        marks = getattr(self.tokenizer, "tokenizer", self.tokenizer).all_special_ids
        return {*marks, *(number for number, word in self.words().items() if word.startswith("[unused"))}

    def embed(self, ids: Tensor) -> Tensor:
        """Return token embeddings [N, L, token_dim] of ids [N, L], without positions."""
        return self.embeddings(ids)

    def pool_image(self, images: Tensor) -> Tensor:
        """Return image features [B, D] of any norm."""
        return self.model.encode_image(images.to(memory_format=torch.channels_last))

    def image_layers(self) -> ImageLayers:
        """Return the layers of the image tower at which it can be asked where it looks."""
        return layers_of(self.model.visual)


class HFTextBackbone(OpenCLIPBackbone):
    """A text tower of transformers, such as BERT; padding is masked, so that features do not depend on it."""

    def __init__(self, model: "CustomTextCLIP", tokenizer: "HFTokenizer"):
        super().__init__(model, tokenizer)
        self.text = model.text
        self.token_dim = self.embeddings.embedding_dim
        self.pad_id: int = model.text.config.pad_token_id

    @property
    def embeddings(self) -> nn.Embedding:
        """Embeddings of the vocabulary's words."""
        return self.text.transformer.get_input_embeddings()

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Return ids and mask [N, L], without columns that are padding in every text."""
        ids = self.tokenizer(list(texts)).to(self.device)
        mask = ids != self.pad_id
        length = int(mask.sum(dim=1).max())
        return Tokens(ids[:, :length], mask[:, :length])

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Return text features [N, D] of any norm."""
        mask = tokens.mask.long()
        out = self.text.transformer(inputs_embeds=embeddings, attention_mask=mask)
        return self.text.proj(self.text.pooler(out, mask))

    def project(self, embeddings: Tensor) -> Tensor:
        """Apply the text projection alone to token embeddings [N, token_dim]; return [N, D] of any norm."""
        return self.text.proj(embeddings)

    def vocabulary_ids(self) -> Tensor:
        """Return the ids [V] of the vocabulary without special tokens and without words of zero embedding."""
        left_out, weight = self.special_ids(), self.embeddings.weight
        trained = weight.any(dim=1).nonzero().flatten()  # zeros belong to word pieces that training never met
        return torch.tensor([i for i in trained.tolist() if i not in left_out])


class CausalTextBackbone(OpenCLIPBackbone):
    """open_clip's own text tower; the feature is read at the end-of-text token, which sees nothing after it."""

    def __init__(self, model: "CLIP | CustomTextCLIP", tokenizer: "HFTokenizer | SimpleTokenizer"):
        super().__init__(model, tokenizer)
        self.text = getattr(model, "text", model)
        self.token_dim = self.embeddings.embedding_dim
        pool = getattr(self.text, "text_pool_type", getattr(self.text, "pool_type", "argmax"))
        self.end_id: int | None = getattr(self.text, "text_eos_id", getattr(self.text, "eos_id", None))
        self.end_is_highest = pool != "eos"

    @property
    def embeddings(self) -> nn.Embedding:
        """Embeddings of the vocabulary's words."""
        return self.text.token_embedding

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Return ids and mask [N, L], without columns that lie behind the end of every text."""
        ids = self.tokenizer(list(texts)).to(self.device)
        marks = ids if self.end_is_highest else (ids == self.end_id).int()
        lengths = marks.argmax(dim=1) + 1
        ids = ids[:, : int(lengths.max())]
        return Tokens(ids, torch.arange(ids.shape[1], device=ids.device) < lengths[:, None])

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Return text features [N, D] of any norm."""
        length = embeddings.shape[1]
        x = embeddings + self.text.positional_embedding[:length]
        x = self.text.ln_final(self.text.transformer(x, attn_mask=self.text.attn_mask[:length, :length]))
        end = tokens.mask.sum(dim=1) - 1
        return self.project(x[torch.arange(len(x), device=x.device), end])

    def project(self, embeddings: Tensor) -> Tensor:
        """Apply the text projection alone to token embeddings [N, token_dim]; return [N, D] of any norm."""
        projection = self.text.text_projection
        if projection is None:
            return embeddings
        return projection(embeddings) if isinstance(projection, nn.Module) else embeddings @ projection

    def vocabulary_ids(self) -> Tensor:
        """Return the ids [V] of the vocabulary without special tokens."""
        special = self.special_ids()
        return torch.tensor([i for i in sorted(self.words()) if i not in special])


class FixedTextBackbone(CausalTextBackbone):
    """open_clip's own text tower as in SigLIP: it sees padding, both ways, and is read out at the last place."""

    start_tokens, fixed_length = 0, True

    def __init__(self, model: "CLIP | CustomTextCLIP", tokenizer: "HFTokenizer"):
        super().__init__(model, tokenizer)
        self.end_is_highest = False

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Return ids and mask [N, context_length] of texts, their ends and padding; the mask is True throughout."""
        ids = self.tokenizer(list(texts)).to(self.device)
        return Tokens(ids, torch.ones_like(ids, dtype=torch.bool))

    def lengths(self, texts: Sequence[str]) -> Tensor:
        """Return the numbers of tokens [N] of texts, ends with them and padding without."""
        cleaned = [self.tokenizer.clean_fn(text) for text in texts]  # padding may have the id of the end
        found = self.tokenizer.tokenizer(cleaned, max_length=self.context_length, truncation=True).input_ids
        return torch.tensor([len(ids) for ids in found])

    def special_ids(self) -> set[int]:
        """Return ids that stand for no word, with those that the tokenizer holds and texts never have."""
        added = self.tokenizer.tokenizer.added_tokens_decoder
        return super().special_ids() | {number for number, word in added.items() if word.special}

    def as_texts(self, ids: Tensor) -> Tokens:
        """Return ids and mask [N, context_length] of N texts that have one token each; ids [N]."""
        empty = self.tokenize([""]).ids[:, :-1]  # the end, and padding
        texts = torch.cat([ids[:, None].to(empty.device), empty.expand(len(ids), -1)], dim=1)
        return Tokens(texts, torch.ones_like(texts, dtype=torch.bool))

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        """Return text features [N, D] of any norm."""
        x = self.text.transformer(embeddings + self.text.positional_embedding[: embeddings.shape[1]])
        return self.project(self.text.ln_final(x[:, -1]))
