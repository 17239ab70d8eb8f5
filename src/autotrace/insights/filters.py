"""The filter language: which traces somebody means, read into a tree. docs/filters.md tells it.

status:error AND (model:gpt-4o OR tool:"get weather") AND NOT environment:production duration>3s "refund order"
"""

from __future__ import annotations

import re

from autotrace.errors import FilterError

from .terms import Token, short, tokens
from .tree import ALL, And, Node, Not, Or, Term, render

__all__ = ["ALL", "And", "Node", "Not", "Or", "Term", "clean", "parse", "render"]

LONGEST, DEEPEST = 2000, 50
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str) -> Node:
    """The tree of a filter; of a blank one `ALL`.

    Raises:
        FilterError: It is none: says where, why, and what would be right.
    """
    if len(text) > LONGEST:
        raise FilterError(f"a filter has at most {LONGEST:,} characters, this one has {len(text):,}", LONGEST + 1)
    found = tokens(clean(text))
    return _Parser(found).whole() if found[0].text else ALL


def clean(text: str) -> str:
    """A text that the store could hold: what is no character is replaced."""
    return _SURROGATE.sub("\ufffd", text)


class _Parser:
    """Reads tokens: OR binds least, then AND (or nothing), then NOT."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0

    def whole(self) -> Node:
        """The tree of all tokens."""
        found = self._any_of(0)
        if self._next.text:
            raise FilterError("this parenthesis closes none", self._next.position)
        return found

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _is(self, keyword: str) -> bool:
        return self._next.term is None and self._next.text == keyword

    def _any_of(self, depth: int) -> Node:
        parts = [self._all_of(depth)]
        while self._is("OR"):
            self._take()
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all_of(self, depth: int) -> Node:
        parts = [self._one(depth)]
        while not (self._is("OR") or self._is(")") or self._is("")):
            if self._is("AND"):
                self._take()
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Node:
        token = self._take()
        if token.term is not None:
            return token.term
        if token.text in ("NOT", "(") and depth == DEEPEST:
            raise FilterError(f"NOT and parentheses are nested at most {DEEPEST} deep", token.position)
        if token.text == "NOT":
            return Not(self._one(depth + 1))
        if token.text != "(":
            self._at -= 1
            raise FilterError(self._missing(), token.position)
        found = self._any_of(depth + 1)
        if not self._is(")"):
            raise FilterError(f"the parenthesis at {token.position} is not closed", self._next.position)
        self._take()
        return found

    def _missing(self) -> str:
        """What to say where a condition should stand."""
        before = self._tokens[self._at - 1].text if self._at else ""
        if before:
            return f'a condition must follow "{short(before)}"; a word to search for goes in quotes'
        return f'a condition must stand before "{short(self._next.text)}"; a word to search for goes in quotes'
