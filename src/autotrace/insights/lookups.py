"""Conditions of SQL on texts: equal to a value, or with it at the beginning, at the end, anywhere (capitals or not).

No LIKE and no GLOB: a value is never read as a pattern.
"""

from __future__ import annotations

from typing import NamedTuple

from .schema import SET_MARK
from .tree import Term


class Condition(NamedTuple):
    """A condition of SQL, and its parameters in order."""

    sql: str
    params: tuple[int | float | str, ...] = ()


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
