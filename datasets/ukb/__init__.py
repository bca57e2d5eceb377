"""From UK Biobank's bulk files to a data set in the layout that the other rooms read.

    python -m datasets.ukb prepare cmri --bulk DIR --phenotypes FILE --out DIR

Nothing that identifies a participant leaves this package: names, logs, errors and tables hold pseudonyms and counts.
"""


class LeftOut(Exception):
    """A participant or a zip that is not taken. The message is the reason: the same words for all of one kind, as they
    are counted by it, and nothing of the participant."""
