"""Ask the Hugging Face hub, or the mirror that HF_ENDPOINT names, where a file lies and what it must be."""

import re

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import OfflineModeIsEnabled

from .fetch import ATTEMPTS, TRANSIENT, DownloadError, Remote, wait

ADDRESS = re.compile(r"https://huggingface\.co/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
SHA256 = re.compile("[0-9a-f]{64}")


def find_on_hub(url: str) -> Remote | None:
    """Return the address of a file at its present commit, with its size and SHA-256; None if it is not on the hub.

    The library's settings hold: HF_ENDPOINT names a mirror, and HF_HUB_OFFLINE forbids the network. No token is sent.

    Args:
        url: address of the file, such as https://huggingface.co/datasets/OWNER/NAME/resolve/main/FILE.

    Raises:
        DownloadError: the hub does not tell, the network is forbidden, or the mirror is not of https.
    """
    match = ADDRESS.fullmatch(url)
    if match is None:
        return None
    repo, revision, file = match.groups()

    def address(revision: str) -> str:
        return hf_hub_url(repo, file, repo_type="dataset", revision=revision, endpoint=constants.ENDPOINT)

    url = address(revision)
    if not url.startswith("https://"):
        raise DownloadError(f"{url} is no address of https: correct HF_ENDPOINT")
    for failures in range(1, ATTEMPTS + 1):
        try:
            found = get_hf_file_metadata(url, token=False)
            break
        except OfflineModeIsEnabled as error:
            raise DownloadError(f"{url} is not asked for, as HF_HUB_OFFLINE is set") from error
        except Exception as error:  # of the library, or of whichever HTTP client it has
            status = getattr(getattr(error, "response", None), "status_code", None)
            reason = f"status {status}" if status else " ".join(str(error).split()) or type(error).__name__
            if failures == ATTEMPTS or (status and status not in TRANSIENT):
                raise DownloadError(f"{url} does not come ({reason})") from error
            wait(url, reason, failures)
    etag = found.etag or ""
    sha256 = etag if SHA256.fullmatch(etag) else ""
    return Remote(address(found.commit_hash or revision), found.size, etag, sha256)
