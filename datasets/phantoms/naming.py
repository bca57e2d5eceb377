"""Which attributes of a phantom a sentence names, told by the words of their phrases.

Sentences of a language model word an attribute as they like, so that this is a rule of thumb: a sentence names an
attribute if it has most of the words of one of its phrases, where a word counts for more the fewer attributes have it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from .phantom import Phantom

COVER = 0.7  # part of a phrase's weight that a sentence has to have
LEAST = 2  # words of a phrase that it has to have, if the phrase has so many
DENYING = "no not without absence never neither nor lack lacks hardly instead rather unlike"  # what follows
GONE = "absent missing lost vanished gone"  # deny the whole part of the sentence
EMPTY = (  # say nothing about a picture
    "a an the of in on at by to from with and or as is are be it its this that these into over under than which who "
    "for one two both their them there up down out off around within along through where when while but so only also "
    "more most very each any all some such other another across above below behind beside between against near about "
    "after before during like looks look seen shows show image slice view section picture"
)
ENDINGS = "ations ation ingly edly ments ment ness ings ing ies ied ed es ly al ic ous s e y"


def stem(word: str) -> str:
    """Return a word without its ending, in American spelling.

    >>> [stem(word) for word in ("oedema", "centred", "enhancing", "enhancement", "spots")]
    ['edema', 'center', 'enhanc', 'enhanc', 'spot']
    """
    word = re.sub("[ao]e", "e", word).replace("our", "or").replace("grey", "gray")
    for ending in ENDINGS.split():
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return re.sub("([a-z]{3})e$", r"\1", re.sub("(?<=[tb])r$", "er", word))


def words_of(sentence: str) -> set[str]:
    """Return the stems of a sentence's words; those that are denied begin with "no ".

    >>> sorted(words_of("A smooth margin, without edema; symmetry is lost."))
    ['margin', 'no edema', 'no symmeter', 'smooth']
    """
    denying, gone, left_out = (set(words.split()) for words in (DENYING, GONE, f"{DENYING} {GONE} {EMPTY}"))
    found = set()
    for part in re.split(r"[,.;:()]", re.sub("free (of|from)", "without", sentence.lower())):
        words = re.findall(r"[a-z0-9]{2,}", part)
        denied = not gone.isdisjoint(words)
        for word in words:
            denied = denied or word in denying
            if word not in left_out:
                found.add("no " * denied + stem(word))
    return found


def namer(phrases: Mapping[str, Sequence[str]], classnames: Iterable[str] = ()) -> Callable[[str], frozenset[str]]:
    """Return a function from a sentence to the attributes that it names.

    Args:
        phrases: phrases of each attribute.
        classnames: their words name no attribute where they stand together ("lung opacity lungs").

    >>> names = namer({"oedema": ["a halo of edema around the mass"], "smooth": ["smooth margins of the mass"]})
    >>> sorted(names("The mass has a smooth margin.")), sorted(names("A mass without a halo of oedema."))
    (['smooth'], [])
    """
    wordings = {attribute: [words_of(phrase) for phrase in some] for attribute, some in phrases.items()}
    having = Counter(word for some in wordings.values() for word in set[str]().union(*some))
    called = re.compile("|".join(re.escape(name.lower()) for name in classnames) or "$^")
    weight = {word: math.log((len(wordings) + 1) / count) for word, count in having.items()}

    def is_named(phrase: set[str], words: set[str]) -> bool:
        both = phrase & words
        enough = len(both) >= min(LEAST, len(phrase))
        return enough and sum(weight[word] for word in both) >= COVER * sum(weight[word] for word in phrase)

    def names(sentence: str) -> frozenset[str]:
        words = words_of(called.sub(",", sentence.lower()))
        return frozenset(a for a, some in wordings.items() if any(is_named(phrase, words) for phrase in some))

    return names


def probabilities(phantom: Phantom, classname: str) -> dict[str, float]:
    """Return the probability of each attribute that a picture of a class may show.

    >>> law = {"size": {"large": 0.5, "": 0.4, "small": 0.1}, "oedema": 0.7}
    >>> probabilities(Phantom("Brain", {"tumor": law}, [], {}, draw=None), "tumor")
    {'large': 0.5, 'small': 0.1, 'oedema': 0.7}
    """
    found: dict[str, float] = {}
    for factor, law in phantom.classes[classname].items():
        found |= law if isinstance(law, Mapping) else {factor: law}
    return {attribute: p for attribute, p in found.items() if attribute and p}


def telling(phantom: Phantom) -> frozenset[str]:
    """Return the attributes that tell classes apart: the others are as frequent in every class, such as the view."""
    classes = [probabilities(phantom, classname) for classname in phantom.classes]
    everything = set[str]().union(*classes)
    return frozenset(a for a in everything if len({chances.get(a, 0.0) for chances in classes}) > 1)
