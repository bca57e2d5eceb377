"""The pictures of the most confident errors that `python -m explain.errors` has left beside runs.

They may be of patients: a page has them only if it is asked to.
"""

import base64
from collections.abc import Sequence
from typing import NamedTuple

from dassl.errors import UserError
from report.collect import FoundRun
from runs.error_pictures import FOLDER, ConfidentError, ErrorPictures, picture_paths, read_index, read_picture


class Shown(NamedTuple):
    """An error with its two pictures as URIs that hold their content."""

    error: ConfidentError
    picture: str
    saliency: str


class Gallery(NamedTuple):
    """The errors of one run: its seed, the saliency's kind, whether they are phantoms, and those that are shown."""

    seed: int | None
    kind: str
    phantom: bool
    shown: list[Shown]


class Found(NamedTuple):
    """The errors of each method of a group, by data set and row; how many there are; and what could not be read."""

    galleries: dict[tuple[str, str], Gallery]
    total: int
    problems: list[str]


def find_errors(runs: dict[tuple[str, str], Sequence[FoundRun]]) -> tuple[dict, list[str]]:
    """Return run and errors.json of each method, of the first of its runs that has one; and what cannot be read."""
    found: dict[tuple[str, str], tuple[FoundRun, ErrorPictures]] = {}
    problems = []
    for key, each in runs.items():
        for run in each:
            try:
                found[key] = run, read_index(run.path)
                break
            except FileNotFoundError:
                continue
            except UserError as error:
                problems.append(str(error))
    return found, problems


def open_galleries(found: dict, limit: int) -> Found:
    """Return the pictures of errors, the most confident error of each method first, until they have `limit` bytes."""
    galleries = {
        key: Gallery(run.seed, index.kind, index.phantom or run.phantom_images, [])
        for key, (run, index) in found.items()
    }
    problems, closed, left = [], set(), limit
    most = max((len(index.errors) for _, index in found.values()), default=0)
    for rank in range(most):
        for key, (run, index) in found.items():
            if key in closed or rank >= len(index.errors) or left <= 0:
                continue
            try:
                pictures = [read_picture(path) for path in picture_paths(run.path, rank + 1)]
            except UserError as error:
                problems.append(str(error))
                closed.add(key)
                continue
            left -= sum(len(content) for _, content in pictures)
            if left > 0:
                galleries[key].shown.append(Shown(index.errors[rank], *(_uri(*each) for each in pictures)))
    return Found(galleries, sum(len(index.errors) for _, index in found.values()), problems)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def hint(found: dict, methods: int, output: str, gallery: Found | None) -> list[str]:
    """Return sentences on pictures that are not shown, and the commands that make and show them.

    Args:
        found: what `find_errors` has found.
        methods: how many might have pictures, a method on a data set each.
        output: folder of the runs, as a word of a command line.
        gallery: what is shown; None where the page was not asked to.
    """
    make, show = f"python -m explain.errors {output}", f"python -m report {output} --pictures"
    if not found:
        return [f"Pictures of the most confident errors: {make} makes them, {show} shows them."]
    if gallery is None:
        where = f"lie beside the runs, in {FOLDER}/" if len(found) > 1 else f"lie beside a run, in {FOLDER}/"
        return [
            f"Pictures of the most confident errors {where}, and are not in this page: {show} puts them there. "
            "Look whether they may be passed on."
        ]
    words, shown = [], sum(len(each.shown) for each in gallery.galleries.values())
    if shown < gallery.total:
        why = "as many as keep the page light (--datasets and --methods name fewer), or as can be read"
        words.append(f"{shown} of {gallery.total} errors are shown, {why}.")
    if len(found) < methods:
        lacking = f"{methods - len(found)} of {methods} (a method on a data set each)"
        words.append(f"No pictures of errors for {lacking}: {make} makes them.")
    return words
