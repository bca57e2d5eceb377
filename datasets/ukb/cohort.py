"""Who is taken: from what is known of the participants to their classes."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from datasets.ukb import LeftOut, phenotypes
from datasets.ukb.pseudonym import Pseudonym
from datasets.ukb.recipe import Participants, matches


class Member(NamedTuple):
    """A participant who is taken."""

    classname: str
    instances: frozenset[int] | None  # of the visits whose images show the class; None: all


def gather(
    path: Path, wanted: set[str], rules: Participants, pseudonym: Pseudonym
) -> tuple[dict[str, Member], Counter]:
    """The wanted participants who are taken, by pseudonym, and how many are left out, by reason.

    Several rows of one participant are put together.
    """
    records: dict[str, phenotypes.Record] = {}
    for eid, record in phenotypes.read(path, lambda eid: pseudonym(eid) in wanted):
        records.setdefault(pseudonym(eid), phenotypes.Record()).add(record)
    members, left = {}, Counter({"not in the table of participants": len(wanted - records.keys())})
    for name, record in records.items():
        try:
            members[name] = classify(record, rules)
        except LeftOut as reason:
            left[str(reason)] += 1
    return members, left


def classify(record: phenotypes.Record, rules: Participants) -> Member:
    """The class of a participant.

    Active after a day is who has a diagnosis or a visit of a later date. One class that the codes match is the class,
    of several the first or none, as the rules say; normal is who has neither these nor related codes at any time.

    Raises:
        LeftOut: not active, several classes, or neither ill nor normal.
    """
    dates = (*record.codes.values(), *record.visits.values())
    if not any(day and day > rules.active_after for day in dates):
        raise LeftOut(f"not active after {rules.active_after}")
    days = {name: [d for code, d in record.codes.items() if matches(code, p)] for name, p in rules.classes.items()}
    held = [name for name in rules.classes if days[name]]
    if len(held) > 1 and rules.several == "drop":
        raise LeftOut("codes of several classes")
    if held:
        since = [day for day in days[held[0]] if day]
        ill = frozenset(i for i, day in record.visits.items() if since and min(since) <= day)
        return Member(held[0], ill if rules.diagnosed == "by visit" else None)
    if any(matches(code, rules.normal_without) for code in record.codes):
        raise LeftOut("neither a class's codes nor normal")
    if record.unknown:
        raise LeftOut("no class's codes, but a diagnosis that is no ICD-10 code")
    return Member(rules.normal, None)
