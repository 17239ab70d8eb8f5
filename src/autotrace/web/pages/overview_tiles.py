"""The figures at the top of the overview, each with its change and the traces behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import figures
from ..drawing import spark
from ..query import Query

#: The filter that leads to the traces that failed.
FAILED = "(status:error OR status:interrupted)"
#: A change that is smaller, or stands on fewer traces, is neither good nor bad.
_LEAST, _FEW = 0.02, 10


def tiles(query: Query, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tiles: a figure each, its course, and figures that belong to it.

    Args:
        query: Where addresses lead from.
        found: What the overview shows.
    """
    board = _Board(query, found)
    return [*board.counts(), *board.latency(), board.tokens(), board.cost(), board.thumbs()]


def shares(course: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The course with shares beside its counts: what failed, what was liked, and what succeeded."""
    told = []
    for bucket in course:
        judged = bucket["liked"] + bucket["disliked"]
        told.append(
            {
                **bucket,
                "succeeded": bucket["traces"] - bucket["failed"],
                "error_rate": bucket["failed"] / bucket["traces"] if bucket["traces"] else None,
                "liked_share": bucket["liked"] / judged if judged else None,
            }
        )
    return told


def judged(change: float | None, better: str) -> dict[str, Any]:
    """How a change is written, and whether it is good: None where that cannot be said.

    Args:
        change: As a share of what was before; None: not known.
        better: Whether `less` or `more` is better; empty: neither.
    """
    is_judged = change is not None and better and abs(change) >= _LEAST
    return {
        "change": figures.change(change) if change is not None else "",
        "good": ((change < 0) == (better == "less")) if is_judged and change is not None else None,
    }


class _Board:
    """Makes the tiles of what was found."""

    def __init__(self, query: Query, found: Mapping[str, Any]) -> None:
        self._query, self._now, self._changes = query, found["now"], found["change"]
        self._course = shares(found["course"])
        self._is_few = min(found[each]["traces"] for each in ("now", "before")) < _FEW

    def counts(self) -> list[dict[str, Any]]:
        """How many traces, and how many of them failed."""
        interrupted, failed = self._query.narrowed("status:interrupted"), self._query.narrowed(FAILED)
        retried, repeating = self._query.narrowed("retries>0"), self._query.narrowed("repeats>0")
        return [
            self._tile(
                self._figure("traces", "Traces", figures.count, self._query.url("/traces")),
                self._figure("retried", "retried", figures.count, retried, "less"),
                self._figure("repeating", "repeating", figures.count, repeating, "less"),
            ),
            self._tile(
                self._figure("error_rate", "Error rate", figures.share, failed, "less"),
                self._figure("failed", "failed", figures.count, failed, "less"),
                self._figure("interrupted", "interrupted", figures.count, interrupted, "less"),
            ),
        ]

    def latency(self) -> list[dict[str, Any]]:
        """How long traces took, and until their first token."""
        return [self._durations("latency", "duration", "Latency"), self._durations("ttft", "ttft", "First token")]

    def tokens(self) -> dict[str, Any]:
        """Tokens by kind."""
        kinds = (("input", "input"), ("cached", "cache_read"), ("output", "output"), ("reasoning", "reasoning"))
        return self._tile(
            self._figure("tokens", "Tokens", figures.count, self._sorted("tokens")),
            *(
                self._figure(f"{name}_tokens", label, figures.count, self._sorted("tokens", f"{label}_tokens>0"))
                for label, name in kinds
            ),
        )

    def cost(self) -> dict[str, Any]:
        """Cost, that of a trace, and how many traces have none that is known."""
        now = self._now
        shown = [self._figure("cost_per_trace_usd", "a trace", figures.usd, self._sorted("cost"), "less")]
        if unpriced := now["traces"] - now["priced"]:
            url = self._query.narrowed("NOT cost>=0")
            shown.append({"label": "of unknown price", "value": figures.count(unpriced), "url": url, "change": ""})
        return self._tile(self._figure("cost_usd", "Cost", figures.usd, self._sorted("cost")), *shown)

    def thumbs(self) -> dict[str, Any]:
        """Thumbs up, of all that were given."""
        up, down = (self._query.narrowed(f"feedback:{each}") for each in ("up", "down"))
        both = self._query.narrowed("(feedback:up OR feedback:down)")
        return self._tile(
            self._figure("liked_share", "Thumbs up", figures.share, both, "more"),
            self._figure("liked", "up", figures.count, up),
            self._figure("disliked", "down", figures.count, down, "less"),
        )

    def _durations(self, name: str, field: str, label: str) -> dict[str, Any]:
        shown = []
        for share in (90, 99):
            key = f"{name}_p{share}_ms"
            slower = "" if self._now[key] is None else f"{field}>={self._now[key]:.0f}ms"
            shown.append(self._figure(key, f"p{share}", figures.duration, self._sorted(field, slower), "less"))
        key = f"{name}_p50_ms"
        return self._tile(
            self._figure(key, f"{label}, median", figures.duration, self._sorted(field), "less"),
            *shown,
        )

    def _sorted(self, field: str, term: str = "") -> str:
        sort = f"-{field}"
        return self._query.narrowed(term, sort=sort) if term else self._query.url("/traces", sort=sort)

    def _figure(self, key: str, label: str, write: Any, url: str, better: str = "") -> dict[str, Any]:
        shown = {"key": key, "label": label, "value": write(self._now[key]), "url": url}
        return {**shown, **judged(self._changes.get(key), "" if self._is_few else better)}

    def _tile(self, main: dict[str, Any], *parts: dict[str, Any]) -> dict[str, Any]:
        drawn = spark([bucket.get(main["key"]) for bucket in self._course], f"{main['label']} over time")
        return {**main, "spark": drawn, "parts": parts}
