"""All configuration keys with their defaults: Dassl's names and values, without the keys of Dassl's own trainers.

A trainer adds its settings under `cfg.TRAINER.<NAME>` before the yaml files are merged.
"""

from yacs.config import CfgNode

_SAMPLING = {
    "SAMPLER": "RandomSampler",
    "BATCH_SIZE": 32,
    "N_DOMAIN": 0,
    "N_INS": 16,
}

DEFAULTS = CfgNode(
    {
        "VERSION": 1,
        "OUTPUT_DIR": "./output",
        "RESUME": "",  # folder of an earlier run; "" looks into OUTPUT_DIR
        "SEED": -1,  # negative: not seeded
        "DETERMINISTIC": False,  # use deterministic kernels, and warn where PyTorch has none
        "USE_CUDA": True,  # without a GPU, the CPU is used
        "VERBOSE": True,  # False: what is read in a log rather than on a console goes to log.txt alone
        "TENSORBOARD": False,  # curves under OUTPUT_DIR/tensorboard; needs the package tensorboard
        "INPUT": {
            "SIZE": (224, 224),
            "INTERPOLATION": "bilinear",
            "RESIZE_MODE": "shortest",  # of test images: scale the smaller edge and crop the centre, or "squash"
            "PREPARE": (),  # what is done to a picture first: names from dassl.data.transforms.PREPARATIONS
            "GREY_RANGE": "image",  # which values of more than 8 bits become black and white: dassl.images.Reading
            "FRAME": "auto",  # which of several pages or frames: "auto", "first", "middle", "last", or a number from 0
            "ALLOW_CONSTANT": False,  # accept pictures that have one value everywhere
            "TRANSFORMS": (),  # names from dassl.data.transforms.AVAI_CHOICES
            "NO_TRANSFORM": False,
            "PIXEL_MEAN": [0.485, 0.456, 0.406],
            "PIXEL_STD": [0.229, 0.224, 0.225],
            "CROP_PADDING": 4,
            "RRCROP_SCALE": (0.08, 1.0),
            "CUTOUT_N": 1,
            "CUTOUT_LEN": 16,
            "GN_MEAN": 0.0,
            "GN_STD": 0.15,
            "RANDAUGMENT_N": 2,
            "RANDAUGMENT_M": 10,
            "COLORJITTER_B": 0.4,
            "COLORJITTER_C": 0.4,
            "COLORJITTER_S": 0.4,
            "COLORJITTER_H": 0.1,
            "RGS_P": 0.2,
            "GB_P": 0.5,
            "GB_K": 21,
        },
        "DATASET": {
            "ROOT": "",
            "NAME": "",
            "SOURCE_DOMAINS": (),
            "TARGET_DOMAINS": (),
            "NUM_LABELED": -1,
            "NUM_SHOTS": -1,  # training images per class; below 1: all
            "VAL_PERCENT": 0.1,
            "STL10_FOLD": -1,
            "CIFAR_C_TYPE": "",
            "CIFAR_C_LEVEL": 1,
            "ALL_AS_UNLABELED": False,
        },
        "DATALOADER": {
            "NUM_WORKERS": 4,
            "K_TRANSFORMS": 1,  # augmented copies of each training image
            "RETURN_IMG0": False,  # add the image without augmentation as "img0"
            "TRAIN_X": dict(_SAMPLING),
            "TRAIN_U": {"SAME_AS_X": True, **_SAMPLING},
            "TEST": {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32},
        },
        "MODEL": {
            "INIT_WEIGHTS": "",
            "BACKBONE": {"NAME": "", "PRETRAINED": True},
            "HEAD": {"NAME": "", "HIDDEN_LAYERS": (), "ACTIVATION": "relu", "BN": True, "DROPOUT": 0.0},
        },
        "OPTIM": {
            "NAME": "adam",
            "LR": 0.0003,
            "WEIGHT_DECAY": 5e-4,
            "MOMENTUM": 0.9,
            "SGD_DAMPNING": 0,
            "SGD_NESTEROV": False,
            "RMSPROP_ALPHA": 0.99,
            "ADAM_BETA1": 0.9,
            "ADAM_BETA2": 0.999,
            "STAGED_LR": False,  # LR for NEW_LAYERS, LR x BASE_LR_MULT for the rest
            "NEW_LAYERS": (),
            "BASE_LR_MULT": 0.1,
            "LR_SCHEDULER": "single_step",
            "STEPSIZE": (-1,),  # below 1: MAX_EPOCH
            "GAMMA": 0.1,
            "MAX_EPOCH": 10,
            "WARMUP_EPOCH": -1,  # below 1: no warm-up
            "WARMUP_TYPE": "linear",
            "WARMUP_CONS_LR": 1e-5,
            "WARMUP_MIN_LR": 1e-5,
            "WARMUP_RECOUNT": True,  # the schedule starts at its own epoch 0 when the warm-up ends
        },
        "TRAIN": {
            "CHECKPOINT_FREQ": 0,  # in epochs; below 1: the last epoch only
            "PRINT_FREQ": 10,  # in batches
            "COUNT_ITER": "train_x",
        },
        "TEST": {
            "EVALUATOR": "Classification",
            "PER_CLASS_RESULT": False,
            "COMPUTE_CMAT": False,  # confusion matrix to OUTPUT_DIR/cmat.pt
            "NO_TEST": False,
            "SPLIT": "test",
            "FINAL_MODEL": "last_step",  # or "best_val", which evaluates after every epoch
        },
        "TRAINER": {"NAME": ""},
    }
)
