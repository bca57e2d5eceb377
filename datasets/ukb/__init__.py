"""Make a data set from UK Biobank's bulk files, in the layout that runs read.

    python -m datasets.ukb prepare cmri --bulk DIR --phenotypes FILE --out DIR

Nothing that identifies a participant leaves this package: file names, logs, errors and tables hold pseudonyms and
counts.
"""


class LeftOut(Exception):
    """Raised for a participant or a zip that is not taken.

    The message is the reason. Reasons are counted, so it is the same for all of one kind; it never holds anything of a
    participant.
    """
