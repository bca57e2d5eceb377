"""Settings of a method that name one of several ways."""

from collections.abc import Mapping, Sequence

from yacs.config import CfgNode

from dassl.utils import check_availability
from trainers.base.digests import method_settings


def check_choices(cfg: CfgNode, choices: Mapping[str, Sequence[str]]) -> None:
    """Raise a UserError unless each setting of the method, a key of `choices`, has one of the values listed there."""
    for key, values in choices.items():
        check_availability(method_settings(cfg)[key], values, what=f"TRAINER.{cfg.TRAINER.NAME.upper()}.{key}")
