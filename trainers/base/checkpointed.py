"""The part of a trainer that saves learned tensors, resumes a run, and loads what an earlier run learned."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from dassl.console import tell
from dassl.errors import UserError
from dassl.names import check_name, shared_name
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import EpochScheduler
from trainers.base import checkpoints
from trainers.base.digests import differing
from trainers.base.schedule import in_steps
from trainers.base.stored_features import StoredFeatures


class CheckpointedTrainer(StoredFeatures):
    """A trainer that keeps one small checkpoint per learned module, that of the newest epoch.

    Attributes:
        hashes: digests of the settings, images, sentences and backbone on which the run's numbers depend.
        learned: digest of the checkpoint that is tested; None before there is one.
        loaded: whether an earlier run learned it.
        loaded_hashes: `hashes` of that earlier run.
    """

    hashes: dict[str, str | None]
    learned: str | None = None
    loaded = False
    loaded_hashes: dict[str, str | None] = {}  # noqa: RUF012 - replaced, never changed
    _optims: dict[str, Any]  # each learned module has an optimizer

    def learned_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all registered modules."""
        return [parameter for name in self.get_model_names() for parameter in self._models[name].parameters()]

    def learn(self, name: str, module: nn.Module, **optim) -> None:
        """Register a module that is optimised, and saved in `<run>/<name>/`; `optim` overrides keys of cfg.OPTIM."""
        module.to(self.device)
        self.register_model(name, module, *self.optimisation(module, **optim))

    def optimisation(self, module: nn.Module, **optim) -> tuple[Optimizer, EpochScheduler]:
        """Return a new optimizer of a module and its schedule; `optim` overrides keys of cfg.OPTIM."""
        optim_cfg = self.cfg.OPTIM.clone()
        optim_cfg.merge_from_list([x for pair in optim.items() for x in pair])
        optim_cfg = in_steps(optim_cfg, len(self.train_loader_x))
        optimizer = build_optimizer(module, optim_cfg)
        return optimizer, build_lr_scheduler(optimizer, optim_cfg)

    @property
    def class_bound(self) -> bool:
        """Whether the learned tensors belong to these classes, and cannot be used for others."""
        return False

    def save_model(
        self,
        epoch: int,
        directory: str | Path,
        is_best: bool = False,
        val_result: float | None = None,
        model_name: str = "",
    ) -> None:
        """Write the learned tensors of an epoch, and the states of optimizer and scheduler unless it is the last.

        Args:
            epoch: from 0.
            directory: folder of the run.
            is_best, val_result, model_name: of Dassl's interface; not used.
        """
        unfinished = epoch + 1 < self.max_epoch
        for name in self.get_model_names():
            state = {
                "state_dict": self._models[name].state_dict(),
                "epoch": epoch + 1,
                "classnames": self.dm.dataset.classnames,
                "backbone": shared_name(self.backbone.name),
                "hashes": self.hashes,
            }
            if unfinished:
                for part, of in (("optimizer", self._optims), ("scheduler", self._scheds)):
                    if of[name] is not None:
                        state[part] = of[name].state_dict()
            checkpoints.save(state, Path(directory) / name, quiet=unfinished)
        for name in self.get_model_names():  # after all are written, so that one epoch is always complete
            checkpoints.keep_only(Path(directory) / name, epoch + 1)

    def resume_model_if_exist(self, directory: str | Path) -> int:
        """Load the state of the newest epoch in `directory`.

        Returns:
            The number of finished epochs, 0 if there is no checkpoint.

        Raises:
            UserError: the run in `directory` has other settings, images, sentences or weights.
        """
        names = self.get_model_names()
        epoch = checkpoints.last_common_epoch([Path(directory) / name for name in names])
        if not epoch:
            return 0
        for name in names:
            state = checkpoints.load(Path(directory) / name, epoch)
            if different := differing(state.get("hashes", {}), self.hashes):
                raise UserError(
                    f"Expected {directory} to hold an unfinished run of this kind, but it has other {different}: "
                    "choose another --output-dir (OUTPUT=...), or remove the folder to begin again."
                )
            with checkpoints.checked_fit(Path(directory) / name):
                self._models[name].load_state_dict(state["state_dict"])
                if "optimizer" in state:
                    self._optims[name].load_state_dict(state["optimizer"])
                    self._scheds[name].load_state_dict(state["scheduler"])
        where = "" if Path(directory) == Path(self.output_dir) else f" in {directory}"
        tell(f"Resuming from epoch {epoch} of {self.max_epoch}{where}")
        return epoch

    def load_model(self, directory: str | Path, epoch: int | None = None) -> None:
        """Load the tensors that a run in `directory` learned, to test them, possibly on other classes.

        Args:
            directory: folder of the run.
            epoch: from 1; None is the last one.

        Raises:
            UserError: there is no such checkpoint; or it was learned with another backbone, or, with one context per
                class, for other classes.
        """
        for name in self.get_model_names()[:1]:  # the others are needed in training only
            folder = Path(directory) / name
            epoch = epoch or checkpoints.last_common_epoch([folder])
            state = checkpoints.load(folder, epoch)
            self.loaded, self.learned = True, checkpoints.digest(checkpoints.newest(folder, epoch))
            self.loaded_hashes = state.get("hashes", {})
            self._check_backbone(state, folder)
            self.fill(name, state, folder)
            print(f"Loaded {name} of epoch {state['epoch']} from {directory}")

    def fill(self, name: str, state: dict[str, Any], folder: Path) -> None:
        """Load the tensors of a module, which an earlier run has learned.

        Args:
            name: of the module.
            state: its checkpoint.
            folder: where that lies.

        Raises:
            UserError: the tensors are of other shapes or, with one context per class, of other classes.
        """
        expected = {k: tuple(v.shape) for k, v in self._models[name].state_dict().items()}
        found = {k: tuple(v.shape) for k, v in state["state_dict"].items()}
        other = self.class_bound and state["classnames"] != self.dm.dataset.classnames
        if other or expected != found:
            raise UserError(
                f"Expected tensors {expected}, but {folder} holds {found}, learned for the classes "
                f"{state['classnames']}: test with the same settings (CSC True cannot meet other classes)."
            )
        self._models[name].load_state_dict(state["state_dict"])

    def _check_backbone(self, state: dict, folder: Path) -> None:
        """Raise a UserError if a checkpoint was learned with another backbone than this run's."""
        found, mine = state.get("backbone"), shared_name(self.backbone.name)
        found = check_name(shared_name(found) if isinstance(found, str) else found, "backbone", str(folder))
        if found != mine:
            raise UserError(
                f"Expected a checkpoint learned with {mine}, but {folder} was learned with {found}: give that one by "
                "--backbone."
            )
        backbone = {key: value for key, value in self.hashes.items() if key == "backbone_files"}
        if different := differing(self.loaded_hashes, backbone):
            raise UserError(
                f"Expected a checkpoint learned with this {mine}, but {folder} was learned with other {different}: "
                "train again."
            )
