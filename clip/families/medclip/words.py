"""The tokenizer of Bio_ClinicalBERT: the cased words of BERT, of lower-cased texts."""

import tempfile
from pathlib import Path

from open_clip.tokenizer import HFTokenizer

from clip.files import Folder, HubRepo
from clip.sanitize import VOCABULARY_LIMIT
from clip.weights import one_line
from dassl.errors import UserError
from dassl.reading import read_bytes, read_json
from dassl.utils.tensor_files import is_lfs_pointer, unreadable
from dassl.writing import atomic_write, write_json

REPO = "emilyalsentzer/Bio_ClinicalBERT"
VOCABULARY = ("vocab.txt", "tokenizer.json")


def find_vocabulary(place: Folder) -> Path:
    """Return the file of words beside the weights, else of `REPO` in the hub's cache or on the hub.

    Raises:
        UserError: there is none; says how to bring it.
    """
    found = place.find_here(VOCABULARY) or HubRepo(REPO).find(VOCABULARY)
    if found is None:
        folder = getattr(place, "path", "the folder of the weights")
        raise UserError(
            f"Expected {' or '.join(VOCABULARY)} of {REPO} in {folder}, in the hub's cache or on the hub, but it could "
            f"not be had: on a machine with network run `hf download {REPO} vocab.txt --local-dir .`, and put the file "
            f"into {folder}."
        )
    return found


def clinical_tokenizer(path: Path, context_length: int) -> HFTokenizer:
    """Return the tokenizer of a file of words; texts are lower-cased, whatever a file beside it says.

    Args:
        path: vocab.txt, or a tokenizer.json of which the words are taken alone.
        context_length: largest number of tokens of a text.

    Raises:
        UserError: the file is damaged; names it.
    """
    if is_lfs_pointer(path):
        raise unreadable(path, EOFError(), "a tokenizer")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with atomic_write(folder / "vocab.txt", "wb") as file:
            file.write(_words(path))
        write_json({"tokenizer_class": "BertTokenizer", "do_lower_case": True}, folder / "tokenizer_config.json")
        try:
            return HFTokenizer(name, context_length=context_length, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # often a bare Exception
            raise UserError(
                f"Expected a tokenizer's words in {path}, but they cannot be read ({one_line(error)}): copy or "
                "download it again."
            ) from error


def _words(path: Path) -> bytes:
    """Return the words of a vocabulary, one per line."""
    if path.suffix == ".txt":
        return read_bytes(path, VOCABULARY_LIMIT)
    try:
        numbers = read_json(path, VOCABULARY_LIMIT)["model"]["vocab"]
        return "\n".join(sorted(map(str, numbers), key=numbers.__getitem__)).encode()
    except (KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise UserError(
            f"Expected the words of a BERT in {path}, but it has none under model.vocab: copy or download it again."
        ) from error
