"""One run: flags -> config -> trainer -> log.txt, metrics.json, checkpoint.

    python train.py --root phantoms --backbone PhantomCLIP --trainer vMFCoOp --dataset btmri --shots 16 --seed 1

`--dataset`, `--shots` and `--setting` name files below configs/; Dassl's `--dataset-config-file` and `--config-file`
work as ever, and KEY VALUE pairs at the end override any setting. A run that was interrupted goes on from its last
epoch; a finished one is left alone.
"""

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

CONFIGS = Path(__file__).parent / "configs"
SETTINGS = ("few_shot", "base2new")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", default="", help='folder of the data sets, or "phantoms"')
    p.add_argument("--trainer", default="", help="method, such as vMFCoOp, BiomedCoOp, CoOp, ZeroshotCLIP")
    p.add_argument("--backbone", default="", help="BiomedCLIP, CLIP, PhantomCLIP, hf-hub:..., local-dir:...")
    p.add_argument("--dataset", default="", help="data set: a file of configs/datasets/")
    p.add_argument("--shots", type=int, help="images per class: a file of configs/shots/")
    p.add_argument("--setting", default="few_shot", choices=SETTINGS, help="protocol: which settings of the trainer")
    p.add_argument("--seed", type=int, default=-1, help="seed of the draw and of the training")
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
    return p


def config_files(args: argparse.Namespace) -> list[Path]:
    """The yaml files of a run, in the order of merging: common, trainer, data set, both, shots, named files."""
    known = CONFIGS / "trainers" / args.trainer / args.setting
    files = [CONFIGS / "common.yaml"] + ([known.with_suffix(".yaml")] if args.trainer else [])
    if args.dataset:
        files += [CONFIGS / "datasets" / f"{args.dataset}.yaml", known / f"{args.dataset}.yaml"]
    if args.shots is not None:
        files += [CONFIGS / "shots" / f"{args.shots}.yaml"]
    for file, kind in ((f"{args.dataset}.yaml", "datasets"), (f"{args.shots}.yaml", "shots")):
        path = CONFIGS / kind / file
        if path in files and not path.is_file():
            names = sorted((p.stem for p in path.parent.glob("*.yaml")), key=lambda s: (s.isdigit() and int(s), s))
            raise ValueError(f'Expected one of the {kind} {", ".join(names)}, but got "{path.stem}".')
    optional = [path for path in files if path.is_file()]  # a trainer of another checkout has no file here
    return optional + [Path(f) for f in (args.dataset_config_file, args.config_file) if f]


def setup_cfg(args: argparse.Namespace):
    """The run's frozen configuration."""
    import datasets  # noqa: F401, registers the data sets
    from dassl.config import get_cfg_default
    from trainers import extend_cfg

    cfg = get_cfg_default()
    extend_cfg(cfg)
    for file in config_files(args):
        cfg.merge_from_file(str(file))
    flags = {
        "DATASET.ROOT": args.root,
        "TRAINER.NAME": args.trainer,
        "MODEL.BACKBONE.NAME": args.backbone,
        "DATASET.SUBSAMPLE_CLASSES": args.subsample,
        "RESUME": args.resume,
    }
    cfg.merge_from_list([x for pair in flags.items() if pair[1] for x in pair])
    if args.seed >= 0:
        cfg.SEED = args.seed
    cfg.merge_from_list(args.opts)
    cfg.OUTPUT_DIR = args.output_dir or str(run_folder(cfg, args, cfg.DATASET.SUBSAMPLE_CLASSES))
    cfg.freeze()
    return cfg


def run_folder(cfg, args: argparse.Namespace, subsample: str) -> Path:
    """`<output>/<dataset>/shots_16/<Trainer>_<Backbone>/nctx4_cscFalse_ctpend/seed1`, below `base2new/...` if so."""
    from report.methods import seeds_folder

    method = cfg.TRAINER.get(cfg.TRAINER.NAME.upper(), {})
    context = [method.get(key, none) for key, none in (("N_CTX", 4), ("CSC", False), ("CLASS_TOKEN_POSITION", "end"))]
    root = Path(args.output)
    if args.setting == "base2new":
        root = root / "base2new" / ("test_new" if subsample == "new" else "train_base")
    dataset, shots, setting = args.dataset or cfg.DATASET.NAME.lower(), cfg.DATASET.NUM_SHOTS, "nctx{}_csc{}_ctp{}"
    folder = seeds_folder(root, dataset, shots, cfg.TRAINER.NAME, cfg.MODEL.BACKBONE.NAME, setting.format(*context))
    return folder / f"seed{cfg.SEED}"


def finished(cfg) -> bool:
    """Whether the run's folder holds its results; a ValueError if they are those of other settings."""
    from trainers.results import config_digest

    path = Path(cfg.OUTPUT_DIR) / "metrics.json"
    if not path.is_file():
        return False
    found = json.loads(path.read_text(encoding="utf-8"))["hashes"]["config"]
    if found != config_digest(cfg):
        raise ValueError(
            f"Expected {path} to come from these settings, but its run had others (compare config.yaml beside it): "
            "choose another --output (OUTPUT=...), or remove that folder to run again."
        )
    return True


def run(args: argparse.Namespace, cfg) -> None:
    """Train and test, or test only."""
    from dassl.engine import build_trainer
    from dassl.utils import collect_env_info, set_random_seed

    (Path(cfg.OUTPUT_DIR) / "config.yaml").write_text(cfg.dump(), encoding="utf-8")
    if cfg.SEED >= 0:
        print(f"Setting fixed seed: {cfg.SEED}")
        set_random_seed(cfg.SEED)
    print(f"** Config **\n{cfg.dump()}\nCollecting env info ...\n** System info **\n{collect_env_info()}\n")
    trainer = build_trainer(cfg)
    if args.eval_only:
        model_dir = args.model_dir or str(run_folder(cfg, args, subsample="base"))
        trainer.load_model(model_dir, epoch=args.load_epoch)
        trainer.test()
    elif not args.no_train:
        trainer.train()


@contextlib.contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Copy what is printed to `folder`/log.txt; of an error, the way there too."""
    from dassl.utils import setup_logger

    with contextlib.redirect_stdout(sys.stdout):
        setup_logger(str(folder))
        log = sys.stdout.file
        try:
            yield
        except Exception:
            traceback.print_exc(file=log)
            raise
        finally:
            log.close()


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        cfg = setup_cfg(args)
        folder = Path(cfg.OUTPUT_DIR)
        if finished(cfg):
            print(f"Finished already, nothing to do: {folder}")
            return 0
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0), logged(folder):
            run(args, cfg)
    except Timeout:
        print(f"error: another process is working on {folder}; wait for it, or end it.", file=sys.stderr)
        return 1
    except (ValueError, KeyError, OSError, FloatingPointError, AssertionError) as error:  # yacs asserts its keys
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"error: {message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
