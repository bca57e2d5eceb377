"""Our trainers beside those of another checkout: the first steps on equal weights, images and views."""

from torch import Tensor, nn

from trainers.base.step import backpropagate, compute_losses

STEPS = 3


def keep_evaluating(model: nn.Module) -> None:
    """Switch off what towers do in training only: dropout, and statistics of the batch in batch normalisation."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm2d):
            module.train = lambda mode=True, module=module: module
            module.training = False


def their_step(trainer, batch: dict) -> tuple[Tensor, list[Tensor], float]:
    """Take a step of a checkout's trainer; return its logits, its weighted loss terms if it has several, its loss."""
    seen = []
    hook = trainer.model.register_forward_hook(lambda module, given, out: seen.append(out))
    with trainer.inside_checkout():
        summary = trainer.forward_backward(batch)
    hook.remove()
    logits, *terms = seen[0] if isinstance(seen[0], tuple) else (seen[0],)
    return logits, terms, summary["loss"]


def our_step(trainer, batch: dict) -> tuple[Tensor, dict[str, Tensor]]:
    """Take a step of our trainer; return its logits and its weighted loss terms."""
    (step,) = compute_losses([trainer], [(trainer.backbone.encode_image(batch["img"]), batch["label"])])
    trainer.model_zero_grad()
    backpropagate([trainer], [step])
    trainer.model_update()
    return step


def first_steps(ours, theirs) -> dict[str, tuple[float, float]]:
    """Take three steps of both trainers on the same views.

    Returns:
        By the name of a quantity: the largest difference of an entry, relative to the largest of theirs, and that one.
    """
    assert [item.impath for item in ours.dm.dataset.train_x] == [item.impath for item in theirs.dm.dataset.train_x]
    theirs.set_model_mode("train")
    theirs.num_batches = STEPS + 1  # no step of the schedule in between
    worst: dict[str, tuple[float, float]] = {}
    for batch in [batch for _ in range(STEPS) for batch in theirs.train_loader_x][:STEPS]:
        logits, terms, loss = their_step(theirs, batch)
        found, ours_terms = our_step(ours, batch)
        pairs = {"logits": (found, logits), "context": (ours.prompt_learner.ctx, theirs.model.prompt_learner.ctx)}
        pairs["loss"] = (sum(ours_terms.values()), logits.new_tensor(loss))
        pairs |= {name: (ours_terms[name], term) for name, term in zip(("ce", "sccm", "kdsp"), terms, strict=False)}
        for name, (a, b) in pairs.items():
            size = b.detach().abs().max().item()
            worst[name] = max(worst.get(name, (0.0, 0.0)), ((a - b).abs().max().item() / size, size))
    print({name: f"{off:.1e} of {size:.3g}" for name, (off, size) in worst.items()})
    return worst
