"""The tensors of one part of a model, such as a tower, from which its sizes are read and which a module takes over."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from clip.weights import one_line
from dassl.errors import UserError

POSITIONS = ".position_ids"  # numbers from 0 on, which older versions of transformers wrote


class Part:
    """The tensors whose names start with a prefix, by the rest of their names, without `POSITIONS`; numbers in float32.

    Args:
        tensors: of the whole file.
        prefix: of the part.
        path: of the file, for errors.
    """

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str, path: Path):
        self.prefix, self.path = prefix, path
        self.tensors = {
            name.removeprefix(prefix): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix) and not name.endswith(POSITIONS)
        }

    def shape(self, name: str) -> torch.Size:
        """Return the shape of a tensor; raise a UserError if there is none of this name."""
        if name not in self.tensors:
            raise self.misfit([name], ())
        return self.tensors[name].shape

    def count(self, pattern: str) -> int:
        r"""Return how many numbers occur at the group of a pattern in the names, such as `layer\.(\d+)\.`."""
        return len({found[1] for name in self.tensors if (found := re.match(pattern, name))})

    def fill(self, module: nn.Module) -> None:
        """Let `module` take over all tensors.

        Raises:
            UserError: names or shapes differ; names file and tensors.
        """
        try:
            found = module.load_state_dict(self.tensors, strict=False, assign=True)
        except RuntimeError as error:
            raise UserError(
                f"Expected the tensors {self.prefix}* of {self.path} to fit the model, but: {one_line(error)}: "
                "download the file again."
            ) from error
        self.check(found.missing_keys, found.unexpected_keys)

    def check(self, missing: Collection[str], extra: Collection[str]) -> None:
        """Raise a UserError if the module that took over the tensors lacks some, or some were left over."""
        if missing or extra:
            raise self.misfit(missing, extra)

    def misfit(self, missing: Collection[str], extra: Collection[str]) -> UserError:
        """Return the error about tensors that are missing or left over."""
        words = [
            f"{verb} {', '.join(self.prefix + name for name in sorted(names)[:4])}{' ...' if len(names) > 4 else ''}"
            for verb, names in (("lacks", missing), ("has, unknown here,", extra))
            if names
        ]
        return UserError(
            f"Expected all weights of the model and no others in {self.path}, but it {' and '.join(words)}: download "
            "the file again, or give another model."
        )
