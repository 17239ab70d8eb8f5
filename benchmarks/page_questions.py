"""What is asked of the page: addresses, each with the time that it may take."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from page_server import Server
from page_store import RARE, big_trace_id

PAGES = ("overview", "traces", "failures", "behaviour", "sessions", "users", "compare")
RANGE = "30d"
#: Parameters of `compare` beside the scope: two selections.
COMPARED = {"a_environment": "production", "b_environment": "development"}
#: ms that a page may take warm: over 30 days, with another filter, over a day, searching for a rare word.
WHOLE, FILTERED, DAY, RARE_WORD = 150.0, 500.0, 50.0, 100.0


@dataclass(frozen=True)
class Question:
    """One address.

    Attributes:
        group: The table's part.
        title: What is asked, in words.
        path: The address.
        most_ms: What the server may take when it is warm; None: nothing is said.
    """

    group: str
    title: str
    path: str
    most_ms: float | None = None


def questions(home: Path, server: Server, seed: int) -> Iterator[Question]:
    """All questions to a home's page."""
    known = _known(home)
    yield from _whole()
    filters = {
        "user": {"user": known["user"]},
        "tag": {"tag": "tenant=globex"},
        "duration>3s": {"filter": "duration>3s"},
        "error:RateLimitError": {"filter": "error:RateLimitError"},
        "text:warranty": {"filter": "text:warranty"},
        "NOT, OR": {"filter": "(tool:track_parcel OR model:o4-mini) AND NOT status:ok"},
    }
    for title, scope in filters.items():
        for page in PAGES:
            yield _question("30 days, with another filter", page, title, scope, FILTERED)
    for page in PAGES:
        yield _question("A day", page, "", {"range": "24h"}, DAY)
    yield _question("Search", "traces", "a word of one trace", {"filter": f"text:{RARE}"}, RARE_WORD)
    yield _question("Search", "traces", "words of many traces", {"filter": "text:refund text:warehouse"}, FILTERED)
    for sort in ("duration", "cost", "tokens"):
        yield _question("The list", "traces", f"by {sort}", {"sort": f"-{sort}"}, WHOLE)
    for title, token in known["pages"].items():
        yield _question("The list", "traces", title, {"after": token}, WHOLE)
    yield Question("One", "a trace", f"/trace/{known['trace']}")
    big = big_trace_id(seed)
    if server.get(f"/trace/{big}").status == 200:
        yield Question("One", "the trace of 32,000 spans", f"/trace/{big}")
    yield Question("One", "a session", f"/session?{urlencode({'id': known['session']})}")
    yield Question("One", "a user", f"/user?{urlencode({'id': known['user'], 'range': RANGE})}")
    found = server.json(f"/failures.json?range={RANGE}")
    for group in (found or {}).get("groups", [])[:1]:
        yield Question("One", "a failure", f"/failure/{group['id']}?range={RANGE}", WHOLE)


def _whole() -> Iterator[Question]:
    scopes: dict[str, dict[str, str]] = {
        "": {},
        "environment": {"environment": "production"},
        "service": {"service": "mobile-assistant"},
        "release": {"release": "2.4.0"},
        "model": {"model": "gpt-4o"},
    }
    for title, scope in scopes.items():
        for page in PAGES:
            yield _question("30 days", page, title, scope, WHOLE)


def _question(group: str, page: str, title: str, scope: dict[str, str], most_ms: float) -> Question:
    parameters = {"range": RANGE, **scope, **(COMPARED if page == "compare" else {})}
    return Question(
        group, f"{page}, {title}" if title else page, f"/{page}?{urlencode(parameters, quote_via=quote)}", most_ms
    )


def _known(home: Path) -> dict[str, Any]:
    """A user, a session and a trace of the last ones, and tokens of pages of the list far down."""
    with closing(sqlite3.connect(f"file:{home / 'traces.db'}?mode=ro", uri=True)) as connection:
        sql = "SELECT trace_id, user, session, start_ns FROM spans WHERE root = 1 ORDER BY start_ns DESC LIMIT 3000"
        rows = connection.execute(sql).fetchall()
        first = connection.execute("SELECT min(start_ns) FROM spans WHERE root = 1").fetchone()[0]
    latest = rows[0][3]

    def most(column: int) -> str:
        values = [row[column] for row in rows if row[column]]
        return str(max(sorted(set(values)), key=values.count))

    pages = {}
    with closing(sqlite3.connect(f"file:{home / 'insights.db'}?mode=ro", uri=True)) as connection:
        for title, share in (("half", 0.5), ("nine tenths", 0.9)):
            place = latest - int((latest - first) * share)
            sql = "SELECT id FROM traces WHERE id <= ? ORDER BY id DESC LIMIT 1"
            pages[f"{title} of it down"] = f"n.{connection.execute(sql, (place,)).fetchone()[0]}"
    return {"user": most(1), "session": most(2), "trace": rows[len(rows) // 3][0], "pages": pages}
