"""What a filter finds, beside what it says."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.errors import FilterError, StoreError
from autotrace.insights import conditions, fields
from autotrace.insights.conditions import condition
from autotrace.insights.filters import And, Node, Not, Or, Term, parse, render
from autotrace.insights.lookups import one_of
from autotrace.insights.scope import Scope

from .population import BEGAN, EVER, Made, filled, searching, speaks

TRACES = [
    Made(0, environment="production", user="ann", models=frozenset({"gpt-4o", "gpt-4o-mini"}), said="my refund order"),
    Made(1, status="error", errors=1, error_types=frozenset({"TimeoutError"}), error="TimeoutError: too slow"),
    Made(2, name="POST /ask", errors=2, error_types=frozenset({"ValueError"}), tools=frozenset({"get weather"})),
    Made(3, duration_ns=3_000_000_000, cost_usd=0.05, input_tokens=900, output_tokens=200, ttft_ns=5_000_000),
    Made(4, up=1, tags={"plan": "pro", "planet": "mars"}, said="refunds"),
    Made(5, down=1, comment="no good", failures=frozenset({"disliked", "tool"}), tags={"plan": "free"}),
    Made(6, question="how do I get a refund", path="search > answer", retries=2, repeats=1, output_tokens=7),
]


def found(text: str, traces: list[Made] = TRACES, scope: Scope = EVER, notes: list[str] | None = None) -> list[int]:
    """The starts of the traces that a filter finds."""
    with closing(filled(traces)) as connection:
        return starts(connection, replace(scope, filter=text), traces, notes)


def starts(
    connection: sqlite3.Connection, scope: Scope, traces: list[Made], notes: list[str] | None = None
) -> list[int]:
    """The starts of the traces of a scope."""
    sql, params = condition(connection, scope, searching(traces), notes)
    return [row[0] - BEGAN for row in connection.execute(f"SELECT t.id FROM traces t WHERE {sql} ORDER BY 1", params)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        ("environment:production", [0]),
        ("environment:Production", []),
        ("environment:PROD*", [0]),
        ("environment!=production", [1, 2, 3, 4, 5, 6]),
        ("environment:*", [0]),
        ("user:ann", [0]),
        ("user:nobody", []),
        ("NOT user:nobody", [0, 1, 2, 3, 4, 5, 6]),
        ("model:gpt-4o", [0]),
        ("model:gpt", []),
        ("model:*mini", [0]),
        ('tool:"get weather"', [2]),
        ("name:post", [2]),
        ("name=post", []),
        ("status:error", [1]),
        ("error:*", [1, 2]),
        ("error:timeout", [1]),
        ("error:slow", [1]),
        ("error=ValueError", [2]),
        ("error=Value", []),
        ("duration>2s", [3]),
        ("duration<=3s", [3]),
        ("NOT duration>2s", [0, 1, 2, 4, 5, 6]),
        ("duration!=3s", [0, 1, 2, 4, 5, 6]),
        ("duration:*", [3]),
        ("cost:0.05", [3]),
        ("tokens>1k", [3]),
        ("tokens:7", [6]),
        ("ttft<10ms", [3]),
        ("feedback:up", [4]),
        ("feedback:down", [5]),
        ("feedback:any", [4, 5]),
        ("feedback:none", [0, 1, 2, 3, 6]),
        ("feedback:comment", [5]),
        ("tag:plan", [4, 5]),
        ("tag:plan=pro", [4]),
        ("tag:plan*", [4, 5]),
        ("tag:*=mars", [4]),
        ("failure:tool", [5]),
        ("failure:*", [5]),
        ("failure:999", []),
        ("question:refund", [6]),
        ("question:1", [6]),
        ("path:search*", [6]),
        ("retries>1 repeats:1", [6]),
        (f"id:{0xA3:032x}", [3]),
        ("id:0000*", [0, 1, 2, 3, 4, 5, 6]),
        ("refund", [0]),
        ("refund order", [0]),
        ("refund*", [0, 4]),
        ('"refund*"', [0]),
        ("NOT refund", [1, 2, 3, 4, 5, 6]),
        ('"!!!"', []),
        ("refund OR status:error", [0, 1]),
        ("(refund OR status:error) user:ann", [0]),
    ],
)
def test_finds(text: str, expected: list[int]) -> None:
    """A filter finds these traces."""
    assert found(text) == expected


def test_scope() -> None:
    """A scope narrows by time, by its fields and by its filter together."""
    assert found("", scope=Scope(BEGAN + 2, BEGAN + 4)) == [2, 3]
    assert found("", scope=replace(EVER, environment="production", model="gpt-4o", user="ann")) == [0]
    assert found("", scope=replace(EVER, environment="PRODUCTION")) == []
    assert found("feedback:down", scope=replace(EVER, tag="plan")) == [5]
    assert found("", scope=replace(EVER, user="a\ud800")) == []
    assert found("", scope=Scope(-(2**70), 2**70)) == [0, 1, 2, 3, 4, 5, 6]


def test_words_in_a_range() -> None:
    """Words are found within the range alone."""
    assert found("refund*", scope=Scope(BEGAN + 1, BEGAN + 9)) == [4]


def test_filter_that_cannot_be_read() -> None:
    """What is no filter is told."""
    with pytest.raises(FilterError):
        found("user:")


def test_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all was looked at, a note says so, once."""
    monkeypatch.setattr(conditions, "MOST_FOUND", 2)
    notes: list[str] = []
    traces = [Made(start, said="hello") for start in range(5)]
    assert found("hello OR hello", traces, notes=notes) == [3, 4]
    assert notes == ['of what speaks of "hello", only the newest 2 pieces were looked at']


def test_without_an_index_of_words() -> None:
    """Where words cannot be searched for, a note says why, and nothing is found."""

    def search(text: str, limit: int) -> Iterator[int]:
        raise StoreError("no index")
        yield

    notes: list[str] = []
    with closing(filled(TRACES)) as connection:
        assert condition(connection, replace(EVER, filter="hello"), search, notes).sql.endswith("(0)")
    assert notes == ["words cannot be searched for: no index"]


def test_many_ids() -> None:
    """Many names, tags and words are found as few are, and alike filters make alike conditions."""
    traces = [
        Made(start, user=f"user {start}", tags={"all": "1", "id": f"{start}", "few": str(start % 4)}, said="hello")
        for start in range(2100)
    ]
    with closing(filled(traces)) as connection:
        for text in ("user:user*", "user:*9*", "tag:all", "tag:all=1", "tag:id", "tag:id=7", "tag:few=1", "hello"):
            scope = replace(EVER, filter=text)
            expected = [trace.start for trace in traces if holds(parse(text), trace)]
            assert starts(connection, scope, traces) == expected, text
            assert condition(connection, scope, searching(traces)) == condition(connection, scope, searching(traces))


def test_temporary_tables_are_bounded() -> None:
    """A connection that lives long keeps only some of what it found."""
    with closing(filled(TRACES)) as connection:
        for end in range(300, 400):
            sql = one_of(connection, "t.id", range(end)).sql
        assert connection.execute("SELECT count(*) FROM temp.sqlite_master").fetchone()[0] == 64
        connection.execute(f"SELECT 1 FROM traces t WHERE {sql}")


@pytest.mark.parametrize(
    "text", ["status:error", "environment:production status:error", "", "environment:production feedback:any refund"]
)
def test_newest_first_is_no_sorting(text: str) -> None:
    """Newest traces are read backwards until there are enough; nothing is sorted but those of a user or session."""
    with closing(filled(TRACES)) as connection:
        sql, params = condition(connection, replace(EVER, filter=text), searching(TRACES))
        query = f"EXPLAIN QUERY PLAN SELECT t.id FROM traces t WHERE {sql} ORDER BY t.id DESC LIMIT 50"
        assert not [row for row in connection.execute(query, params) if "TEMP B-TREE FOR ORDER" in row[3]]


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ":": operator.eq,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
COLUMNS = {"duration": "duration_ns", "ttft": "ttft_ns", "cost": "cost_usd", "cached_tokens": "cache_read_tokens"}
SETS = {"model": "models", "provider": "providers", "framework": "frameworks", "tool": "tools"}


def small(text: str) -> str:
    """A text whose capitals A to Z do not matter."""
    return text.encode().lower().decode()


def fits(term: Term, text: str | None) -> bool:
    """Whether a text is what a term asks for."""
    if text is None:
        return False
    is_part = fields.FIELDS[term.field] == fields.PART and term.operator == ":"
    value, lower = small(term.value), small(text)
    if (term.before and term.after) or (is_part and not term.before and not term.after):
        return value in lower
    if term.after:
        return lower.startswith(value)
    return lower.endswith(value) if term.before else text == term.value


def holds(node: Node, trace: Made) -> bool:
    """Whether a filter is true of a trace, as plainly as it can be said."""
    if isinstance(node, Not):
        return not holds(node.part, trace)
    if isinstance(node, And):
        return all(holds(part, trace) for part in node.parts)
    if isinstance(node, Or):
        return any(holds(part, trace) for part in node.parts)
    if node.operator == "!=":
        return not holds(replace(node, operator="="), trace)
    if node.field in fields.FIGURES:
        value = figure(trace, node.field)
        if node.is_any or value is None:
            return value is not None
        return OPERATORS[node.operator](value, fields.amount(node.field, node.value))
    return of_field(node, trace)


def figure(trace: Made, name: str) -> float | None:
    """A figure of a trace; None when it is not known."""
    if name != "tokens":
        return getattr(trace, COLUMNS.get(name, name))  # type: ignore[no-any-return]
    known = [count for count in (trace.input_tokens, trace.output_tokens) if count is not None]
    return sum(known) if known else None


def of_field(term: Term, trace: Made) -> bool:
    """Whether a term holds that compares no figure."""
    given = bool(trace.up or trace.down)
    if term.field == "text":
        is_word = any(letter.isalnum() for letter in term.value)  # nothing speaks of what is no word
        return is_word and speaks(trace, term.value.replace("*", " ").rstrip() + "*" * term.after)
    if term.field in SETS:
        return any(term.is_any or fits(term, member) for member in getattr(trace, SETS[term.field]))
    if term.field == "error":
        told = [trace.error] if trace.errors and term.operator == ":" else []
        return trace.errors > 0 if term.is_any else any(fits(term, text) for text in (*trace.error_types, *told))
    if term.field == "feedback":
        verdicts = {"up": trace.up > 0, "down": trace.down > 0, "any": given, "none": not given}
        return {**verdicts, "comment": given and bool(trace.comment)}["any" if term.is_any else term.value]
    if term.field == "tag":
        is_key = not (term.before or term.after or "=" in term.value)
        pairs = (f"{key}={value}" for key, value in trace.tags.items())
        return any(pair.startswith(f"{term.value}=") if is_key else term.is_any or fits(term, pair) for pair in pairs)
    if term.field == "failure":
        return any(term.is_any or fits(term, kind) for kind in trace.failures)
    text = getattr(trace, "trace_id" if term.field == "id" else term.field)
    return text is not None and (term.is_any or fits(term, text))


WORDS = ("a", "ab", "B", "a b", "é", "%", "_", "a*", "'")
texts = st.one_of(st.sampled_from(WORDS), st.text(alphabet="aAbB %_é'", min_size=1, max_size=4))
names = st.one_of(st.none(), texts)
sets = st.frozensets(texts, max_size=3)
counts = st.integers(0, 3)
unknown = st.one_of(st.none(), st.integers(0, 3))
populations = st.lists(
    st.builds(
        Made,
        start=st.integers(0, 500),
        status=st.sampled_from(["ok", "error"]),
        name=texts,
        **dict.fromkeys(("environment", "service", "release", "session", "user", "path", "question", "error"), names),
        **dict.fromkeys(("models", "providers", "frameworks", "tools", "error_types", "failures"), sets),
        **dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"), unknown),
        **dict.fromkeys(("spans", "errors", "model_calls", "tool_calls", "up", "down", "retries", "repeats"), counts),
        duration_ns=st.one_of(st.none(), st.sampled_from([0, 10**6, 2 * 10**9])),
        ttft_ns=st.one_of(st.none(), st.sampled_from([0, 10**6, 2 * 10**9])),
        cost_usd=st.one_of(st.none(), st.sampled_from([0.0, 0.5, 2.0])),
        comment=st.one_of(st.none(), st.sampled_from(["", "hm"])),
        tags=st.dictionaries(st.sampled_from(["a", "ab", "b"]), texts, max_size=2),
        said=st.lists(st.sampled_from(["a", "ab", "b"]), max_size=3).map(" ".join),
    ),
    max_size=8,
    unique_by=lambda trace: trace.start,
)
stars = st.booleans()
text_fields = sorted(name for name, kind in fields.FIELDS.items() if kind in (fields.EXACT, fields.PART))
times = sorted(name for name, kind in fields.FIELDS.items() if kind == fields.TIME)
numbers = sorted(fields.FIGURES - set(times))
leaves = st.one_of(
    st.builds(Term, st.sampled_from(text_fields), st.just(":"), texts, stars, stars),
    st.builds(Term, st.sampled_from(text_fields), st.sampled_from(["=", "!="]), texts),
    st.builds(
        Term, st.sampled_from([*text_fields, *numbers, *times]), st.just(":"), st.just(""), st.just(True), st.just(True)
    ),
    st.builds(
        Term, st.sampled_from(numbers), st.sampled_from(fields.COMPARISONS), st.sampled_from(["0", "1", "2", "0.5"])
    ),
    st.builds(Term, st.sampled_from(times), st.sampled_from(fields.COMPARISONS), st.sampled_from(["0ms", "1ms", "2s"])),
    st.builds(Term, st.just("feedback"), st.sampled_from(fields.EQUAL), st.sampled_from(fields.VERDICTS)),
    st.builds(
        Term, st.just("text"), st.just(":"), st.sampled_from(["a", "ab", "a b", "*", "c"]), st.just(False), stars
    ),
)
trees = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(And, st.lists(parts, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(parts, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(populations, st.lists(trees, min_size=1, max_size=5))
def test_sql_says_what_the_filter_says(traces: list[Made], nodes: list[Node]) -> None:
    """A filter finds just the traces that it is true of, and NOT of it just the others."""
    with closing(filled(traces)) as connection:
        for node in nodes:
            expected = sorted(trace.start for trace in traces if holds(node, trace))
            others = sorted({trace.start for trace in traces} - set(expected))
            assert starts(connection, replace(EVER, filter=render(node)), traces) == expected
            assert starts(connection, replace(EVER, filter=render(Not(node))), traces) == others
