"""A trainer as a run would have it, ready for single steps."""

import train
from dassl.engine import build_trainer


def ready(flags: dict[str, object], device: str, *opts: str):
    """The trainer of `train.py`'s flags (without `--`) and KEY VALUE pairs, at the start of its first epoch."""
    words = [str(word) for name, value in flags.items() for word in (f"--{name}", value)]
    args = train.parse([*words, *opts, "USE_CUDA", str(device == "cuda"), "DATALOADER.NUM_WORKERS", "0"])
    trainer = build_trainer(train.setup_cfg(args, int(flags["seed"])))
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x) + 1  # the schedule stays where it is
    return trainer
