"""The list of traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from autotrace.insights.conditions import condition
from autotrace.insights.listing import SORTS, count, listing
from autotrace.insights.overview import value_of
from autotrace.insights.view import Insights

from .page import Asked, Page

_ROWS = 50
_UNJUDGED = {"ratings": [], "comments": 0}
#: Columns that can be sorted by: name, as people call it, whether it is a figure.
_COLUMNS = (
    ("start", "When", False),
    ("", "Question and answer", False),
    ("status", "Status", False),
    ("duration", "Duration", True),
    ("ttft", "First token", True),
    ("tokens", "Tokens", True),
    ("cost", "Cost", True),
    ("feedback", "Feedback", False),
    ("user", "User", False),
    ("session", "Session", False),
)


def data(asked: Asked) -> dict[str, Any]:
    """A page of the list, and how many there are."""
    insights, scope, other = asked.insights, asked.query.scope, asked.query.other
    sort = other.get("sort", "-start")
    found = listing(
        insights.connection, scope, sort, other.get("after"), _ROWS, search=insights.search, notes=insights.notes
    )
    chosen = condition(insights.connection, scope, insights.search)
    judged = _judged(insights, [row.start_ns for row in found.rows])
    return {
        "total": count(insights.connection, chosen),
        "sort": sort,
        "traces": [{**row.as_json(), **judged.get(row.start_ns, _UNJUDGED)} for row in found.rows],
        "next": found.next,
        "previous": found.previous,
    }


def _judged(insights: Insights, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What was said of traces beside thumbs: figures that somebody gave, and how many comments."""
    found: dict[int, dict[str, Any]] = {}
    sql = "SELECT trace, value, comment FROM feedback WHERE trace IN (SELECT value FROM json_each(?)) ORDER BY time_ns"
    for trace, text, comment in insights.rows(sql, (orjson.dumps(list(ids)).decode(),)):
        one = found.setdefault(trace, {"ratings": [], "comments": 0})
        one["comments"] += bool(comment)
        value = value_of(text)
        if isinstance(value, int | float) and not isinstance(value, bool):
            one["ratings"].append(value)
    return found


def context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """The heads of the columns, with where they lead."""
    heads = []
    for name, label, is_figure in _COLUMNS:
        first = f"-{name}" if is_figure or name in ("start",) else name
        is_this = found["sort"].removeprefix("-") == name
        turned = first if found["sort"] != first else first.removeprefix("-") if first[0] == "-" else f"-{first}"
        direction = "descending" if found["sort"].startswith("-") else "ascending"
        heads.append(
            {
                "label": label,
                "is_figure": is_figure,
                "url": asked.query.url("", sort=turned) if name in SORTS else "",
                "sorted": direction if is_this and name else "",
            }
        )
    is_first = "after" not in asked.query.other
    return {"heads": heads, "is_live": is_first and found["sort"] == "-start", "sort": asked.query.other.get("sort")}


PAGE = Page("traces", "Traces", "/traces", "traces", data, context)
