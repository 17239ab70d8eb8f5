"""Conditions of SQL: on texts equal to a value, or with it at the beginning, the end, anywhere; on ids of many.

No LIKE and no GLOB: a value is never read as a pattern.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from .schema import SET_MARK
from .tree import Term


class Condition(NamedTuple):
    """A condition of SQL, and its parameters in order."""

    sql: str
    params: tuple[int | float | str, ...] = ()


NEVER, ALWAYS = Condition("0"), Condition("1")

#: Ids that are written into a condition; of more of them a temporary table is made.
_FEW = 200
#: Such tables that a connection keeps.
_MOST_TABLES = 64


def joined(operator: str, parts: Sequence[Condition]) -> Condition:
    """Conditions with an operator between them, each in parentheses."""
    params = tuple(param for part in parts for param in part.params)
    return Condition(operator.join(f"({part.sql})" for part in parts), params)


def one_of(connection: sqlite3.Connection, column: str, ids: Iterable[int]) -> Condition:
    """Whether a column is one of these, on this connection."""
    found = sorted(set(ids))
    if not found:
        return NEVER
    if len(found) == 1:
        return Condition(f"{column} = {found[0]}")
    if len(found) <= _FEW:
        return Condition(f"{column} IN ({', '.join(map(str, found))})")
    # The plus: rows are looked up in the table, where SQLite would go through the table and look rows up.
    return Condition(f"+{column} IN (SELECT id FROM {_table(connection, found)})")  # noqa: S608


def _table(connection: sqlite3.Connection, ids: list[int]) -> str:
    """The temporary table that holds these ids: called by what it holds, so that a condition is alike each time."""
    name = f"ids_{hashlib.sha256(repr(ids).encode()).hexdigest()[:24]}"
    sql = "SELECT name FROM temp.sqlite_master WHERE name GLOB 'ids_*' ORDER BY rowid"
    known = [row[0] for row in connection.execute(sql)]
    if name not in known:
        for old in known[: max(len(known) + 1 - _MOST_TABLES, 0)]:  # the oldest
            connection.execute(f"DROP TABLE temp.{old}")
        connection.execute(f"CREATE TEMP TABLE {name} (id INTEGER PRIMARY KEY)")
        values = orjson.dumps(ids).decode()
        connection.execute(f"INSERT INTO temp.{name} SELECT value FROM json_each(?)", (values,))  # noqa: S608
    return f"temp.{name}"


def lowered(text: str) -> str:
    """A text in small letters as SQLite's `lower` makes it: of A to Z alone."""
    return text.encode("utf-8", "replace").lower().decode()


def matching(column: str, term: Term, is_part: bool) -> Condition:
    """Whether a text fits a term.

    Args:
        column: Of the text.
        term: The value, and whether anything may stand around it.
        is_part: Whether a value without stars may stand anywhere in the text.
    """
    value = lowered(term.value)
    if (term.before and term.after) or (is_part and not term.before and not term.after):
        return Condition(f"instr(lower({column}), ?) > 0", (value,))
    if term.after:
        return Condition(f"instr(lower({column}), ?) = 1", (value,))
    if term.before:
        return Condition(f"substr(lower({column}), ?) = ?", (-len(value), value))
    return Condition(f"{column} = ?", (term.value,))


def member_matching(column: str, term: Term, is_part: bool) -> Condition:
    """Whether a member of a set fits a term; `column`: of the text that stands for the set."""
    value = lowered(term.value)
    if SET_MARK in value:
        return Condition("0")
    if (term.before and term.after) or (is_part and not term.before and not term.after):
        return Condition(f"instr(lower({column}), ?) > 0", (value,))
    if term.after:
        return Condition(f"instr(lower({column}), ?) > 0", (SET_MARK + value,))
    if term.before:
        return Condition(f"instr(lower({column}), ?) > 0", (value + SET_MARK,))
    return Condition(f"instr({column}, ?) > 0", (SET_MARK + term.value + SET_MARK,))
