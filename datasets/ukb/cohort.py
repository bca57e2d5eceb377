"""Select participants and give each a class, from their diagnoses and visits."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from datasets.ukb import LeftOut, phenotypes
from datasets.ukb.pseudonym import Pseudonym
from datasets.ukb.recipe import Participants, matches


class Member(NamedTuple):
    """A participant who is taken.

    Attributes:
        classname: class of the participant.
        instances: of the visits whose images show the class; None for all visits.
    """

    classname: str
    instances: frozenset[int | None] | None


def select_participants(
    path: Path, wanted: set[str], rules: Participants, pseudonym: Pseudonym
) -> tuple[dict[str, Member], Counter]:
    """Return the participants who are taken, by pseudonym, and how many are left out, by reason.

    Args:
        path: table of participants, with one or several rows for each.
        wanted: pseudonyms.
        rules: which participants are taken, and in which class.
        pseudonym: gives the pseudonym of an eid.
    """
    records: dict[str, phenotypes.Record] = {}
    for eid, record in phenotypes.read(path, lambda eid: pseudonym(eid) in wanted):
        records.setdefault(pseudonym(eid), phenotypes.Record()).add(record)
    members: dict[str, Member] = {}
    left = Counter({"not in the table of participants": len(wanted - records.keys())})
    for name, record in records.items():
        try:
            members[name] = classify(record, rules)
        except LeftOut as reason:
            left[str(reason)] += 1
    return members, left


def classify(record: phenotypes.Record, rules: Participants) -> Member:
    """Return the class of a participant.

    A participant is active if a diagnosis or a visit is later than `active_after`. If the codes match one class, that
    is the class; if they match several, the first (`several: first`) or none (`several: drop`). A participant is normal
    who has no code of any class and none of `normal_without`, at any time.

    Raises:
        LeftOut: the participant is not active, has several classes, or is neither ill nor normal.
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
