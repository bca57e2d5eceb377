"""Helpers for trainers, data sets and scripts."""

from dassl.reading import read_json
from dassl.writing import atomic_write, write_json, writing

from .checkpoint import load_checkpoint, load_pretrained_weights, resume_from_checkpoint, save_checkpoint
from .device import choose_device, describe_device, device_name
from .environment import collect_env_info
from .files import check_isfile, listdir_nohidden, mkdir_if_missing
from .images import read_image
from .logger import Logger, print_detail, setup_logger
from .meters import AverageMeter, MetricMeter
from .registry import Registry, check_availability
from .reproducibility import derive_seed, get_random_state, set_deterministic, set_random_seed, set_random_state
from .small import count_num_param, tolist_if_not

__all__ = [
    "AverageMeter",
    "Logger",
    "MetricMeter",
    "Registry",
    "atomic_write",
    "check_availability",
    "check_isfile",
    "choose_device",
    "collect_env_info",
    "count_num_param",
    "derive_seed",
    "describe_device",
    "device_name",
    "get_random_state",
    "listdir_nohidden",
    "load_checkpoint",
    "load_pretrained_weights",
    "mkdir_if_missing",
    "print_detail",
    "read_image",
    "read_json",
    "resume_from_checkpoint",
    "save_checkpoint",
    "set_deterministic",
    "set_random_seed",
    "set_random_state",
    "setup_logger",
    "tolist_if_not",
    "write_json",
    "writing",
]
