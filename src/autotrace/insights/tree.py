"""What a filter says, as a tree, and that written out again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

KEYWORDS = frozenset({"AND", "OR", "NOT"})
#: Where a term begins with a field: its name and the operator.
FIELD = re.compile(r"([A-Za-z_]+)\s*(!=|>=|<=|[:=<>])\s*")
#: With what no word to search for begins.
OPERATOR_SIGNS = ":=<>!"
_BARE = re.compile(r'[^\s()"*]+')


@dataclass(frozen=True, slots=True)
class Term:
    """One condition.

    Attributes:
        field: One of `fields.FIELDS`.
        operator: One of `fields.operators(field)`.
        value: What it is compared with, as written, without quotation marks.
        before: Whether anything may stand before the value (`*end`); `after`: behind it (`begin*`). Both and no value:
            the trace has any. Only with the operator `:`.
    """

    field: str
    operator: str
    value: str
    before: bool = False
    after: bool = False

    @property
    def is_any(self) -> bool:
        """Whether it asks only for there being something."""
        return self.before and self.after and not self.value


@dataclass(frozen=True, slots=True)
class Not:
    """The traces that are not among those of `part`."""

    part: Node


@dataclass(frozen=True, slots=True)
class And:
    """The traces that all parts have in common; without parts, all traces."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """The traces of any part."""

    parts: tuple[Node, ...]


Node = Union[Term, Not, And, Or]

ALL = And(())


def render(node: Node) -> str:
    """The text of a tree, as short as it can be: `parse` makes the same tree of it."""
    if isinstance(node, Term):
        return _render_term(node)
    if isinstance(node, Not):
        return f"NOT {_render_part(node.part, And, Or)}"
    if isinstance(node, And):
        return " ".join(_render_part(part, And, Or) for part in node.parts)
    return " OR ".join(_render_part(part, Or) for part in node.parts)


def quoted(value: str) -> str:
    """A value as it stands after `field:`, taken by its letters: in quotes where it would be read otherwise."""
    if _BARE.fullmatch(value):
        return value
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))


def _render_part(node: Node, *enclosed: type) -> str:
    return f"({render(node)})" if isinstance(node, enclosed) else render(node)


def _render_term(term: Term) -> str:
    value = term.value
    is_search = term.field == "text"
    is_bare = _BARE.fullmatch(value) and not (is_search and _is_more_than_a_word(value))
    if value and not is_bare:
        value = '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
    stars = "*" if term.is_any else f"{'*' * term.before}{value}{'*' * term.after}"
    return stars if is_search else f"{term.field}{term.operator}{stars}"


def _is_more_than_a_word(value: str) -> bool:
    return value.upper() in KEYWORDS or value[0] in OPERATOR_SIGNS or FIELD.match(value) is not None
