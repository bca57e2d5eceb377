"""Which commit of a repository of the hub was loaded first: who owns it can change what stands behind a name."""

from pathlib import Path

from clip.backbone import Backbone
from clip.build import source_of
from clip.digests import store_root
from dassl.errors import UserError
from dassl.reading import read_json
from dassl.writing import write_json

FILE = "revisions.json"  # in the store: {"hf-hub:org/model": commit at its first use}


def note_revision(backbone: Backbone, root: str | Path | None = None) -> None:
    """Keep the commit that `backbone` was loaded from, or print one line if it was another one the first time.

    Args:
        backbone: from the hub; of folders, and where the name itself says which revision, nothing is kept.
        root: folder of the store, as `store_root` has it.

    Raises:
        UserError: what was kept is no JSON of names and commits; names the file.
    """
    source = source_of(backbone.name)
    if backbone.revision is None or "@" in source:
        return
    path = store_root(root) / FILE
    known = read_json(path) if path.is_file() else {}
    if not isinstance(known, dict):
        raise UserError(f"Expected the commits of backbones in {path}, but it holds something else: delete it.")
    if source not in known:
        write_json(known | {source: backbone.revision}, path, private=True)
    elif (first := known[source]) != backbone.revision:
        print(
            f"{source} has changed: it was at {first} when it was used first, and is at {backbone.revision} now; "
            f"{source}@{first} is what it was."
        )
