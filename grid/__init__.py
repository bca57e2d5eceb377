"""Run many runs by one command: those of methods x data sets x shots x seeds that are missing, on several devices."""

import toolbox  # noqa: F401, its dassl comes first
