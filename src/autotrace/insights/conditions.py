# ruff: noqa: S608 (what is put into SQL is constant, or a number)
"""A filter and a scope as a condition of SQL on rows of `traces` (alias `t`).

Names are looked up first, so that a scan of many traces compares integers. SQL's NULL stands for what is not known, and
for false: what is made of terms by AND and OR alone is true only where it is so without the unknown, and NOT asks
whether its part is true.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import orjson

from autotrace.errors import StoreError

from . import fields
from .filters import And, Node, Not, Term, clean, parse
from .lookups import ALWAYS, NEVER, Condition, joined, matching, member_matching, one_of
from .scope import FACETS, Scope

#: Ids of the spans in whose traces all words of a text occur, latest stored first, at most so many.
Search = Callable[[str, int], Iterator[int]]

#: Documents that a search for text looks at.
MOST_FOUND = 50_000
#: Traces of a tag or a failure that are many.
_MANY = 2000
#: Characters of a name that insights.db keeps (facts.py).
_LONGEST_NAME = 300
_END_OF_TIME = 2**63 - 1

_NAMED = frozenset({"status", "name", "environment", "service", "release", "session", "user", "path"})
_SETS = {"model": "models", "provider": "providers", "framework": "frameworks", "tool": "tools"}
_FIGURES = {
    "duration": "t.duration_ns",
    "ttft": "t.ttft_ns",
    "tokens": "coalesce(t.input_tokens + t.output_tokens, t.input_tokens, t.output_tokens)",
    "input_tokens": "t.input_tokens",
    "output_tokens": "t.output_tokens",
    "cached_tokens": "t.cache_read_tokens",
    "reasoning_tokens": "t.reasoning_tokens",
    "cost": "t.cost_usd",
    **{name: f"t.{name}" for name in ("spans", "errors", "retries", "repeats", "model_calls", "tool_calls")},
}
_VERDICTS = {
    "up": "t.up > 0",
    "down": "t.down > 0",
    "any": "t.id IN (SELECT trace FROM feedback)",
    "none": "t.id NOT IN (SELECT trace FROM feedback)",
    "comment": "EXISTS (SELECT 1 FROM feedback f WHERE f.trace = t.id AND f.comment <> '')",
}


def condition(
    connection: sqlite3.Connection, scope: Scope, search: Search, notes: list[str] | None = None
) -> Condition:
    """What holds of the traces of a scope, for `... FROM traces t WHERE {sql}` on this connection.

    Args:
        connection: To insights.db. Of many ids a temporary table is made.
        scope: Which traces.
        search: Finds words.
        notes: Is added to where what was found is not all there is.

    Raises:
        FilterError: The filter cannot be read.
    """
    facets = [(name, getattr(scope, name)) for name in FACETS]
    parts: list[Node] = [Term(name, "=", clean(value)) for name, value in facets if value is not None]
    parts.append(parse(scope.filter))
    start, end = _bounded(scope.start_ns), _bounded(scope.end_ns)
    found = _Translation(connection, (start, end), search, notes).of(And(tuple(parts)))
    within = Condition("t.id >= ? AND t.id < ?", (start, end))
    return within if found == ALWAYS else joined(" AND ", [within, found])


def _bounded(time_ns: int) -> int:
    return min(max(time_ns, -(2**63)), _END_OF_TIME)


class _Translation:
    """Of one tree."""

    def __init__(
        self, connection: sqlite3.Connection, within: tuple[int, int], search: Search, notes: list[str] | None
    ) -> None:
        self._connection = connection
        self._range = within
        self._search = search
        self._notes = [] if notes is None else notes

    def of(self, node: Node) -> Condition:
        """The condition of a node; NULL stands for false in it."""
        if isinstance(node, Term):
            return self._searched([node]) if node.field == "text" else self._term(node)
        if isinstance(node, Not):
            part = self.of(node.part)
            return Condition(f"({part.sql}) IS NOT TRUE", part.params)
        if isinstance(node, And):
            return self._all_of(node.parts)
        return joined(" OR ", [self.of(part) for part in node.parts])

    def _all_of(self, parts: Sequence[Node]) -> Condition:
        # Words are looked for together: those that stand in few traces make the search for the others short.
        texts = [part for part in parts if isinstance(part, Term) and part.field == "text"]
        found = [self.of(part) for part in parts if part not in texts]
        if texts:
            found.append(self._searched(texts))
        found = [part for part in found if part != ALWAYS]
        if NEVER in found:
            return NEVER
        return (found[0] if len(found) == 1 else joined(" AND ", found)) if found else ALWAYS

    def _searched(self, terms: Sequence[Term]) -> Condition:
        """The traces in which all the words of some terms occur."""
        if not all(_has_word(term.value) for term in terms):
            return NEVER  # nothing speaks of what is no word
        text = " ".join(term.value.replace("*", " ").rstrip() + "*" * term.after for term in terms)
        try:
            spans = list(self._search(text, MOST_FOUND))
        except StoreError as error:
            self._note(f"words cannot be searched for: {error}")
            return NEVER
        if len(spans) >= MOST_FOUND:
            self._note(f'of what speaks of "{text}", only the newest {MOST_FOUND:,} pieces were looked at')
        traces = "SELECT trace FROM spans WHERE id IN (SELECT value FROM json_each(?)) AND trace >= ? AND trace < ?"
        return self._one_of("t.id", self._ids(traces, orjson.dumps(spans).decode(), *self._range))

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _term(self, term: Term) -> Condition:
        if term.operator == "!=":
            part = self._term(Term(term.field, "=", term.value))
            return Condition(f"({part.sql}) IS NOT TRUE", part.params)
        if term.field in _FIGURES:
            return self._figure(term)
        if term.field in _NAMED:
            return self._named(term)
        if term.field in _SETS:
            return self._set(_SETS[term.field], term)
        special = {
            "error": self._error,
            "feedback": self._feedback,
            "tag": self._tag,
            "failure": self._failure,
            "question": self._question,
            "id": self._id,
        }
        return special[term.field](term)

    def _figure(self, term: Term) -> Condition:
        column = _FIGURES[term.field]
        if term.is_any:
            return Condition(f"{column} IS NOT NULL")
        operator = "=" if term.operator == ":" else term.operator
        return Condition(f"{column} {operator} ?", (fields.amount(term.field, term.value),))

    def _named(self, term: Term) -> Condition:
        if term.is_any:
            return Condition(f"t.{term.field} IS NOT NULL")
        match = matching("text", _cut(term), _is_part(term))
        sql = f"SELECT id FROM names WHERE kind = ? AND {match.sql}"
        return self._one_of(f"t.{term.field}", self._ids(sql, term.field, *match.params))

    def _set(self, column: str, term: Term, is_part: bool = False) -> Condition:
        if term.is_any:
            return Condition(f"t.{column} IS NOT NULL")
        match = member_matching("text", _cut(term), is_part)
        sql = f"SELECT id FROM names WHERE kind = ? AND {match.sql}"
        return self._one_of(f"t.{column}", self._ids(sql, column, *match.params))

    def _error(self, term: Term) -> Condition:
        if term.is_any:
            return Condition("t.errors > 0")
        types = self._set("error_types", term, _is_part(term))
        if term.operator == "=":
            return types
        match = matching("x.error", term, is_part=True)
        told = f"t.errors > 0 AND EXISTS (SELECT 1 FROM texts x WHERE x.trace = t.id AND {match.sql})"
        return joined(" OR ", [types, Condition(told, match.params)])

    def _feedback(self, term: Term) -> Condition:
        return Condition(_VERDICTS["any" if term.is_any else term.value.lower()])

    def _tag(self, term: Term) -> Condition:
        if term.is_any:
            return Condition("EXISTS (SELECT 1 FROM tags g WHERE g.trace = t.id)")
        match = matching("text", _cut(term), is_part=False)
        if not (term.before or term.after or "=" in term.value):  # the key alone: from "key=" to before "key>"
            match = Condition("text >= ? AND text < ?", (f"{term.value}=", f"{term.value}>"))
        ids = self._ids(f"SELECT id FROM names WHERE kind = ? AND {match.sql}", "tag", *match.params)
        return self._linked("tags", "tag", ids)

    def _failure(self, term: Term) -> Condition:
        if term.is_any:
            return Condition("EXISTS (SELECT 1 FROM failures f WHERE f.trace = t.id)")
        if term.value.isascii() and term.value.isdigit() and not (term.before or term.after):
            return self._linked("failures", "failure", [min(int(term.value), _END_OF_TIME)])
        match = matching("kind", term, is_part=False)
        ids = self._ids(f"SELECT id FROM failure_groups WHERE {match.sql}", *match.params)
        return self._linked("failures", "failure", ids)

    def _linked(self, table: str, column: str, ids: list[int]) -> Condition:
        """The traces to which a table with a row for each of several things of theirs links one of these."""
        part = self._one_of(f"l.{column}", ids)
        if part == NEVER:
            return NEVER
        traces = f"SELECT l.trace FROM {table} l WHERE {part.sql} AND l.trace >= ? AND l.trace < ? LIMIT {_MANY}"
        found = self._ids(traces, *part.params, *self._range)
        if len(found) < _MANY:  # quicker than a look at each trace
            return self._one_of("t.id", found)
        return Condition(f"EXISTS (SELECT 1 FROM {table} l WHERE l.trace = t.id AND {part.sql})", part.params)

    def _question(self, term: Term) -> Condition:
        if term.is_any:
            return Condition("t.question > 0")
        if term.value.isascii() and term.value.isdigit() and not (term.before or term.after):
            return self._one_of("t.question", [min(int(term.value), _END_OF_TIME)])
        match = matching("leader", term, _is_part(term))
        return self._one_of("t.question", self._ids(f"SELECT id FROM questions WHERE {match.sql}", *match.params))

    def _id(self, term: Term) -> Condition:
        if term.is_any:
            return ALWAYS
        value = term.value.lower()
        if term.after and not term.before and value.isascii():
            return Condition("t.trace_id >= ? AND t.trace_id < ?", (value, value + "\x7f"))
        return matching("t.trace_id", Term(term.field, term.operator, value, term.before, term.after), is_part=False)

    def _one_of(self, column: str, ids: list[int]) -> Condition:
        return one_of(self._connection, column, ids)

    def _ids(self, sql: str, *params: int | float | str) -> list[int]:
        return [row[0] for row in self._connection.execute(sql, params)]


def _has_word(text: str) -> bool:
    """Whether the index of words finds any in a text: letters, numbers, and what is for private use."""
    return any(unicodedata.category(letter)[0] in "LN" or unicodedata.category(letter) == "Co" for letter in text)


def _is_part(term: Term) -> bool:
    """Whether a part of the text is enough, where no star says otherwise."""
    return fields.FIELDS[term.field] == fields.PART and term.operator == ":"


def _cut(term: Term) -> Term:
    """The term with as much of the value as is kept of a name."""
    return Term(term.field, term.operator, term.value[:_LONGEST_NAME], term.before, term.after)
