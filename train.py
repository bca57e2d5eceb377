"""One run, or one per seed: flags -> config -> trainer -> log.txt, metrics.json, checkpoint.

    python train.py --root phantoms --backbone PhantomCLIP --trainer vMFCoOp --dataset btmri --shots 16 --seed 1 2 3

Several seeds are run together, a step of each at a time, with one backbone; each has its own folder, as if run alone.
Trainers of another checkout (`--with`) run one seed after the other, into `<output>/<the checkout's name>`.
`--dataset` and `--setting` name files below configs/; Dassl's `--dataset-config-file` and `--config-file`
work as ever, and KEY VALUE pairs at the end override any setting. A run that was interrupted goes on from its last
epoch; a finished one is left alone.
"""

import argparse
import contextlib
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import toolbox  # noqa: F401, its dassl comes first
from dassl.console import printable_text
from dassl.errors import UserError, command, sentence

CONFIGS = Path(__file__).parent / "configs"
SETTINGS = ("few_shot", "base2new")
NEGATIVE = re.compile(r"-\.?\d")  # begins a value such as -1e-3 or -160:240; argparse would take it for a flag


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", default="", help='folder of the data sets, or "phantoms"')
    p.add_argument("--trainer", default="", help="method, such as vMFCoOp or its short name vmfcoop")
    p.add_argument("--with", dest="checkout", default="", help="folder of a CoOp-style checkout whose trainers to add")
    p.add_argument("--backbone", default="", help="BiomedCLIP, CLIP, PhantomCLIP, hf-hub:..., local-dir:...")
    p.add_argument("--dataset", default="", help="data set: a file of configs/datasets/")
    p.add_argument("--shots", type=positive, help="training images per class, any number: 1, 5, 16, ...")
    p.add_argument("--setting", default="few_shot", choices=SETTINGS, help="protocol: which settings of the trainer")
    p.add_argument(
        "--seed",
        nargs="+",
        default=[],
        help="seed of draw and training; several; or `default`: 1 2 3, or 1 if nothing is drawn",
    )
    p.add_argument("--output", default="output", help="root of all runs; the run's own folder follows from the flags")
    p.add_argument("--output-dir", default="", help="the run's own folder, instead")
    p.add_argument("--subsample", default="", choices=["", "all", "base", "new"], help="which classes")
    p.add_argument("--dataset-config-file", default="", help="yaml of the data set")
    p.add_argument("--config-file", default="", help="yaml of the trainer")
    p.add_argument("--resume", default="", help="folder to resume from, if not the run's own")
    p.add_argument("--eval-only", action="store_true", help="test what --model-dir holds")
    p.add_argument("--model-dir", default="", help="run folder to load from; of the base classes by default")
    p.add_argument("--load-epoch", type=int, help="epoch to load, the last one by default")
    p.add_argument("--no-train", action="store_true", help="build everything, train nothing")
    p.add_argument("opts", nargs=argparse.REMAINDER, help="KEY VALUE ... overriding the config")
    p._negative_number_matcher = NEGATIVE
    return p


def positive(word: str) -> int:
    """A whole number of at least 1; argparse prints the error."""
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of images per class such as 1, 5 or 16, but got {word!r}")
    return int(word)


def config_files(args: argparse.Namespace) -> list[Path]:
    """The yaml files of a run, in the order of merging: common, trainer, data set, both, named files."""
    known = CONFIGS / "trainers" / args.trainer / args.setting
    if not known.with_suffix(".yaml").is_file():  # a method with one yaml has it for both settings
        known = known.with_name("few_shot")
    files = [CONFIGS / "common.yaml"] + ([known.with_suffix(".yaml")] if args.trainer else [])
    if args.checkout:
        files += args.checkout.config_files(args.trainer, args.setting, args.dataset)
    if args.dataset:
        files += [CONFIGS / "datasets" / f"{args.dataset}.yaml", known / f"{args.dataset}.yaml"]
        names = sorted(path.stem for path in files[-2].parent.glob("*.yaml"))
        if args.dataset not in names:
            raise UserError(f'Expected one of the data sets {", ".join(names)}, but got "{args.dataset}".')
    optional = [path for path in files if path.is_file()]
    return optional + [Path(f) for f in (args.dataset_config_file, args.config_file) if f]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The flags; what follows the numbers of --seed are settings, and --with becomes the checkout that it names."""
    from report.methods import default_seeds, trainer_name

    args = parser().parse_args(argv)
    args.trainer = trainer_name(args.trainer)
    if args.seed[:1] == ["default"]:
        args.seed[:1] = map(str, default_seeds(args.trainer))
    lists = list(itertools.takewhile(re.compile(r"-?\d+(,-?\d+)*,?$").match, args.seed))  # 1 2 3, or 1,2,3
    args.opts = [*args.seed[len(lists) :], *args.opts]
    args.seed = [int(n) for n in dict.fromkeys(",".join(lists).split(",")) if n] or [-1]
    if args.checkout:
        from trainers.checkout import checkout_at

        args.checkout = checkout_at(args.checkout)
    return args


def defaults(args: argparse.Namespace):
    """The configuration before any file or flag is merged."""
    from dassl.config import get_cfg_default
    from trainers import extend_cfg

    cfg = get_cfg_default()
    extend_cfg(cfg)
    if args.checkout:
        args.checkout.extend_cfg(cfg, args.trainer)
    return cfg


def setup_cfg(args: argparse.Namespace, seed: int = -1):
    """The run's frozen configuration.

    Raises:
        UserError: a yaml file or a KEY VALUE pair that cannot be merged, or a run that is not told in full.
    """
    import datasets  # noqa: F401, registers the data sets
    from dassl.config import merge_file, merge_pairs

    cfg = defaults(args)
    for file in config_files(args):
        merge_file(cfg, file)
    cfg.DATASET.ROOT = args.root or cfg.DATASET.ROOT
    cfg.TRAINER.NAME = args.trainer or cfg.TRAINER.NAME
    cfg.MODEL.BACKBONE.NAME = args.backbone or cfg.MODEL.BACKBONE.NAME
    cfg.DATASET.SUBSAMPLE_CLASSES = args.subsample or cfg.DATASET.SUBSAMPLE_CLASSES
    cfg.DATASET.NUM_SHOTS = cfg.DATASET.NUM_SHOTS if args.shots is None else args.shots
    cfg.RESUME = args.resume or cfg.RESUME
    if seed >= 0:
        cfg.SEED = seed
    merge_pairs(cfg, args.opts)
    check_complete(cfg)
    cfg.OUTPUT_DIR = args.output_dir or str(run_folder(cfg, args, cfg.DATASET.SUBSAMPLE_CLASSES))
    cfg.freeze()
    return cfg


def check_complete(cfg) -> None:
    """Raise a UserError unless it is known what is to be trained, on what, and both exist."""
    from dassl.data.datasets import DATASET_REGISTRY
    from dassl.engine import TRAINER_REGISTRY
    from dassl.utils import check_availability

    told = {
        "--trainer": cfg.TRAINER.NAME,
        "--dataset": cfg.DATASET.NAME,
        "--backbone": cfg.MODEL.BACKBONE.NAME,
        "--root": cfg.DATASET.ROOT,
    }
    if missing := [flag for flag, value in told.items() if not value]:
        raise UserError(
            f"Expected {', '.join(told)} (or a config file that says them), but got no {', no '.join(missing)}: "
            "see train.py --help."
        )
    check_availability(cfg.TRAINER.NAME, TRAINER_REGISTRY.registered_names(), what="trainer")
    check_availability(cfg.DATASET.NAME, DATASET_REGISTRY.registered_names(), what="dataset")


def run_folder(cfg, args: argparse.Namespace, subsample: str) -> Path:
    """`<output>/<dataset>/shots_16/<Trainer>_<Backbone>/nctx4_cscFalse_ctpend/seed1`, below `base2new/...` if so."""
    from dassl.names import file_name
    from report.methods import data_name, seeds_folder

    method = cfg.TRAINER.get(cfg.TRAINER.NAME.upper().partition("_")[0], {})  # COOP, of CoOp or of CoOp_BiomedCLIP
    context = [method.get(key, none) for key, none in (("N_CTX", 4), ("CSC", False), ("CLASS_TOKEN_POSITION", "end"))]
    root = Path(args.output)
    if checkout := cfg.get("CHECKOUT", "").partition("@")[0]:  # another's BiomedCoOp beside ours
        root = root / file_name(checkout)
    if args.setting == "base2new":
        root = root / "base2new" / ("test_new" if subsample == "new" else "train_base")
    dataset = file_name(data_name(args.dataset or cfg.DATASET.NAME.lower(), cfg.DATASET.ROOT))
    shots, setting = cfg.DATASET.NUM_SHOTS, file_name("nctx{}_csc{}_ctp{}".format(*context))
    folder = seeds_folder(root, dataset, shots, cfg.TRAINER.NAME, cfg.MODEL.BACKBONE.NAME, setting)
    return folder / f"seed{cfg.SEED}"


def finished(cfg, args: argparse.Namespace, read: Callable[[Any], tuple] | None = None) -> bool:
    """Whether the run's folder holds its results.

    Args:
        cfg: the run's configuration.
        args: its flags.
        read: gives data set and digests, as `data_of`, which is the default.

    Raises:
        UserError: the folder holds results of other settings, images, sentences or weights; names which.
    """
    from trainers.digests import differing, of_sentences
    from trainers.results import config_digest, read_results

    path = Path(cfg.OUTPUT_DIR) / "metrics.json"
    if not os.path.lexists(path):
        return False
    record = read_results(path)
    found, expected = record["hashes"], {"config": config_digest(cfg)}
    if found.get("config") == expected["config"]:
        dataset, digests = (read or data_of)(cfg)
        sentences = of_sentences(cfg, dataset, record["sentences_per_class"])
        expected |= digests | {"sentences": sentences, "learned": _learned(cfg, args, record)}
    if different := differing(found, expected):
        raise UserError(
            f"Expected {path} to come from a run like this one, but its run had other {different}: choose another "
            "--output (OUTPUT=...), or remove that folder to run again."
        )
    return True


def data_of(cfg) -> tuple:
    """The data set of a run, and the digests of its images and weights."""
    from dassl.data.datasets import DATASET_REGISTRY
    from trainers.digests import of_data

    dataset = DATASET_REGISTRY.get(cfg.DATASET.NAME)(cfg)
    return dataset, of_data(cfg, dataset)


def _learned(cfg, args: argparse.Namespace, record: dict) -> str | None:
    """Digest of the checkpoint that this run would test; None where the finished one cannot be held against it."""
    from trainers import checkpoints

    found = record["hashes"].get("learned")
    place = model_dir(cfg, args) if args.eval_only else Path(cfg.OUTPUT_DIR)
    epoch = args.load_epoch if args.eval_only else None
    folders = [folder for folder in place.glob("*/") if checkpoints.newest(folder, epoch)]
    digests = [checkpoints.digest(checkpoints.newest(folder, epoch)) for folder in folders]
    if not found or found in digests:
        return found
    return "other" if digests or (record.get("loaded") and not args.eval_only) else None


def model_dir(cfg, args: argparse.Namespace) -> Path:
    """Folder of the run whose learned tensors are tested: that of the base classes unless told otherwise."""
    return Path(args.model_dir or run_folder(cfg, args, subsample="base"))


class Run:
    """One seed's run: its folder, locked while it lasts, its log, its trainer, and whether it came to an end."""

    def __init__(self, args: argparse.Namespace, cfg):
        self.args, self.cfg, self.folder = args, cfg, Path(cfg.OUTPUT_DIR)
        self.trainer, self.failed, self.told = None, False, None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Hold the folder, and its log open."""
        from dassl.utils import Logger

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock", timeout=0), Logger(self.folder / "log.txt") as self.log:
            yield

    @contextlib.contextmanager
    def speaking(self) -> Iterator[None]:
        """Copy what is printed to the log; an error that a user can mend ends this run, in one sentence."""
        try:
            with contextlib.redirect_stdout(self.log):
                yield
        except BaseException as error:
            self.tell(error)
            if not (words := sentence(error)):
                raise
            self.failed = True
            say(words)

    def tell(self, error: BaseException) -> None:
        """Write the traceback of an error into the log, once."""
        if error is not self.told:
            self.told = error
            with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
                self.log.file.write(printable_text("".join(traceback.format_exception(error))))

    def build(self) -> None:
        """Write the configuration and make the trainer."""
        from dassl.config import difference
        from dassl.engine import build_trainer
        from dassl.utils import atomic_write, choose_device, collect_env_info, describe_device, set_random_seed
        from trainers.results import method_settings

        cfg = self.cfg
        print(f"Device: {describe_device(choose_device(cfg.USE_CUDA))}")
        settings = cfg.dump()
        with atomic_write(self.folder / "config.yaml") as file:
            file.write(settings)
        if cfg.SEED >= 0:
            print(f"Setting fixed seed: {cfg.SEED}")
            set_random_seed(cfg.SEED)
        if self.args.checkout:
            print(self.args.checkout)
        shown = difference(cfg, defaults(self.args))
        shown.TRAINER[cfg.TRAINER.NAME.upper()] = method_settings(cfg)
        print(f"** Config ** (the method's, and what is not a default; all of it is in {self.folder / 'config.yaml'})")
        print(f"{shown.dump()}\n** System info **\n{collect_env_info()}\n")
        self.trainer = build_trainer(cfg)

    def test(self) -> None:
        """Test what was learned before, on the base classes unless told otherwise."""
        folder = model_dir(self.cfg, self.args)
        self.trainer.load_model(str(folder), epoch=self.args.load_epoch)
        if not self.args.model_dir:
            self.check_learned(folder)
        self.trainer.test()

    def check_learned(self, folder: Path) -> None:
        """Raise a UserError if what was loaded from `folder` was learned with other settings or from another split."""
        from trainers.digests import differing
        from trainers.results import config_digest

        found = getattr(self.trainer, "loaded_hashes", {})
        if not found:
            return
        cfg = self.cfg.clone()
        cfg.defrost()
        cfg.DATASET.SUBSAMPLE_CLASSES = "base" if self.args.setting == "base2new" else cfg.DATASET.SUBSAMPLE_CLASSES
        expected = {"config": config_digest(cfg), "split": self.trainer.hashes["split"]}
        if different := differing(found, expected):
            raise UserError(
                f"Expected {folder} to hold what a run like this one learned, but its run had other {different}: train "
                "the base classes again with these, or name the folder by --model-dir."
            )


def say(words: str) -> None:
    print(f"error: {words}", file=sys.stderr)


def work(args: argparse.Namespace, runs: list[Run]) -> None:
    """Train and test, or test only; of trainers that are not ours one run after the other."""
    if len(runs) > 1 and "CHECKOUT" in runs[0].cfg:
        for run in runs:
            work(args, [run])
            run.trainer = None  # its towers are not shared
        return
    for run in runs:
        with run.speaking():
            run.build()
    runs = [run for run in runs if not run.failed]
    if args.no_train:
        return
    if args.eval_only or len(runs) == 1:
        for run in runs:
            with run.speaking():
                run.test() if args.eval_only else run.trainer.train()
    elif runs:
        from trainers import together

        together.train(runs)


@command
def main(argv: list[str] | None = None) -> int:
    from dassl.utils import choose_device

    args = parse(argv)
    runs = [Run(args, setup_cfg(args, seed)) for seed in args.seed]
    done = [run for run in runs if finished(run.cfg, args)]
    for run in done:
        print(f"Finished already, nothing to do: {run.folder}")
    runs = [run for run in runs if run not in done]
    if runs:
        choose_device(runs[0].cfg.USE_CUDA)  # a GPU that cannot be used is told before any folder is made
    try:
        with contextlib.ExitStack() as stack:
            for run in runs:
                stack.enter_context(run.open())
            try:
                work(args, runs)
            except BaseException as error:  # of a step that several runs take together, perhaps
                for run in runs:
                    run.tell(error)
                raise
    except Timeout as error:
        say(f"another process is working on {Path(error.lock_file).parent}; wait for it, or end it.")
        return 1
    except Exception as error:
        if sentence(error):
            raise
        traceback.print_exc()
        logs = ", ".join(str(run.folder / "log.txt") for run in runs)
        say(f"a bug ({type(error).__name__}), not your input; the traceback is in {logs} too.")
        return 1
    return int(any(run.failed for run in runs))


if __name__ == "__main__":
    sys.exit(main())
