"""No test sees a GPU, so that all machines test the same, unless VMFCOOP_TEST_GPU=1 asks for those that need one."""

import os

ASKED = os.environ.get("VMFCOOP_TEST_GPU") == "1"

if not ASKED:  # before PyTorch is imported
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
