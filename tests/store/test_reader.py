"""What is read from a store: traces as wholes, newest first, without touching the file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from autotrace.errors import StoreCorrupt, StoreError, StoreTooNew
from autotrace.store import schema
from autotrace.store.reader import Reader
from autotrace.store.traces import in_tree_order

from .conftest import BEGAN, RESOURCE, SECOND, Store, chat, record


def test_summary_of_one_call(store: Store) -> None:
    """A single model call is a trace with its question, answer, figures and labels."""
    labels = {"session.id": "s", "user.id": "u", "autotrace.tags": '{"plan": "pro"}'}
    store.write(record(seconds=0.25, name="chat gpt-4o-mini", attributes=chat("hello?", "hi", **labels)))
    assert store.only() == {
        "trace_id": "a" * 32,
        "name": "chat gpt-4o-mini",
        "status": "ok",
        "start_time": "2026-05-28T20:26:40.000000Z",
        "duration_ms": 250.0,
        "input_tokens": 1000,
        "output_tokens": 100,
        "cost_usd": 0.00021,
        "session": "s",
        "user": "u",
        "environment": "production",
        "service": "shop",
        "release": None,
        "tags": {"plan": "pro"},
        "feedback": [],
        "request": "hello?",
        "response": "hi",
        "error": None,
        "error_count": 0,
        "span_count": 1,
    }


def test_newest_first_by_the_start_of_the_trace(store: Store) -> None:
    """A trace stands where it began, however late its last span started."""
    store.write(
        record("a", "1", start=0, seconds=90),
        record("a", "2", parent="1", start=80),
        record("b", "1", start=10),
        record("c", "1", start=20),
    )
    assert [trace["trace_id"][0] for trace in store.traces()] == ["c", "b", "a"]
    assert [trace["trace_id"][0] for trace in store.traces(limit=2)] == ["c", "b"]
    assert [trace["trace_id"][0] for trace in store.traces(limit=1)] == ["c"]


def test_since_counts_the_start_of_the_trace(store: Store) -> None:
    """A trace that began earlier is left out, even if one of its spans began later."""
    store.write(
        record("a", "1", start=0, seconds=90),
        record("a", "2", parent="1", start=80),
        record("b", "1", start=10),
    )
    assert [trace["trace_id"][0] for trace in store.traces(since_ns=BEGAN + 10 * SECOND)] == ["b"]


def test_errors_finds_what_failed_anywhere(store: Store) -> None:
    """A failed span counts even where the program caught the error; the trace keeps the root's own status."""
    failed = {"status": "error", "message": "no credit", "attributes": {"error.type": "RateLimitError"}}
    store.write(
        record("a", "1"),
        record("b", "1", start=1),
        record("b", "2", parent="1", start=2, **failed),
        record("c", "1", start=3, **failed),
    )
    found = store.traces(errors=True)
    assert [(trace["trace_id"][0], trace["status"], trace["error_count"]) for trace in found] == [
        ("c", "error", 1),
        ("b", "ok", 1),
    ]
    assert [trace["error"] for trace in found] == [{"type": "RateLimitError", "message": "no credit"}, None]


def test_error_message_of_the_exception_event(store: Store) -> None:
    """Without a status message the exception event tells what went wrong."""
    event = {
        "name": "exception",
        "time": BEGAN,
        "attributes": {"exception.type": "E", "exception.message": "m"},
    }
    store.write(record(status="error", events=[event]))
    assert store.only()["error"] == {"type": "E", "message": "m"}


def test_session_of_any_span(store: Store) -> None:
    """A session is found, and shown, where only an inner span carries it."""
    store.write(
        record("a", "1"),
        record("a", "2", parent="1", attributes={"session.id": "s"}),
        record("b", "1", attributes={"session.id": "t"}),
    )
    assert [(trace["trace_id"][0], trace["session"]) for trace in store.traces(session="s")] == [("a", "s")]
    assert store.traces(session="x") == []


def test_trace_without_its_root(store: Store) -> None:
    """A trace whose local root is missing still shows: its earliest span stands in."""
    store.write(record("a", "3", parent="2", start=2), record("a", "2", parent="1", start=1))
    found = store.only()
    assert (found["name"], found["span_count"]) == ("span 2", 2)


def test_several_local_roots(store: Store) -> None:
    """Forked children and remote parents make one trace, and the earliest root leads."""
    store.write(
        record("a", "3", parent="1", root=True, start=2),
        record("a", "1", start=1),
        record("a", "2", parent="9", start=0),
    )
    found = store.only()
    assert (found["name"], found["span_count"]) == ("span 1", 3)


def test_name_of_the_trace(store: Store) -> None:
    """`autotrace.trace.name` of the root renames the trace, that of another span does not."""
    store.write(
        record("a", "1", attributes={"autotrace.trace.name": "checkout"}),
        record("a", "2", parent="1", start=1, attributes={"autotrace.trace.name": "other"}),
    )
    assert store.only()["name"] == "checkout"


@pytest.mark.parametrize(("kind", "status"), [("S", "running"), ("I", "interrupted")])
def test_unfinished(store: Store, kind: str, status: str) -> None:
    """What has not ended has no duration, and its cost is unknown."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    store.write(record(kind=kind, attributes=attributes))
    found = store.only()
    assert (found["status"], found["duration_ms"], found["cost_usd"]) == (status, None, None)


def test_request_and_response_of_the_models(store: Store) -> None:
    """Where the root holds no content, the first model tells the question and the last one the answer."""
    store.write(
        record("a", "1", name="agent"),
        record("a", "2", parent="1", start=1, attributes=chat("weather?", "let me see")),
        record("a", "3", parent="1", start=2, attributes=chat("again", "sunny")),
    )
    found = store.only()
    assert (found["request"], found["response"]) == ("weather?", "sunny")


def test_request_of_a_function(store: Store) -> None:
    """A root that is no conversation shows its input and output values."""
    store.write(record(attributes={"input.value": '{"x": 1}', "output.value": "2"}))
    found = store.only()
    assert (found["request"], found["response"]) == ('{"x": 1}', "2")


def test_request_is_the_last_user_message(store: Store) -> None:
    """Earlier turns, tool results and what the model said are not the question."""
    turns = [
        {"role": "user", "parts": [{"type": "text", "content": "first"}]},
        {
            "role": "user",
            "parts": [{"type": "text", "content": "look"}, {"type": "blob", "modality": "image"}],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "r"}]},
    ]
    store.write(record(attributes={"gen_ai.input.messages": json.dumps(turns)}))
    assert store.only()["request"] == "look"


def test_request_that_is_only_an_image(store: Store) -> None:
    """A message without words is described."""
    part = {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "size": 12345,
        "sha256": "ab12" * 16,
    }
    turns = [{"role": "user", "parts": [part]}]
    store.write(record(attributes={"gen_ai.input.messages": json.dumps(turns)}))
    assert store.only()["request"] == "[image image/png 12 kB sha256:ab12…]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "3",
        '"x"',
        "[1, null, []]",
        '[{"parts": 3}]',
        '[{"role": 1, "parts": [{"type": []}]}]',
    ],
)
def test_messages_of_any_shape(store: Store, text: str) -> None:
    """Content that is no list of messages is passed over, never an error."""
    names = (
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "autotrace.tags",
    )
    store.write(record(attributes=dict.fromkeys(names, text)))
    found = store.only()
    assert (found["request"], found["tags"]) == (None, {})


def test_spans_of_a_trace(store: Store) -> None:
    """A trace in full lists its spans by start, and no key is missing."""
    link = {"trace_id": "f" * 32, "span_id": "f" * 16, "attributes": {}}
    event = {"name": "retry", "time": BEGAN + SECOND, "attributes": {"n": 1}}
    attributes = chat("q", "a", **{"gen_ai.response.time_to_first_chunk": 0.5, "x": [1, 2]})
    store.write(
        record("a", "2", parent="1", start=1, attributes=attributes, links=[link], events=[event]),
        record("a", "1", scope="autotrace", kind="S"),
    )
    first, second = store.show("a")["spans"]
    assert first.keys() == second.keys()
    assert (first["framework"], first["end_time"], first["cost_usd"], first["attributes"]) == (
        None,
        None,
        0.0,
        {},
    )
    assert second == {
        "trace_id": "a" * 32,
        "span_id": "2" * 16,
        "parent_id": "1" * 16,
        "name": "span 2",
        "operation": "chat",
        "status": "ok",
        "start_time": "2026-05-28T20:26:41.000000Z",
        "end_time": "2026-05-28T20:26:42.000000Z",
        "duration_ms": 1000.0,
        "time_to_first_chunk_ms": 500.0,
        "framework": "openai",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "tokens": {"input": 1000, "output": 100, "cache_read": None, "cache_write": None, "reasoning": None},
        "cost_usd": 0.00021,
        "error": None,
        "kind": "client",
        "attributes": attributes,
        "events": [{"name": "retry", "time": "2026-05-28T20:26:41.000000Z", "attributes": {"n": 1}}],
        "links": [link],
        "resource": RESOURCE,
    }


def test_tree_with_circles(store: Store) -> None:
    """Every span is shown once, even where parents form a circle or are missing."""
    store.write(
        record("a", "1"),
        record("a", "2", parent="1", start=2),
        record("a", "3", parent="1", start=1),
        record("a", "4", parent="2", start=3),
        record("a", "5", parent="6", start=4),
        record("a", "6", parent="5", start=5),
        record("a", "7", parent="7", start=6),
        record("a", "8", parent="f", start=7),
    )
    with Reader(store.path) as reader:
        trace = reader.trace("a" * 32)
        assert trace is not None
        drawn = [(depth, span.span_id[0]) for depth, span in in_tree_order(trace.spans)]
    assert drawn == [(0, "1"), (1, "3"), (1, "2"), (2, "4"), (0, "8"), (0, "5"), (1, "6"), (0, "7")]


def test_matches(store: Store) -> None:
    """A prefix finds ids in any case; what is not hexadecimal finds none."""
    store.write(record("a", "1"), record("b", "1"))
    with Reader(store.path) as reader:
        assert reader.matches("AAAA") == ["a" * 32]
        assert reader.matches("c") == reader.matches("") == reader.matches("a%") == reader.matches("g") == []
        assert reader.trace("c" * 32) is None


def test_reading_does_not_write(store: Store) -> None:
    """Reading leaves the file as it was, to the byte."""
    store.write(record())
    store.writer.close()
    before = store.path.read_bytes()
    store.traces()
    assert store.path.read_bytes() == before


def test_reads_while_a_writer_is_open(store: Store) -> None:
    """A reader sees what was committed last, while the writer goes on."""
    store.write(record("a", "1"))
    with Reader(store.path) as reader:
        assert len(reader.traces()) == 1
        store.write(record("b", "1"))
        assert len(reader.traces()) == 2


def test_newer_store(store: Store) -> None:
    """A store of a newer autotrace is refused by name, and left alone."""
    store.write(record())
    store.writer.close()
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreTooNew, match=r"999.*upgrade"):
        Reader(store.path)


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_no_database(tmp_path: Path, content: bytes) -> None:
    """A file that is no database is refused, and left alone."""
    path = tmp_path / "traces.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"traces\.db"):
        Reader(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("looked_at", ["version", "tables"])
def test_a_store_that_is_made_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: str
) -> None:
    """Is one of ours, whichever is looked at before it is made."""
    path = tmp_path / "traces.db"
    path.touch()
    version = schema.version

    def make() -> None:
        store = Store(path)
        store.write(record())
        store.writer.close()

    def looks(connection: sqlite3.Connection) -> int:
        monkeypatch.setattr(schema, "version", version)
        if looked_at == "tables":
            make()
        found = version(connection)
        if looked_at == "version":
            make()
        return found

    monkeypatch.setattr(schema, "version", looks)
    with Reader(path) as reader:
        assert reader.notes == []
    with Reader(path) as reader:
        assert len(reader.traces(10)) == 1


def test_database_of_somebody_else(tmp_path: Path) -> None:
    """Another program's database is refused."""
    path = tmp_path / "traces.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE spans (x)")
    connection.close()
    with pytest.raises(StoreCorrupt, match="not one of autotrace's"):
        Reader(path)


def test_damaged_pages(store: Store) -> None:
    """Damage that shows up only while reading is told as such."""
    store.write(*[record("a", digit, attributes={"input.value": os.urandom(4000).hex()}) for digit in "123456789"])
    store.writer.close()
    content = bytearray(store.path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    store.path.write_bytes(content)
    with pytest.raises(StoreCorrupt), Reader(store.path) as reader:
        reader.trace("a" * 32)


def test_damaged_payload(store: Store) -> None:
    """One damaged payload hides nothing else, and is told."""
    store.write(record("a", "1"), record("b", "1", start=1))
    store.writer.close()
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE payloads SET content = x'01ffff' WHERE id = 1")
    connection.close()
    with Reader(store.path) as reader:
        assert [trace.name for trace in reader.traces()] == ["span 1", "span 1"]
        assert len(reader.notes) == 1


def test_empty_file(tmp_path: Path) -> None:
    """A store that is just being made holds no traces."""
    path = tmp_path / "traces.db"
    path.touch()
    with Reader(path) as reader:
        assert reader.traces() == reader.matches("aaaa") == []


def test_missing_file(tmp_path: Path) -> None:
    """A store that is not there is an error of ours, and none is made."""
    with pytest.raises(StoreError, match=r"traces\.db"):
        Reader(tmp_path / "traces.db")
    assert list(tmp_path.iterdir()) == []


def test_strange_path(tmp_path: Path) -> None:
    """A folder's name may hold what means something in an address."""
    store = Store(tmp_path / "a b?c#d%20é" / "traces.db")
    store.write(record())
    assert len(store.traces()) == 1
    store.writer.close()


@pytest.mark.parametrize("log", [False, True])
def test_read_only_folder(log: bool) -> None:
    """A store in a folder that may not be written to can be read; a log that cannot be is told."""
    folder = Path(tempfile.mkdtemp())  # not tmp_path: another user must be able to reach it
    try:
        store = Store(folder / "traces.db")
        store.write(record("a", "1"))
        store.writer.close()
        if log:
            Path(f"{store.path}-wal").write_bytes(b"\0" * 100)
        store.path.chmod(0o644)
        folder.chmod(0o555)
        became_nobody = os.geteuid() == 0  # root may write anywhere
        if became_nobody:
            os.seteuid(65534)
        try:
            with Reader(store.path) as reader:
                found, notes = len(reader.traces()), reader.notes
        finally:
            if became_nobody:
                os.seteuid(0)
        assert (found, len(notes)) == (1, int(log))
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
