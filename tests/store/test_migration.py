"""A store of the first schema becomes one of the second, its content indexed and counted afterwards, bit by bit."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing

import pytest

from autotrace.store import filling, payload, rows, schema, search
from autotrace.store.filling import fill
from autotrace.store.upkeep import Upkeep
from autotrace.store.writer import Writer

from .conftest import RESOURCE, Store, chat, record, update

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather", "gen_ai.tool.call.result": "sunny"}
RECORDS = (
    record("a", "1", name="first", attributes=chat("hello there", "hi", **{"autotrace.trace.name": "named"})),
    record("a", "2", parent="1", attributes=TOOL),
    record("b", "1", status="error", message="broken", start=1),
    record("c", "1", kind="S", start=2, attributes=chat("still at it")),
    record("d", "1", kind="I", start=3, attributes=chat("killed")),
)


@pytest.fixture
def old(store: Store) -> Store:
    """A store as the first schema's writer left it."""
    sink = rows.Sink(RESOURCE)
    store.path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in schema.MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        for number, row in enumerate(sink.rows(RECORDS).values(), 1):
            values = row.values[: rows.COLUMNS.index("target")]
            content = payload.decode(row.payload)
            del content["name"], content["status"]
            marks = ", ".join("?" * (len(values) + 1))
            connection.execute(f"INSERT INTO spans VALUES ({marks})", (number, *values))
            connection.execute("INSERT INTO payloads VALUES (?, ?)", (number, payload.encode(content)))
    return store


def finish(store: Store) -> None:
    store.writer.work(lambda connection: fill(connection, store.writer.index(connection), math.inf))


def test_old_store_is_read_as_it_was(old: Store) -> None:
    """What an older store holds is shown before and after it has been brought to the newest schema."""
    before = old.show("a"), old.traces()
    old.write(update("f"))
    assert old.query("PRAGMA user_version") == [(schema.VERSION,)]
    finish(old)
    assert (old.show("a"), old.traces()) == before
    assert before[0]["name"] == "named"


def test_migration_reads_no_content(old: Store) -> None:
    """The step itself neither reads the content nor counts the spans: that is noted, to be done later."""
    old.write(record("e", start=9, attributes=chat("new")))
    assert old.query("SELECT * FROM unfilled") == [(1, 5, 0)]
    assert old.query("SELECT sum(spans) FROM rollups") == [(1,)]
    assert (old.search("new"), old.search("hello")) == (["e"], [])


@pytest.mark.parametrize("step", [1, 2, 100])
def test_filling(old: Store, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards everything is found and counted as if it had been from the start, however small the steps."""
    monkeypatch.setattr(filling, "STEP", step)
    finish(old)
    assert old.query("SELECT * FROM unfilled") == []
    assert [old.search(word) for word in ("hello", "sunny", "broken", "killed", "still")] == [
        ["a"],
        ["a"],
        ["b"],
        ["d"],
        [],
    ]
    assert old.query("SELECT target FROM spans ORDER BY id") == [(None,), ("weather",), (None,), (None,), (None,)]
    new = Store(old.path.with_name("new.db"))
    new.write(*RECORDS)
    columns = "hour, spans, traces, errors, input_tokens, duration_ns, latency, operation, target, status"
    everything = f"SELECT {columns} FROM rollups JOIN dimensions ON dimension = id ORDER BY {columns}"
    assert old.query(everything) == new.query(everything)
    new.writer.close()


def test_spans_that_end_before_they_are_counted(old: Store) -> None:
    """Spans of the older store that end, come again, or are counted alone meanwhile count once, too."""
    ended = [record("c", "1", start=2, attributes=chat("done at last")), record("d", "1", start=3)]
    old.write(*ended, RECORDS[0])
    old.writer.count([*ended, RECORDS[2]], RESOURCE)
    assert old.query("SELECT sum(spans) FROM rollups") == [(None,)]
    finish(old)
    assert old.query("SELECT sum(spans), sum(errors) FROM rollups") == [(5, 1)]
    assert old.search("last") == ["c"]
    old.writer.count(ended, RESOURCE)
    assert old.query("SELECT sum(spans) FROM rollups") == [(5,)]


def test_spans_that_are_counted_alone_before_they_are_filled(old: Store) -> None:
    """A span that sampling leaves out after its start was kept counts as what it became."""
    old.writer.count([record("c", "1", start=2), record("d", "1", start=3)], RESOURCE)
    finish(old)
    sql = "SELECT status, sum(spans) FROM rollups JOIN dimensions ON dimension = id GROUP BY 1 ORDER BY 1"
    assert old.query(sql) == [("error", 1), ("ok", 4)]


def test_without_fts5_only_figures_are_filled(old: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without FTS5 the figures are filled, and the words are left to who has it."""
    with monkeypatch.context() as patch:
        patch.setattr(search, "has_fts5", lambda connection: False)
        finish(old)
        assert old.query("SELECT sum(spans) FROM rollups") == [(4,)]
        assert old.query("SELECT sum(last_id - first_id + 1), max(counted) FROM unfilled") == [(5, 1)]
        old.writer.close()
    finish(old)
    assert old.query("SELECT * FROM unfilled") == []
    assert old.search("hello") == ["a"]
    assert old.query("SELECT sum(spans) FROM rollups") == [(4,)]


def test_damaged_content(old: Store) -> None:
    """A span whose content is damaged is counted; nothing else suffers."""
    with closing(sqlite3.connect(old.path, isolation_level=None)) as connection:
        connection.execute("UPDATE payloads SET content = x'07' WHERE id = 1")
        connection.execute("DELETE FROM payloads WHERE id = 3")
    finish(old)
    assert old.query("SELECT sum(spans) FROM rollups") == [(4,)]
    assert old.search("sunny") == ["a"]


def test_time_is_bounded(old: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filling stops when its time is over, and says that something is left."""
    monkeypatch.setattr(filling, "STEP", 1)
    calls = 0
    while old.writer.work(lambda open_: fill(open_, old.writer.index(open_), time.monotonic())):
        calls += 1
    assert calls == 5


def test_upkeep_fills(old: Store) -> None:
    """The drainer's upkeep does it by itself."""
    Upkeep(old.writer).tidy()
    assert old.search("hello") == ["a"]


def test_new_files_can_shrink(store: Store) -> None:
    """A new store is made so that its file can become smaller."""
    store.write(record())
    assert store.query("PRAGMA auto_vacuum") == [(2,)]
    assert store.query("PRAGMA journal_mode") == [("wal",)]
    assert isinstance(store.writer, Writer)
