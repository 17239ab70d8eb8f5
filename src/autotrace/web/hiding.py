"""Leaves out what was said, where the page is to show figures alone."""

from __future__ import annotations

from typing import Any

from autotrace.errors import FilterError
from autotrace.insights.filters import And, Node, Not, Or, Term, parse

from .query import Query

#: Fields of pages that hold words of users, models and tools.
CONTENT = frozenset({"request", "response", "comment", "error", "question", "message", "value", "tags"})
#: Fields that hold figures by names of ours, which may be names of such fields.
_BY_NAME = frozenset({"kinds"})
_REFUSED = (
    "what was said is hidden here (--hide-content), so traces cannot be chosen by it: not by words, nor by the texts "
    "of errors and questions, nor by the values of tags; error=TYPE and tag:NAME can be asked for"
)


def hidden(data: Any) -> Any:
    """The same without what was said."""
    if isinstance(data, dict):
        return {
            name: value
            if name in _BY_NAME
            else None
            if name in CONTENT and not isinstance(value, bool)
            else hidden(value)
            for name, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [hidden(value) for value in data]
    return data


def refuse(query: Query) -> None:
    """Does nothing where an address asks for nothing that would tell, by what is found, what was said.

    Raises:
        FilterError: It does, or its filter cannot be read.
    """
    tags = (query.scope.tag, query.other.get("a_tag"), query.other.get("b_tag"))
    if any(_asks(Term("tag", "=", tag)) for tag in tags if tag):
        raise FilterError(_REFUSED)
    for text in (query.scope.filter, query.other.get("a_filter", ""), query.other.get("b_filter", "")):
        if _asks(parse(text)):
            raise FilterError(_REFUSED)


def _asks(node: Node) -> bool:
    if isinstance(node, Not):
        return _asks(node.part)
    if isinstance(node, And | Or):
        return any(map(_asks, node.parts))
    if node.is_any:
        return False
    if node.field == "text":
        return True
    if node.field == "error":  # its type alone is compared by = and !=
        return node.operator == ":"
    if node.field == "question":  # a group's number
        return not (node.value.isascii() and node.value.isdigit() and not (node.before or node.after))
    return node.field == "tag" and ("=" in node.value or node.before or node.after)
