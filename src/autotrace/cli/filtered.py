"""The list of traces by a filter or a sorting: what only insights can tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autotrace.insights.conditions import Search
from autotrace.insights.filters import ALL, And, Node, Term, parse, render
from autotrace.insights.follower import Progress
from autotrace.insights.listing import MOST_ROWS, check_sort, listing
from autotrace.insights.opening import opened
from autotrace.insights.scope import Scope
from autotrace.insights.view import Insights
from autotrace.store.reader import Reader
from autotrace.store.selection import Selection
from autotrace.store.traces import TraceSummary

from .terminal import warn

#: Spans whose first look takes long enough to be told of.
_MANY = 20_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which traces, and in which order.

    Args:
        selection: What the options say.
        search: Words that were said; None: any.
        filter: In the filter language.
        sort: One of `listing.SORTS`, perhaps with `-` before it.

    Raises:
        FilterError: The filter or the sorting cannot be read.
    """

    selection: Selection
    search: str | None
    filter: str
    sort: str

    def __post_init__(self) -> None:
        parse(self.filter)
        check_sort(self.sort)

    def traces(self, reader: Reader, home: Path, limit: int) -> list[TraceSummary]:
        """At most so many of them.

        Raises:
            StoreError: What insights need cannot be read or written.
        """
        with opened(home, _Told()) as insights:
            found = reader.summaries(self._ids(insights, limit))
            for note in insights.notes:
                warn(note)
            return found

    def _ids(self, insights: Insights, limit: int) -> list[str]:
        found: list[str] = []
        after: str | None = None
        search: Search = insights.search
        while len(found) < limit:
            most = min(limit - len(found), MOST_ROWS)
            page = listing(
                insights.connection, self._scope(), self.sort, after, most, search=search, notes=insights.notes
            )
            found += [row.trace_id for row in page.rows]
            after = page.next
            if after is None:
                break
        return found

    def _scope(self) -> Scope:
        chosen = self.selection
        parts: list[Node] = [parse(self.filter), *self._words()]
        if chosen.errors:
            parts.append(Term("errors", ">", "0"))
        return Scope(
            -(2**63) if chosen.since_ns is None else chosen.since_ns,
            2**63 - 1,
            environment=chosen.environment,
            service=chosen.service,
            release=chosen.release,
            user=chosen.user,
            session=chosen.session,
            filter=render(And(tuple(part for part in parts if part != ALL))),
        )

    def _words(self) -> list[Term]:
        """What `--search` says, in the words of filters."""
        if self.search is None:
            return []
        whole = [self.search] if "*" not in self.search and self.search.strip() else self.search.split()
        # Where nothing is searched for, nothing is found: no word has a sign alone.
        return [Term("text", ":", word.strip("*") or "*", after=word.endswith("*")) for word in whole or ["*"]]


class _Told:
    """Tells once that a first look takes a while."""

    def __init__(self) -> None:
        self._is_told = False

    def __call__(self, progress: Progress) -> None:
        if progress.left > _MANY and not self._is_told:
            self._is_told = True
            warn(f"{progress.left:,} spans are looked at for the first time; what is found is kept")
