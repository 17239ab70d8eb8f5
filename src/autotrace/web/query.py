"""What an address asks for: the scope of a page, and addresses of others with the same scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from autotrace.errors import FilterError
from autotrace.insights import ranges
from autotrace.insights.scope import FACETS, Scope

DEFAULT_RANGE = "7d"
RANGES = ("1h", "24h", "7d", "30d", "90d")
#: Characters of a parameter that count.
_LONGEST = 2000
#: Parameters that say which traces.
_SCOPE = ("range", "from", "to", *FACETS, "filter")
#: Parameters that mean nothing in another selection.
_PLACES = frozenset({"after", "said", "row", "open", "token"})


@dataclass(frozen=True, slots=True)
class Query:
    """The state of a page, as its address tells it.

    Attributes:
        scope: Which traces.
        given: The parameters of the scope as they were given, to be given on.
        other: All other parameters.
        problem: What of it could not be used; empty: nothing.
    """

    scope: Scope
    given: Mapping[str, str]
    other: Mapping[str, str]
    problem: str = ""

    def url(self, path: str, **changes: Any) -> str:
        """The address of a page with the same scope, but for what is changed; None takes a parameter away."""
        parameters = {**self.given, **changes}
        told = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
        return f"{path}?{urlencode(told, errors='replace')}" if told else path

    @property
    def kept(self) -> dict[str, str]:
        """Parameters of this page beside its scope that hold whatever is looked at: not a place in a list."""
        return {name: value for name, value in self.other.items() if name not in _PLACES}

    def here(self, **changes: Any) -> str:
        """The address of this page with another scope."""
        return self.url("", **{**self.kept, **changes})

    def within(self, start: str, end: str, path: str = "/traces", **changes: Any) -> str:
        """The address of a page for a range of its own."""
        return self.url(path, **{"range": None, "from": start, "to": end, **changes})

    def narrowed(self, term: str, path: str = "/traces", **changes: Any) -> str:
        """The address of a page whose filter says one thing more."""
        before = self.given.get("filter", "").strip()
        return self.url(path, **{"filter": f"({before}) AND {term}" if before else term, **changes})


def query(parameters: Mapping[str, str]) -> Query:
    """Reads the parameters of an address; what cannot be used is a problem, and counts as not given."""
    texts = {name: value[:_LONGEST] for name, value in parameters.items() if value.strip()}
    given = {name: texts[name].strip() for name in _SCOPE if name in texts}
    if "from" in given or "to" in given:
        given.pop("range", None)
    problem = ""
    try:
        start, end = _range(given)
    except ValueError as error:
        problem = str(error)
        for name in ("range", "from", "to"):
            given.pop(name, None)
        start, end = ranges.last(DEFAULT_RANGE)
    facets = {name: given[name] for name in FACETS if name in given}
    scope = Scope(start, end, **facets, filter=given.get("filter", ""))
    other = {name: value for name, value in texts.items() if name not in _SCOPE}
    return Query(scope, given, other, problem)


def without_filter(found: Query, error: FilterError) -> Query:
    """The same with no filter, because it cannot be read; the form goes on showing it."""
    return replace(found, scope=replace(found.scope, filter=""), problem=str(error))


def without_place(found: Query, error: FilterError) -> Query:
    """The same in the usual order and from its beginning, because what was given for that cannot be read."""
    other = {name: value for name, value in found.other.items() if name not in ("sort", "after")}
    return replace(found, other=other, problem=str(error))


def _range(given: Mapping[str, str]) -> tuple[int, int]:
    if "from" not in given and "to" not in given:
        return ranges.last(given.get("range", DEFAULT_RANGE))
    start = ranges.moment_ns(given["from"]) if "from" in given else 0
    end = ranges.moment_ns(given["to"]) if "to" in given else ranges.last("15m")[1]
    if start >= end:
        raise ValueError("the range ends before it begins")
    if "from" not in given:
        start = max(end - 30 * ranges.DAY_NS, 0)
    return start, end
