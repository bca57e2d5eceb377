"""No test sees a GPU, so that all machines test the same, unless VMFCOOP_TEST_GPU=1 asks for those that need one."""

import os

from hypothesis import HealthCheck, settings

ASKED = os.environ.get("VMFCOOP_TEST_GPU") == "1"

if not ASKED:  # before PyTorch is imported
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

# No test is a matter of time: a busy machine takes longer.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
