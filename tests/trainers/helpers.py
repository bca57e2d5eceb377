"""Parts of the tests of the bases of all methods."""

import types

import torch

BATCHES = ("DATALOADER.TRAIN_X.BATCH_SIZE", 4)  # two an epoch


class Store:
    """A feature store whose rows are the length of the path and the number of the view; `asked` lists its calls."""

    def __init__(self):
        self.asked, self.seconds = [], 0.0

    def images(self, paths, transform, view=None):
        self.asked.append((list(paths), transform, view))
        views = [-1] * len(paths) if view is None else view
        return torch.tensor([[float(len(path)), float(v)] for path, v in zip(paths, views, strict=True)])


def ctx(trainer) -> torch.Tensor:
    """Return a copy of the learned context."""
    return trainer.prompt_learner.ctx.detach().clone()


def replaced(trainer, **fields) -> types.SimpleNamespace:
    """Return the data set of `trainer` with other fields."""
    return types.SimpleNamespace(**vars(trainer.dm.dataset) | {"classnames": trainer.dm.dataset.classnames} | fields)
