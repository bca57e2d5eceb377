"""What is known of published models: where their files are, their sizes and licences."""

from typing import NamedTuple

from clip.files import WEIGHTS


class Model(NamedTuple):
    """A published model, which a short name stands for.

    Attributes:
        source: where its files are: "hf-hub:org/model", "hf-hub:datasets/org/name" or "local-dir:/path"; an address
            "https://..." for a file that is not on the hub and has to be brought by hand.
        embed_dim: dimension D of the joint space.
        context_length: largest number of tokens of a text.
        image_size: side of the square images in pixels.
        licence: of the weights, as far as it was published.
        gated: whether the hub asks for an agreement before a download.
        weights: names of its files of weights: of each group the first that is there is read.
        archive: name in `~/.cache/clip` of the archive of OpenAI's own code; "" if there is none.
        parameters: their number, if it is known.
        logit_scale: factor of the cosines, if it was published.
    """

    source: str
    embed_dim: int
    context_length: int
    image_size: int
    licence: str
    gated: bool = False
    weights: tuple[tuple[str, ...], ...] = (WEIGHTS,)
    archive: str = ""
    parameters: int | None = None
    logit_scale: float | None = None
