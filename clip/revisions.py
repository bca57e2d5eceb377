"""Remember the commit of a hub repository at its first use, because its owner can change the files under its name."""

from pathlib import Path

from clip.backbone import Backbone
from clip.build import source_of
from clip.digests import store_root
from dassl.console import tell
from dassl.errors import UserError
from dassl.reading import read_json
from dassl.writing import write_json

FILE = "revisions.json"  # in the store: {"hf-hub:org/model": commit at the first use}


def note_revision(backbone: Backbone, root: str | Path | None = None) -> None:
    """Remember the commit of `backbone`, or print one line if it differs from the one at the first use.

    Args:
        backbone: nothing is remembered of one from a folder, or one whose name contains a revision.
        root: folder of the store; see `store_root`.

    Raises:
        UserError: the file of commits holds something else; names it.
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
        tell(
            f"{source} has changed: it was at {first} when it was used first, and is at {backbone.revision} now; "
            f"{source}@{first} is what it was."
        )
