"""Which recorded interaction answers a request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from autotrace.testing.replay.cassette import Interaction
from autotrace.testing.replay.request import Request, described


class Playback:
    """Plays interactions in their order. Not safe for threads: its owner has the lock."""

    def __init__(self, interactions: Sequence[Interaction]) -> None:
        self._interactions = interactions
        self._played: set[Interaction] = set()
        bodies = Counter(_address(one) for one in interactions if one.body is not None)
        self._compared = {one for one in interactions if one.body is not None and bodies[_address(one)] > 1}

    def play(self, request: Request) -> Interaction | None:
        """Of the nearest matches the first that was not played, or the first if all were; None if nothing matches."""
        matches = [one for one in self._interactions if self._matches(one, request)]
        if not matches:
            return None
        # One that says more of the request goes before one that fits many.
        most = max(self._likeness(one, request) for one in matches)
        matches = [one for one in matches if self._likeness(one, request) == most]
        if self._played.issuperset(matches):
            self._played.difference_update(matches)
        match = next(one for one in matches if one not in self._played)
        self._played.add(match)
        return match

    def rewind(self) -> None:
        """Nothing was played."""
        self._played.clear()

    def explain(self, request: Request) -> str:
        """Why nothing matches this request, and what there is."""
        addressed = [one for one in self._interactions if _is_addressed(one, request)]
        if addressed:
            return f"No recorded request {request} has this body; {len(addressed)} have another."
        there = Counter(described(*_address(one)) for one in self._interactions)
        listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in there.items())
        return f"No recording answers {request}. There is: {listed or 'nothing'}."

    def _likeness(self, one: Interaction, request: Request) -> int:
        is_body = one.body is not None and one.body == request.json
        return (one.query is not None) + is_body

    def _matches(self, one: Interaction, request: Request) -> bool:
        return _is_addressed(one, request) and (one not in self._compared or one.body == request.json)


def _address(one: Interaction) -> tuple[str, str, tuple[tuple[str, str], ...] | None]:
    return one.method, one.path, one.query


def _is_addressed(one: Interaction, request: Request) -> bool:
    """Whether method, path and, if recorded, query are the same."""
    same = (one.method, one.path) == (request.method, request.path)
    return same and (one.query is None or one.query == tuple(sorted(request.query)))
