"""Sessions and users: lists of them, and one of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from autotrace.insights import overview
from autotrace.insights.listing import listing
from autotrace.insights.people import Kind, count, people
from autotrace.store.messages import request_text, response_text

from ..drawing import spark
from .page import Asked, NotThere, Page
from .trace_conversation import captured

_ROWS, _TURNS, _LATEST = 50, 30, 15
#: Characters of a question or an answer of which a conversation shows no more.
_LONGEST = 4000
#: Verdicts of the turns of a page that are read.
_VERDICTS = 300
_COLUMNS = (
    ("last", "Last seen"),
    ("traces", "Traces"),
    ("failed", "Failed"),
    ("tokens", "Tokens"),
    ("cost", "Cost"),
    ("down", "Thumbs"),
)


def sessions(asked: Asked) -> dict[str, Any]:
    """A page of the list of sessions."""
    return _list(asked, "session")


def users(asked: Asked) -> dict[str, Any]:
    """A page of the list of users."""
    return _list(asked, "user")


def _list(asked: Asked, kind: Kind) -> dict[str, Any]:
    other = asked.query.other
    sort = other.get("sort", "-last")
    found = people(asked.insights, asked.query.scope, kind, sort, other.get("after"), _ROWS)
    total = count(asked.insights, asked.query.scope, kind)
    return {"total": total, "sort": sort, f"{kind}s": found.rows, "next": found.next}


def list_context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """The heads of the columns, with where they lead."""
    heads = []
    for name, label in _COLUMNS:
        turned = name if found["sort"] == f"-{name}" else f"-{name}"
        direction = "descending" if found["sort"].startswith("-") else "ascending"
        is_this = found["sort"].removeprefix("-") == name
        heads.append({"label": label, "url": asked.query.url("", sort=turned), "sorted": direction if is_this else ""})
    return {"heads": heads, "sort": asked.query.other.get("sort")}


def session(asked: Asked) -> dict[str, Any]:
    """A conversation, turn by turn."""
    name = _named(asked, "session")
    scope = replace(asked.query.scope, start_ns=0, end_ns=2**62, session=name, filter="")
    page = listing(
        asked.insights.connection, scope, "start", asked.query.other.get("after"), _TURNS, search=asked.insights.search
    )
    if not page.rows:
        raise NotThere("There is no such session, or its traces have been deleted.")
    found = people(asked.insights, scope, "session", limit=1).rows
    comments = _feedback(asked, [row.start_ns for row in page.rows])
    return {
        "session": name,
        "figures": found[0] if found else None,
        "turns": [
            {**row.as_json(), **_whole(asked, row.trace_id), "feedback": comments.get(row.start_ns, [])}
            for row in page.rows
        ],
        "next": page.next,
        "previous": page.previous,
    }


def user(asked: Asked) -> dict[str, Any]:
    """What is known of one user."""
    name = _named(asked, "user")
    scope = replace(asked.query.scope, user=name)
    found = overview.overview(asked.insights, asked.site.memory, scope)
    ever = people(asked.insights, replace(scope, start_ns=0, end_ns=2**62, filter=""), "user", limit=1).rows
    if not ever:
        raise NotThere("There is no such user, or the traces have been deleted.")
    latest = listing(asked.insights.connection, scope, limit=_LATEST, search=asked.insights.search)
    return {
        "user": name,
        "ever": ever[0],
        "now": found["now"],
        "course": found["course"],
        "models": found["models"],
        "comments": found["comments"],
        "sessions": people(asked.insights, scope, "session", limit=_LATEST).rows,
        "traces": [row.as_json() for row in latest.rows],
    }


def user_context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """A drawing of the course."""
    return {"drawing": spark([each["traces"] for each in found["course"]], "Traces over time")}


def _named(asked: Asked, kind: str) -> str:
    name = asked.query.other.get("id") or asked.query.given.get(kind, "")
    if not name:
        raise NotThere(f"The address does not say which {kind}: choose one from the list.")
    return name


def _feedback(asked: Asked, traces: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """What was said of each of these traces."""
    told: dict[int, list[dict[str, Any]]] = defaultdict(list)
    sql = "SELECT trace, value, comment, source FROM feedback WHERE trace IN (SELECT value FROM json_each(?))"
    values = (orjson.dumps(list(traces)).decode(),)
    for trace, value, comment, source in asked.insights.rows(f"{sql} ORDER BY time_ns LIMIT {_VERDICTS}", values):
        told[trace].append({"value": overview.value_of(value), "comment": comment, "user": source})
    return told


def _whole(asked: Asked, trace_id: str) -> dict[str, Any]:
    """The question and the answer of a trace, up to so long; how many characters are left out; what of it is there."""
    store = asked.insights.store
    outline = store.outline(trace_id)
    if outline is None:
        return {"characters_left": 0, "content": "none"}
    attributes = store.payload(outline.lead).attributes
    told = {"request": request_text(attributes), "response": response_text(attributes)}
    texts = {name: text for name, text in told.items() if text}
    left = sum(max(len(text) - _LONGEST, 0) for text in texts.values())
    content = captured(store, outline.lead, attributes)
    return {**{name: text[:_LONGEST] for name, text in texts.items()}, "characters_left": left, "content": content}


SESSIONS = Page("sessions", "Sessions", "/sessions", "sessions", sessions, list_context)
USERS = Page("users", "Users", "/users", "users", users, list_context)
SESSION = Page("session", "Session", "/session", "sessions", session)
USER = Page("user", "User", "/user", "users", user, user_context)
