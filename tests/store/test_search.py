"""The index of words: what can be found, and how little can go wrong with what is asked."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotrace.errors import StoreError
from autotrace.store import search
from autotrace.store.reader import Reader
from autotrace.store.texts import LONGEST, texts
from autotrace.store.writer import Writer

from .conftest import RESOURCE, Store, chat, record

MARKS = ('"', "*", "AND", "NEAR(", "a:b", "^", "-", "\0", "é", "天")
TOOL = {"gen_ai.tool.call.arguments": '{"city": "Zürich\\n"}', "gen_ai.tool.call.result": "Sunny\\nwarm"}


def message(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"gen_ai.input.messages": json.dumps([{"role": role, "parts": list(parts)}])}


def body(attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"attributes": attributes, "message": None, "events": [], **more}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (body(chat("the question", "the answer")), ["the question", "the answer"]),
        (body(message({"type": "text", "content": "stand by"}, role="system")), []),
        (body(message({"type": "reasoning", "content": "hm"}, {"type": "blob", "content": "aGVsbG8="})), ["hm"]),
        (
            body(message({"type": "tool_call", "name": "weather", "arguments": {"a": ["x", 7, True, None]}})),
            ["weather", "x", "7"],
        ),
        (body(message({"type": "tool_call_response", "response": [{"text": "rain"}]})), ["rain"]),
        (body({"input.value": '{"q": "line\\none"}', "output.value": "plain"}), ["line\none", "plain"]),
        (body({"input.value": '{"broken\\'}), ['{"broken\\']),
        (body({"input.value": ["a", {"b": "c"}]}), ["a", "c"]),
        (body(TOOL), ["Zürich\n", "Sunny\\nwarm"]),
        (body({}, message="it failed"), ["it failed"]),
        (body({}, events=[{"name": "exception", "attributes": {"exception.message": "no luck"}}]), ["no luck"]),
        (body({"input.value": "same", "output.value": "same"}), ["same"]),
        (body({"input.value": "A" * 5000}), []),
        (body({"input.value": "a " * LONGEST}), [("a " * LONGEST)[:LONGEST]]),
        (body({"input.value": "天气 ok"}), [" 天  气  ok"]),
        (body({"gen_ai.input.messages": '[7, {"parts": [7]}, {"parts": 7}]', "gen_ai.output.messages": "[["}), []),
    ],
)
def test_texts(content: dict[str, Any], found: list[str]) -> None:
    """What was asked, answered, passed to tools or failed can be found; encoded data and instructions cannot."""
    assert texts(content) == found


def test_words_are_found(store: Store) -> None:
    """A trace is found by words of all of its spans together, whatever their capitals and accents."""
    store.write(record("a", "1", attributes=chat("Where is Ada Lovelace?", "In London.")))
    store.write(record("b", "1", attributes=chat("Another question")), record("b", "2", parent="1", attributes=TOOL))
    for query, found in {
        "lovelace": ["a"],
        "LONDON ada": ["a"],
        "ada question": [],
        "question sunny": ["b"],
        "zurich": ["b"],
        "love": [],
        "love*": ["a"],
        "lo*": ["a"],
        "*": [],
        "": [],
        '"ada" OR -- "': [],
        "where-is": ["a"],
    }.items():
        assert store.search(query) == found, query


def test_scripts_without_blanks(store: Store) -> None:
    """Chinese and its like are found by any of their characters."""
    store.write(
        record("a", attributes=chat("今天天气怎么样", "晴")), record("b", start=1, attributes=chat("こんにちは"))
    )
    assert store.search("天气") == ["a"]
    assert store.search("にち") == ["b"]
    assert store.search("雨") == []


def test_newest_first(store: Store) -> None:
    """The newest traces come first, no more than asked for, and filters hold."""
    for number, trace in enumerate("abcd"):
        store.write(record(trace, start=number, attributes=chat("common", **{"session.id": trace})))
    store.write(record("e", start=9, status="error", attributes=chat("common")))
    assert store.search("common") == ["e", "d", "c", "b", "a"]

    def found(**options: Any) -> list[str]:
        return [trace["trace_id"][0] for trace in store.traces(search="common", **options)]

    assert found(limit=2) == ["e", "d"]
    assert found(errors=True) == ["e"]
    assert found(session="b") == ["b"]
    assert found(since_ns=store.query("SELECT start_ns FROM spans WHERE trace_id LIKE 'd%'")[0][0]) == ["e", "d"]


def test_running_then_ended(store: Store) -> None:
    """A trace is found once it has ended or was interrupted, and by what it says in the end."""
    store.write(record(kind="S", attributes=chat("early")))
    assert store.search("early") == []
    store.write(record(kind="I", attributes=chat("early")))
    assert store.search("early") == ["a"]
    store.write(record(attributes=chat("early", "late")))
    assert store.search("early late") == ["a"]


def test_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is cut into parts by the spans' ids, and searched as one."""
    monkeypatch.setattr(search, "PART", 3)
    for number in range(10):
        store.write(record(str(number), start=number, attributes=chat("common", f"own{number}")))
    assert len(store.query("SELECT number FROM search_parts")) == 4
    assert store.search("common") == list("9876543210")
    assert store.search("own4") == ["4"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text() | st.lists(st.sampled_from(['"', "*", "AND", "NEAR(", "a:b", "^", "-", "\0", "é", "天"])).map(" ".join)
)
def test_any_query(store: Store, query: str) -> None:
    """Whatever is asked, words are searched and nothing fails."""
    store.write(record(attributes=chat("and or near é 天 a b")))
    assert store.search(query) in ([], ["a"])


@pytest.fixture
def no_fts5(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SQLite that was built without FTS5."""
    monkeypatch.setattr(search, "has_fts5", lambda connection: False)


def test_without_fts5(store: Store, no_fts5: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without FTS5 all is stored and counted, searching says why it cannot, and what was stored is indexed later."""
    for number in range(5):
        store.write(record(str(number), start=number, attributes=chat("word")))
    assert len(store.traces()) == 5
    assert store.query("SELECT * FROM unfilled") == [(1, 5, 1)]
    assert store.query("SELECT sum(spans) FROM rollups") == [(5,)]
    with pytest.raises(StoreError, match="FTS5"):
        store.search("word")


def test_missing_fts5_is_told_once(
    tmp_path: Path, no_fts5: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nothing is indexed is said once in a process."""
    from autotrace.store import writer

    writer._tell_once.cache_clear()
    with caplog.at_level(logging.WARNING, "autotrace"):
        for number in range(3):
            one = Writer(tmp_path / f"{number}.db")
            one.write([record(attributes=chat("x"))], RESOURCE)
            one.close()
    assert caplog.text.count("FTS5") == 1


def test_sqlite_tells_of_fts5() -> None:
    """Whether there is FTS5 is known from SQLite itself."""
    connection = sqlite3.connect(":memory:")
    options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    assert search.has_fts5(connection) == ("ENABLE_FTS5" in options)
    connection.close()


def test_older_store_without_index(store: Store) -> None:
    """A store that no newer autotrace has written yet has no index, which is told."""
    store.write(record(attributes=chat("word")))
    store.writer.close()
    connection = sqlite3.connect(store.path)
    connection.executescript("PRAGMA user_version = 1; DROP TABLE feedback; DROP TABLE updates; DROP TABLE shipped")
    connection.close()
    with Reader(store.path) as reader:
        assert reader.search("word") == []
        assert "autotrace prune" in reader.notes[0]
        assert reader.traces()[0].feedback == ()
        assert len(reader.records("a" * 32)[0].entries) == 1
