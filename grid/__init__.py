"""Many runs by one command: what is missing of methods x data sets x shots x seeds, on the devices that there are."""

import toolbox  # noqa: F401, its dassl comes first
