#!/usr/bin/env bash
# The miniature comparison on a fresh machine: makes .venv, installs, renders the brain-tumour phantoms, runs every
# method with three seeds, prints the table and draws it. No network beyond PyPI, no data, no GPU.
exec bash "$(dirname "${BASH_SOURCE[0]}")/compare.sh" btmri 16 zeroshot ensemble coop biomedcoop vmfcoop vmfprototypes
