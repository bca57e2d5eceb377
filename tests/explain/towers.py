"""Image towers made by hand, of which it is known where they look."""

import torch
from torch import Tensor, nn

from clip.image_layers import ImageLayers
from tests.tiny_backbone import TinyBackbone

SIDE, WIDTH = 4, 6  # patches a side, and numbers of each
MARK = torch.tensor([1.0, -0.5, 0.8])  # colour of the patch that is the answer
GROUND = torch.tensor([0.2, 0.4, 0.0])  # colour of all else


class Patches(nn.Module):
    """Tokens [B, 16, 6] of pictures of 8 x 8 pixels, by a linear map of 2 x 2 of them; the first finds the mark."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, WIDTH, 2, stride=2, bias=False)
        nn.init.orthogonal_(self.layer.weight.data.flatten(1))
        self.layer.weight.data[0] = MARK[:, None, None]

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images).flatten(2).transpose(1, 2)


class LinearBackbone(TinyBackbone):
    """Its feature is the mean of the tokens: each place adds its own share."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.patches, self.project_image = Patches(), nn.Linear(WIDTH, 16, bias=False)
            nn.init.orthogonal_(self.project_image.weight)
        self.freeze()

    def pool_image(self, images: Tensor) -> Tensor:
        return self.project_image(self.patches(images).mean(dim=1))

    def image_layers(self) -> ImageLayers:
        return ImageLayers(self.patches)


class Block(nn.Module):
    """Attention, and no other layer; keys and values are close to the tokens themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.Identity()
        self.attn = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        near = torch.eye(WIDTH).repeat(3, 1)
        self.attn.in_proj_weight.data = near + 0.1 * torch.randn_like(near)
        self.attn.in_proj_bias.data = 0.1 * torch.randn(3 * WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = self.norm(tokens)
        return tokens + self.attn(tokens, tokens, tokens, need_weights=False)[0]


class AttentionBackbone(LinearBackbone):
    """Its feature is that of a class token after one block of attention."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.token, self.block = nn.Parameter(torch.eye(WIDTH)[:1, None]), Block()  # it asks for the mark
        self.freeze()

    def pool_image(self, images: Tensor) -> Tensor:
        tokens = torch.cat([self.token.expand(len(images), -1, -1), self.patches(images)], dim=1)
        return self.project_image(self.block(tokens)[:, 0])

    def image_layers(self) -> ImageLayers:
        block = self.block
        blocks = ((block, block.attn),)
        return ImageLayers(block.norm, "NLC", block.attn, blocks, lambda x: self.project_image(x.mean(dim=1)), prefix=1)


def with_a_mark(row: int, column: int) -> Tensor:
    """A picture [1, 3, 8, 8] of another colour, with faint noise, and one patch of the mark's colour."""
    noise = 0.1 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    picture = GROUND[:, None, None] + noise
    picture[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = MARK[:, None, None]
    return picture
