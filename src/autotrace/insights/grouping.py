"""Which group each trace's question belongs to: by words while it is read, by meaning afterwards, some at a time."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import Any

from autotrace.store.opening import transaction

from .database import Database
from .meaning import BATCH, Meaning, MeaningError, MeantGroups

logger = logging.getLogger("autotrace")

#: What `meta.grouping` says of groups by words, and where nothing groups.
WORDS, NOTHING = "words", "nothing"
#: Seconds until a model that could not be asked is asked again.
_AGAIN_S = 60.0
_LEFT = """
    SELECT t.id, x.request FROM traces AS t LEFT JOIN texts AS x ON x.trace = t.id
    WHERE t.question IS NULL ORDER BY t.id DESC LIMIT ?
"""


class Grouping:
    """Groups the questions of one database.

    In `traces.question`, 0 is a trace that has no group, NULL one that has not been looked at.

    Args:
        database: Where they are.
        meaning: The model that vectors come from; None: words.
        decides: Whether this is what the settings say; else groups go on as they are.
    """

    def __init__(self, database: Database, meaning: Meaning | None, *, decides: bool) -> None:
        self._database = database
        self._again_at = 0.0
        words = _likeness()
        wanted = meaning.name if meaning is not None else WORDS if words is not None else NOTHING
        known = database.meta("grouping")
        if known is None or (decides and known != wanted):
            self._begin(wanted, anew=known is not None)
            known = wanted
        self._meaning = meaning if meaning is not None and known == meaning.name else None
        self._words = words.Groups(self._leaders("leader")) if words is not None and known == WORDS else None
        self._meant = MeantGroups(self._leaders("vector")) if self._meaning is not None else None

    def group(self, question: str | None) -> int | None:
        """The group of a question, 0 for none; None where that is found out later."""
        if question is None:
            return 0
        return None if self._words is None else self._words.group(question) or 0

    def save(self, connection: sqlite3.Connection) -> None:
        """Writes groups that have begun, within the transaction that is open."""
        if self._words is not None and self._words.begun:
            begun, self._words.begun = self._words.begun, []
            connection.executemany("REPLACE INTO questions (id, leader) VALUES (?, ?)", begun)

    def step(self) -> bool:
        """Groups some of the questions that have no group yet; False where there is nothing to do."""
        if (self._words is None and self._meaning is None) or time.monotonic() < self._again_at:
            return False
        left = self._database.connection.execute(_LEFT, (BATCH,)).fetchall()
        if not left:
            return False
        begun: list[tuple[int, str, bytes | None]] = []
        if self._meaning is None:
            groups = [self.group(question) or 0 for _, question in left]
        else:
            try:
                groups = self._by_meaning(left, begun)
            except MeaningError as error:
                self._again_at = time.monotonic() + _AGAIN_S
                logger.warning("questions cannot be grouped by their meaning: %s", error)
                return False
        self._put(list(zip(groups, (trace for trace, _ in left), strict=True)), begun)
        return True

    def _by_meaning(self, left: list[tuple[int, str | None]], begun: list[tuple[int, str, bytes | None]]) -> list[int]:
        assert self._meaning is not None
        assert self._meant is not None
        texts = [question for _, question in left if question]
        vectors = iter(self._meaning.vectors(texts) if texts else [])
        groups = []
        for _, question in left:
            if not question:
                groups.append(0)
                continue
            vector = next(vectors)
            number, is_new = self._meant.group(vector)
            if is_new:
                begun.append((number, question, vector.tobytes()))
            groups.append(number)
        return groups

    def _put(self, groups: list[tuple[int, int]], begun: list[tuple[int, str, bytes | None]]) -> None:
        version = int(self._database.meta("version") or 0) + 1

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("REPLACE INTO questions (id, leader, vector) VALUES (?, ?, ?)", begun)
            self.save(connection)
            connection.executemany("UPDATE traces SET question = ? WHERE id = ?", groups)
            self._database.touch({trace for _, trace in groups}, version)
            self._database.set_meta("version", version)

        transaction(self._database.connection, write)

    def _begin(self, grouping: str, *, anew: bool) -> None:
        def write(connection: sqlite3.Connection) -> None:
            if anew:
                connection.execute("DELETE FROM questions")
                connection.execute("UPDATE traces SET question = NULL WHERE question IS NOT NULL")
            self._database.set_meta("grouping", grouping)

        transaction(self._database.connection, write)

    def _leaders(self, column: str) -> list[tuple[int, Any]]:
        sql = f"SELECT id, {column} FROM questions WHERE {column} IS NOT NULL"  # noqa: S608 (a constant)
        return self._database.connection.execute(sql).fetchall()


def _likeness() -> Any:
    """What finds groups by words, where the library that it needs is installed."""
    try:
        from . import likeness
    except ImportError:
        return None
    return likeness
