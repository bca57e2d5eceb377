import os
from pathlib import Path

from platformdirs import user_cache_dir

from clip.features import _Digests


class Digests:
    def __init__(self, root=None):
        self.memo = _Digests(
            Path(root or os.environ.get("VMFCOOP_CACHE") or user_cache_dir("vmfcoop")).expanduser() / "digests.tsv"
        )

    def of(self, p):
        return self.memo.of(p)

    def of_all(self, ps):
        return [self.memo.of(p) for p in ps]
