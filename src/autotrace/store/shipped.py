"""What of the store has been sent to another destination, so that only what is new or changed is sent again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from .opening import transaction


def digest(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """What tells one state of a trace from another: its spans with their statuses, feedback and updates."""
    found = blake2b(digest_size=16)
    for row in rows:
        found.update(repr(row).encode())
    return found.digest()


def remember(connection: sqlite3.Connection, destination: str, states: Iterable[tuple[str, bytes]]) -> None:
    """Notes that traces (ids and digests) have reached a destination."""
    rows = [(destination, trace_id, state) for trace_id, state in states]
    transaction(connection, lambda open_: open_.executemany("REPLACE INTO shipped VALUES (?, ?, ?)", rows))
