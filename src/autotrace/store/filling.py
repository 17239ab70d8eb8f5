"""Indexes and counts what an older autotrace stored, or one whose SQLite has no FTS5, a little at a time."""

from __future__ import annotations

import logging
import sqlite3
import time

from . import payload
from .opening import transaction
from .rows import COLUMNS, target
from .search import Index
from .storing import Ledger
from .texts import texts

logger = logging.getLogger("autotrace")

#: Spans that one transaction takes, and seconds after which it is ended before.
STEP, STEP_S = 100, 0.04
_SPANS = f"""
    SELECT spans.id, payloads.content, {", ".join("spans." + name for name in COLUMNS)}
    FROM spans LEFT JOIN payloads USING (id) WHERE spans.id BETWEEN ? AND ? ORDER BY spans.id DESC LIMIT ?
"""  # noqa: S608


def fill(connection: sqlite3.Connection, index: Index, deadline: float) -> bool:
    """Indexes and counts until nothing is left, or until this moment of `time.monotonic`; the newest first.

    Returns:
        Whether something can still be done.
    """
    while transaction(connection, lambda open_: _step(open_, index)):
        if time.monotonic() >= deadline:
            return True
    return False


def _step(connection: sqlite3.Connection, index: Index) -> bool:
    """One transaction's work; False when there is none that this process can do."""
    wanted = "" if index.is_available else "WHERE counted = 0"
    found = connection.execute(
        f"SELECT first_id, last_id, counted FROM unfilled {wanted} ORDER BY last_id DESC LIMIT 1"  # noqa: S608
    ).fetchone()
    if found is None:
        return False
    first, last, counted = found
    rows = connection.execute(_SPANS, (first, last, STEP)).fetchall()
    began, ledger = time.monotonic(), Ledger(connection)
    documents: dict[int, list[str]] = {}
    left = first - 1 if len(rows) < STEP else rows[-1][0] - 1
    for span, content, *values in rows:
        said, name = _read(content, values)
        if values[COLUMNS.index("status")] != "running":
            documents[span] = said
            if not counted:
                values[COLUMNS.index("target")] = name
                connection.execute("UPDATE spans SET target = ? WHERE id = ? AND target IS NOT ?", (name, span, name))
                ledger.fill(values)
        if time.monotonic() - began > STEP_S:
            left = span - 1
            break
    ledger.save()
    connection.execute("DELETE FROM unfilled WHERE first_id = ?", (first,))
    if left >= first:
        connection.execute("INSERT INTO unfilled VALUES (?, ?, ?)", (first, left, counted))
    if index.is_available:
        index.add(connection, documents)
    elif documents:
        connection.execute("INSERT INTO unfilled VALUES (?, ?, 1)", (left + 1, last))
    return True


def _read(content: bytes | None, values: list[object]) -> tuple[list[str], str | None]:
    """The texts of a stored span, and what it is a call of; nothing of one that is damaged."""
    try:
        found = payload.decode(content or b"")
        return texts(found), target(found["attributes"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        logger.debug("span %s of trace %s cannot be indexed: %r", values[1], values[0], error)
        return [], None
