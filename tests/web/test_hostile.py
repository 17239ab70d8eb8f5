"""Five thousand inputs by somebody who means harm, asked for, sent and stored: nothing acts, nothing falls over."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotrace.delivery.destinations import WHOLE_TRACE, Record
from autotrace.store import payload
from autotrace.web import guard
from autotrace.web.app import NAVIGATION
from autotrace.web.guard import Rules

from .asgi import HOST, OPEN, Caller, harmless, site_of
from .pages.conftest import BEGAN, SECOND, TraceStore, chat, said

#: How often each kind is tried; all together 5,000.
QUERIES, PATHS, HEADERS, FORMS, STORED, DAMAGED = 2400, 600, 1245, 700, 30, 25
A = "a" * 32
NOW = time.time() - BEGAN / SECOND

ACTING = (
    *("<script>alert(1)</script>", '"><xss xssattr=1 onload=alert(1)>', "'><img src=x onerror=alert(1)>", "--><!--"),
    *("javascript:alert(1)", "//evil.example/x", "\\\\evil.example", "https://evil.example", "data:text/html,<xss>"),
    *("</textarea><xss>", "</title><xss>", "</option></select><xss>", "]]><xss>", "<?xss?>", "<!DOCTYPE xss>"),
    *('" autofocus onfocus=alert(1) x="', "' style='x' x='", "`", "&quot;&gt;&lt;xss&gt;", "&#x3c;xss&#x3e;"),
    *("{{ 7*7 }}", "{% raw %}", "{0.__class__}", "%s%n", "${7*7}", "=cmd|' /C calc'!A0", "\x1b]0;x\x07\x1b[2J"),
    *("\u202e\u2066gnp.exe", "\u200f", "\ufeff", "\0", "\r\nset-cookie: x=1\r\n\r\n<xss>", "\u2028", "\x85"),
    *(
        "../../etc/passwd",
        "..%2f..%2f",
        "' OR 1=1 --",
        '"; DROP TABLE spans; --',
        "*",
        "NEAR(",
        '"',
        "\ud800",
        "\udfff",
    ),
    *(
        "9" * 400,
        "-1",
        "1e999",
        "NaN",
        "Infinity",
        "0x10",
        "²",
        "١٢",
        "null",
        "[" * 300,
        "{" * 300,
        "(" * 300,
        "é" * 300,
    ),
    *("a\u0300" * 200, "👩‍👩‍👧‍👦", "\U000e0001", "x" * 3000, "NOT " * 100, "AND OR NOT", ":::", "\t\n\v\f", " ", ""),
)
texts = st.one_of(
    st.sampled_from(ACTING),
    st.text(max_size=40),
    st.text(st.characters(), max_size=20),
    st.lists(st.sampled_from(ACTING), min_size=2, max_size=4).map("".join),
)
FIELDS = ("name", "status", "error", "model", "provider", "framework", "tool", "environment", "release", "session")
FIGURES = ("duration", "tokens", "cost", "ttft", "spans", "errors", "retries", "repeats")
terms = st.one_of(
    texts,
    st.builds(
        "{}{}{}".format,
        st.sampled_from((*FIELDS, "user", "tag", "feedback", "text", "question")),
        st.sampled_from((":", "=", "!=", ">", "<=", " : ")),
        texts.map(lambda text: json.dumps(text)),
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(FIGURES),
        st.sampled_from((">", "<", ">=", ":", "!=")),
        st.one_of(
            st.integers(-(2**70), 2**70).map(str),
            st.sampled_from(("3s", "10k", "$2", "1e5", "5ms", ".5", "9" * 12 + "m")),
        ),
    ),
)
filters = st.one_of(
    terms,
    st.lists(terms, min_size=1, max_size=5).flatmap(
        lambda parts: st.sampled_from((" AND ", " OR ", " ", " NOT ", ") (")).map(lambda word: word.join(parts))
    ),
)
SORTS = (
    "start",
    "-start",
    "duration",
    "-cost",
    "user",
    "-session",
    "-last",
    "first",
    "-down",
    "tokens",
    "-name",
    "ttft",
)
places = st.one_of(
    texts,
    st.builds(
        "{}.{}.{}".format, st.sampled_from("np"), st.integers(0, 2**66), st.one_of(st.integers(-9, 2**66), st.floats())
    ),
    st.builds("{}.{}".format, st.sampled_from("npx"), st.integers(-1, 2**66)),
    st.builds("{}{}".format, st.sampled_from("lo"), st.integers(0, 10**20)),
)
moments = st.one_of(
    texts,
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(
        ("2026-11-24", "1970-01-01", "0001-01-01", "9999-12-31T23:59:59.999999+23:59", "2242-01-01T00:00:00Z")
    ),
)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "range": st.one_of(st.sampled_from(("1h", "7d", "9999w", "0d", "30d")), texts),
        "from": moments,
        "to": moments,
        **dict.fromkeys(("environment", "service", "release", "model", "user", "session", "tag", "id", "kind"), texts),
        **dict.fromkeys(("a_model", "b_tag", "a_user", "token", "csrf", "x<xss>", "said"), texts),
        "filter": filters,
        "a_filter": filters,
        "sort": st.one_of(st.sampled_from(SORTS), texts),
        "after": places,
        "view": st.one_of(st.sampled_from(("chat", "details", "raw")), texts),
        "full": st.sampled_from(("1", "0", "yes")),
        "span": st.one_of(st.sampled_from(("1" * 16, "2" * 16)), texts),
        "row": st.one_of(st.integers(-5, 10**20).map(str), texts),
        "open": st.one_of(st.just("top," + "1" * 16), texts),
    },
)
pages = st.sampled_from((*NAVIGATION, f"trace/{A}", "session", "user", "failure/1", "failure/2"))
endings = st.sampled_from(("", ".json"))


def many(count: int) -> settings:
    """So many examples, however long one takes on a slow machine."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=count, deadline=None, suppress_health_check=checks, database=None)


def hostile(store: TraceStore, text: str, trace: str = "a") -> None:
    """Stores a trace where a text stands wherever one can."""
    text = text.encode("utf-8", "replace").decode()  # what cannot be journalled is stored by other tests
    when = BEGAN + int((NOW - 60) * SECOND)
    told = {"exception.type": text, "exception.message": text, "exception.stacktrace": text, text: text}
    call = {"type": "tool_call", "id": text, "name": text, "arguments": {text: text}}
    parts = [
        *({"type": "tool_call_response", "id": text, "response": text}, {"type": text, text: text}, call),
        *({"type": "uri", "uri": text, "mime_type": text}, {"type": "blob", "content": text, "mime_type": "image/png"}),
        *({"type": "uri", "uri": f"data:image/png;base64,{text}"}, {"type": "reasoning", "content": text}),
        {"type": "file", "file_id": text, "name": text},
    ]
    answers = [said(text, text), said("assistant", text, *parts), {"role": "user", "name": text, "parts": parts}]
    attributes = {
        **chat(text, said(text, text, *parts), received=answers),
        "session.id": text,
        "user.id": text,
        "autotrace.tags": {text: text},
        text: text,
        "gen_ai.request.model": text,
        "gen_ai.response.model": text,
        "gen_ai.provider.name": text,
        "server.address": text,
        "gen_ai.tool.definitions": [{"name": text, "description": text, "type": text}],
        "gen_ai.request.temperature": text,
        f"gen_ai.request.{text}": text,
        "gen_ai.response.finish_reasons": [text],
        "autotrace.outcome": text,
        "autotrace.instrumentor": text,
        "gen_ai.agent.name": text,
    }
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": text, "gen_ai.tool.call.arguments": text}
    found = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.query.text": text,
        "output.value": text,
        "gen_ai.retrieval.documents": [{"id": text, "score": text, "content": text, "metadata": {text: text}}, text],
    }
    events = [{"name": "exception", "time": when, "attributes": told}, {"name": text, "time": text, "attributes": told}]
    more = {"name": text, "message": text, "scope": text, "scope_version": text, "events": events, "kind": text}
    links = [
        {"trace_id": text, "span_id": text, "attributes": {text: text}},
        {"trace_id": "b" * 32, "span_id": "1" * 16},
    ]
    begins = NOW - 60
    store.writer.write(
        [
            store.span(trace, "1", start=begins, status="error", attributes=attributes, links=links, **more),
            store.span(trace, "2", "1", start=begins, status="error", attributes=tool, **more),
            store.span(trace, "3", "1", start=begins, attributes=tool, **more),
            store.span(trace, "4", "1", start=begins, attributes=found, **more),
        ],
        {"service.name": text, "deployment.environment.name": text, "service.version": text, text: text},
    )
    for number, value in enumerate((True, text, {text: [text]})):
        type_ = text if number == 2 else "feedback"
        given = {"id": f"{trace}{number}" * 16, "value": value, "comment": text, "name": text, "type": type_}
        body = {**given, "source": text, "source_type": text, "time": when, "metadata": {text: text}}
        store.write(Record("F", (trace * 32)[:32], WHOLE_TRACE, body))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A page on traces where all that acts is stored."""
    home = tmp_path_factory.mktemp("home")
    store = TraceStore(home / "traces.db")
    for number, text in enumerate(ACTING):
        hostile(store, text, "a" if number == 0 else f"{number:032x}")
    store.writer.close()
    caller = Caller(site_of(home, judge=lambda *_: None))
    yield caller
    for each in list(OPEN):
        each.close()


@many(QUERIES)
@given(pages, endings, parameters)
def test_parameters(page: Caller, name: str, ending: str, told: dict[str, str]) -> None:
    """Filters, ranges, places in lists, names: an answer, or what is wrong with them."""
    harmless(page.get(f"/{name}{ending}?{urlencode(told, errors='surrogatepass')}"), statuses=(200, 400, 404))


@many(PATHS)
@given(st.sampled_from(("/", "/trace/", "/failure/", "/static/", "//", "/traces", "/session/")), texts, endings, texts)
def test_paths(page: Caller, begin: str, text: str, ending: str, query: str) -> None:
    """Ids and paths lead to a page, or to one that says that there is none; queries need not be parameters."""
    address = begin + quote(text, safe="/.", errors="surrogatepass") + ending
    raw = "".join(letter for letter in query if " " < letter < "\x7f" and letter not in "#")
    for method in ("GET", "HEAD"):
        harmless(page.ask(method, f"{address}?{raw}"), statuses=(200, 307, 400, 404, 405))


names = st.sampled_from(
    (
        "host",
        "origin",
        "cookie",
        "authorization",
        "accept",
        "accept-encoding",
        "referer",
        "sec-fetch-site",
        "range",
        "x-forwarded-host",
        "x-forwarded-proto",
        "content-type",
        "content-length",
        "if-none-match",
        "last-event-id",
    )
)
values = st.one_of(
    texts.map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=60),
    st.sampled_from(
        (b"evil.example", b"http://evil.example", b"127.0.0.1:5317@evil.example", b"[::1", b"Bearer ", b"bearer")
    ),
    texts.map(lambda text: f"{guard.COOKIE}-5317={text}; x".encode("utf-8", "replace")),
)


@many(HEADERS)
@given(
    st.sampled_from(("GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "X")),
    st.sampled_from(("/traces", "/status.json", f"/trace/{A}/feedback", "/traces?token=x", "/static/page.js")),
    st.lists(st.tuples(names, values), max_size=5),
    st.booleans(),
)
def test_headers(page: Caller, method: str, address: str, told: list[tuple[str, bytes]], has_token: bool) -> None:
    """Whatever a request says of itself: an answer, or a refusal; nothing of it comes back in a header."""
    caller = _closed(page) if has_token else page
    hosts = () if any(name == "host" for name, _ in told) else (HOST,)
    answer = caller.ask(method, address, told, b"csrf=x&value=up", hosts)
    harmless(answer)
    assert not has_token or answer.status in (401, 403, 421)
    assert answer.status != 303


_CLOSED: dict[int, Caller] = {}


def _closed(page: Caller) -> Caller:
    if id(page) not in _CLOSED:
        _CLOSED[id(page)] = Caller(page.site, Rules(frozenset(), "what nobody guesses"))
    return _CLOSED[id(page)]


fields = st.dictionaries(
    st.one_of(st.sampled_from(("value", "comment", "user", "csrf", "trace_id")), texts), texts, max_size=6
)
bodies = st.one_of(
    st.binary(max_size=200),
    fields.map(lambda found: urlencode(found, errors="surrogatepass").encode()),
    texts.map(lambda text: b"value=up&comment=" + text.encode("utf-8", "surrogatepass")),
)


@many(FORMS)
@given(bodies, st.booleans(), st.sampled_from((A, "0" * 32, "x", "%00", "a" * 31)))
def test_forms(page: Caller, body: bytes, knows: bool, trace: str) -> None:
    """What is sent as feedback is passed on, or refused."""
    body += f"&csrf={page.site.csrf}&value=down".encode() if knows else b""
    answer = page.post(f"/trace/{trace}/feedback", body, content_type="application/x-www-form-urlencoded")
    harmless(answer, statuses=(303, 403, 404))
    assert (answer.status == 303) == (knows and trace == A)


def test_all_that_acts(page: Caller) -> None:
    """Each of those texts, wherever it stands in a trace, is a text on the trace's page."""
    for number in range(len(ACTING)):
        for rest in ("", "?view=details", "?view=raw&full=1", ".json?view=raw&full=1", f"?span={'4' * 16}"):
            harmless(page.get(f"/trace/{number:032x}{rest}" if number else f"/trace/{A}{rest}"), statuses=(200,))


VIEWS = tuple(
    f"/trace/{A}{ending}?view={view}&full=1" for view in ("chat", "details", "raw") for ending in ("", ".json")
)
SPANS = tuple(f"/trace/{A}?span={number * 16}&view={view}" for number in "1234" for view in ("chat", "details"))
_HOMES = itertools.count()


def _look(home: Path, **more: Any) -> None:
    caller = Caller(site_of(home, **more))
    try:
        names = [f"/{name}{ending}?range=7d" for name in NAVIGATION for ending in ("", ".json")]
        for address in (*names, *VIEWS, *SPANS, "/failure/1", "/failure/2", "/failure/3"):
            harmless(caller.get(address), statuses=(200, 404))
        for kind in ("session", "user"):
            for row in caller.get(f"/{kind}s.json").json()[f"{kind}s"][:2]:
                harmless(caller.get(f"/{kind}?{urlencode({'id': row[kind]}, errors='replace')}"), statuses=(200, 404))
    finally:
        caller.close()


@many(STORED)
@given(texts)
def test_stored_texts(tmp_path: Path, text: str) -> None:
    """A text that stands wherever one can in a trace is a text on each page."""
    home = tmp_path / str(next(_HOMES))
    home.mkdir()
    store = TraceStore(home / "traces.db")
    hostile(store, text)
    store.writer.close()
    _look(home, hides_content=len(text) % 7 == 3)


numbers = st.one_of(st.integers(), st.floats(), st.sampled_from((2**63, -(2**63), 2**64, 10**30, 1e308, -0.0, 5e-324)))
deep = st.integers(1, 1200).map(lambda depth: "[" * depth + "]" * depth)
wrong = st.one_of(numbers, st.none(), st.booleans(), st.binary(max_size=30), texts, deep, st.just("é" * 100_000))
texts_of_others = st.one_of(st.binary(max_size=30), texts, st.none(), st.just("é" * 100_000))
TEXTS = (
    *("parent_id", "name", "operation", "status", "provider", "model", "framework", "error_type", "session", "user"),
    *("environment", "service", "release", "target"),
)
NUMBERS = (
    *("root", "end_ns", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "ttft_ns"),
)
FEEDBACK = ("span_id", "type", "name", "value", "number", "comment", "source_type", "source", "metadata")


@many(DAMAGED)
@given(
    st.dictionaries(st.sampled_from(FEEDBACK), wrong, max_size=4),
    st.one_of(
        st.binary(max_size=60), deep.map(lambda text: payload.PLAIN + b'{"attributes": {"x": %s}}' % text.encode())
    ),
    st.dictionaries(st.sampled_from(TEXTS), texts_of_others, max_size=4),
    st.dictionaries(st.sampled_from(NUMBERS), st.one_of(st.integers(0, 2**63 - 1), st.none()), max_size=4),
)
def test_stored_damage(
    tmp_path: Path, given_: dict[str, Any], content: bytes, texts_: dict[str, Any], numbers_: dict[str, Any]
) -> None:
    """A database that somebody else has written into: bytes that are no text, numbers beyond all, another JSON."""
    home = tmp_path / str(next(_HOMES))
    home.mkdir()
    store = TraceStore(home / "traces.db")
    hostile(store, "x")
    store.writer.close()
    with closing(sqlite3.connect(home / "traces.db", isolation_level=None)) as connection:
        for table, changes in (("feedback", given_), ("spans", {**texts_, **numbers_})):
            for name, value in changes.items():
                _set(connection, f"UPDATE {table} SET {name} = ?", value)
        _set(connection, "UPDATE payloads SET content = ? WHERE id = 2", content)
    _look(home)


def _set(connection: sqlite3.Connection, sql: str, value: Any) -> None:
    if isinstance(value, bytes) and "payloads" not in sql:  # as a text that is none
        sql = sql.replace("?", "CAST(? AS TEXT)")
    if isinstance(value, str):
        value, sql = value.encode("utf-8", "surrogatepass"), sql.replace("= ?", "= CAST(? AS TEXT)")
    try:
        connection.execute(sql, (value,))
    except (sqlite3.IntegrityError, OverflowError):
        pass  # the table itself refuses it


@pytest.mark.parametrize("line", ["x" * 10_000_000, "<xss>" * 2_000_000, "é\u202e" * 3_000_000])
def test_long_lines(tmp_path: Path, line: str) -> None:
    """A line of 10 MB is cut, on each page and in each twin."""
    store = TraceStore(tmp_path / "traces.db")
    store.add(
        "a", start=NOW - 60, name=line[:100_000], status="error", message=line, attributes=chat(line, received=[])
    )
    store.writer.close()
    caller = Caller(site_of(tmp_path))
    for address in (*(f"/{name}" for name in NAVIGATION), *VIEWS):
        answer = caller.get(address)
        harmless(answer, statuses=(200,))
        # All of a span as JSON is all of it.
        assert len(answer.body) < 8_000_000 or "view=raw&full=1" in address, address
    caller.close()
