"""Questions in groups that are alike, by the words that they have in common.

A question joins the group whose first question, its leader, it is most like; where none is like enough it leads a new
group. What is compared are the words in any order (rapidfuzz's `token_set_ratio`), after numbers, ids and the most
common words have been left out; candidates are the leaders that share its rarest words.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from rapidfuzz.fuzz import token_set_ratio, token_sort_ratio

#: From this likeness on (0 to 100) two questions are of one group.
_ALIKE = 57.0
#: Groups that there may be; what is like none of them afterwards has no group.
_MOST_GROUPS = 3000
#: Leaders that a question is compared with.
_CANDIDATES = 24
#: Questions whose group is remembered.
_MOST_KNOWN = 50_000
#: Words of a question, as a share, that may be names.
_NAMES = 0.34
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_IDS = re.compile(r"\S*\d\S*")
_COMMON = frozenset(
    """
    a about actually afternoon again all already also am an and any anyway are as asap asked at be been bother
    but by can can't cannot cheers could currently day dear did didn't do does doesn't don't else even evening
    ever first for from get give good greetings had has have hello help hey hi honestly hope how i i'd i'm i've
    if in instead into is isn't it it's its just kindly know last later let's like maybe me morning much my name
    need never new nice night now of off ok okay on one or our out over please question questions quick reach
    really regards right see should since so some soon sorry still sure tell than thank thanks that the their
    them then there there's these they thing things think this to today tomorrow too try up urgent urgently us
    use using very want wanted wants was we well were what what's when where which who why will with without
    won't would yes yesterday yet you you're your
    """.split()  # noqa: SIM905 (so it can be read)
)


class Groups:
    """The groups of questions, by what leads them.

    Args:
        leaders: What there is already: id and first question.
    """

    def __init__(self, leaders: Iterable[tuple[int, str]] = ()) -> None:
        self._leaders: dict[int, str] = {}
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._known: dict[str, int | None] = {}
        #: Groups that have begun since they were last taken: id and first question.
        self.begun: list[tuple[int, str]] = []
        for number, question in leaders:
            self._add(number, key(question))

    def group(self, question: str) -> int | None:
        """The group of a question; None where it says nothing, or is like none of very many."""
        words = key(question)
        if not words:
            return None
        if words not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[words] = self._found(words, question)
        return self._known[words]

    def _found(self, words: str, question: str) -> int | None:
        best, likeness = None, 0.0
        for number in self._candidates(words):
            leader = self._leaders[number]
            found = 0.4 * token_set_ratio(words, leader) + 0.6 * token_sort_ratio(words, leader)
            if found > likeness:
                best, likeness = number, found
        if likeness >= _ALIKE:
            return best
        if len(self._leaders) >= _MOST_GROUPS:
            return None
        number = max(self._leaders, default=0) + 1
        self._add(number, words)
        self.begun.append((number, question))
        return number

    def _candidates(self, words: str) -> list[int]:
        """The leaders that share most of the words, the rare ones first of all."""
        shared: Counter[int] = Counter()
        for word in set(words.split()):
            numbers = self._by_word.get(word, ())
            for number in numbers[:500]:
                shared[number] += 1 + 100 // len(numbers)
        return [number for number, _ in shared.most_common(_CANDIDATES)]

    def _add(self, number: int, words: str) -> None:
        self._leaders[number] = words
        for word in set(words.split()):
            self._by_word[word].append(number)


def key(question: str) -> str:
    """What counts of a question: its words without the most common ones, without numbers and ids."""
    words = _WORD.findall(_IDS.sub(" ", question[:500]))
    # Within a sentence a capital begins a name, in languages where it does not begin every noun.
    names = {word for word in words[1:] if word[:1].isupper() and not word.isupper()}
    if len(names) > _NAMES * len(words):
        names = set()
    known = [word.lower() for word in words if word not in names]
    rare = [word for word in known if word not in _COMMON]
    return " ".join((rare or known or [word.lower() for word in words])[:40])
