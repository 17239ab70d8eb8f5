"""The store's write side."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrace.delivery.destinations import Record
from autotrace.errors import StoreError, StoreTooNew
from autotrace.store import payload, schema
from autotrace.store.writer import Writer

RESOURCE = {"service.name": "shop", "service.version": "1.2", "deployment.environment.name": "production"}


def record(kind: str, span: int, trace: int = 1, **changes: Any) -> Record:
    body = {
        "parent_id": None,
        "root": True,
        "name": f"span {span}",
        "kind": "client",
        "start": 1000,
        "end": 2000 if kind == "E" else None,
        "status": "unset",
        "message": None,
        "scope": "autotrace.plugins.openai",
        "scope_version": "0.1",
        "attributes": {},
        "events": [],
        "links": [],
        **changes,
    }
    return Record(kind, f"{trace:032x}", f"{span:016x}", body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "traces.db"


@pytest.fixture
def writer(path):
    writer = Writer(path)
    yield writer
    writer.close()


@pytest.fixture
def query(path):
    def run(sql: str) -> list[Any]:
        connection = sqlite3.connect(path)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    return run


def test_columns(writer, query, path):
    """Every column is filled from the span and its resource."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt",
        "gen_ai.response.model": "gpt-2026",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.cache_write.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "session.id": "s",
        "user.id": "u",
    }
    writer.write([record("E", 2, parent_id="0" * 15 + "1", root=False, attributes=attributes)], RESOURCE)
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM spans").fetchone())
    connection.close()
    assert row == {
        "id": 1,
        "trace_id": "0" * 31 + "1",
        "span_id": "0" * 15 + "2",
        "parent_id": "0" * 15 + "1",
        "root": 0,
        "name": "span 2",
        "operation": "chat",
        "status": "ok",
        "start_ns": 1000,
        "end_ns": 2000,
        "provider": "openai",
        "model": "gpt-2026",
        "framework": "openai",
        "error_type": None,
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_tokens": 3,
        "cache_write_tokens": 4,
        "reasoning_tokens": 5,
        "ttft_ns": 250_000_000,
        "session": "s",
        "user": "u",
        "environment": "production",
        "service": "shop",
        "release": "1.2",
        "target": None,
    }
    [(content,)] = query("SELECT content FROM payloads WHERE id = 1")
    assert payload.decode(content) == {
        "name": "span 2",
        "status": "unset",
        "kind": "client",
        "message": None,
        "scope": "autotrace.plugins.openai",
        "scope_version": "0.1",
        "attributes": attributes,
        "events": [],
        "links": [],
        "resource": RESOURCE,
    }


@pytest.mark.parametrize(
    ("kind", "changes", "status", "error_type"),
    [
        ("S", {}, "running", None),
        ("I", {}, "interrupted", None),
        ("E", {}, "ok", None),
        ("E", {"status": "ok"}, "ok", None),
        ("E", {"attributes": {"autotrace.outcome": "abandoned"}}, "abandoned", None),
        ("E", {"status": "error", "attributes": {"autotrace.outcome": "closed", "error.type": "T"}}, "error", "T"),
        (
            "E",
            {"status": "error", "events": [{"name": "exception", "attributes": {"exception.type": "V"}}]},
            "error",
            "V",
        ),
    ],
)
def test_status(writer, query, kind, changes, status, error_type):
    """The status is the error, else the outcome, else ok; running and interrupted come from the journal."""
    writer.write([record(kind, 1, **changes)], {})
    assert query("SELECT status, error_type FROM spans") == [(status, error_type)]


def test_manual_and_renamed(writer, query):
    """A manual span has no framework; a trace's name stands on its root alone."""
    renamed = {"autotrace.trace.name": "checkout"}
    writer.write([record("E", 1, scope="autotrace", attributes=renamed)], {})
    writer.write([record("E", 2, root=False, attributes=renamed)], {})
    assert query("SELECT name, framework FROM spans") == [("checkout", None), ("span 2", "openai")]


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ("SE", "ok"),
        ("SI", "interrupted"),
        ("SIE", "ok"),
        ("SIS", "interrupted"),
        ("ES", "ok"),
        ("EI", "ok"),
        ("EE", "ok"),
        ("ISE", "ok"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_upsert(writer, query, kinds, status, together):
    """An end is never overwritten, whatever comes after it; it overwrites what came before. The id stays."""
    records = [record(kind, 1) for kind in kinds]
    writer.write([record("E", 5)], {})
    for batch in [records] if together else [[each] for each in records]:
        writer.write(batch, {})
    writer.write([record("E", 6)], {})
    assert query("SELECT id, status FROM spans") == [(1, "ok"), (2, status), (3, "ok")]
    assert query("SELECT id FROM payloads") == [(1,), (2,), (3,)]


@pytest.mark.parametrize("count", [1, 7, 8, 24, 25, 31, 97, 100, 128, 129, 300])
def test_any_number_of_spans(writer, query, count):
    """However many spans come at once, each is stored once, with its own content, and again when it has ended."""
    for kind in "SE":
        writer.write([record(kind, span, attributes={"number": span}) for span in range(1, count + 1)], {})
    rows = query("SELECT spans.id, name, status, content FROM spans JOIN payloads USING (id) ORDER BY id")
    assert [row[:3] for row in rows] == [(span, f"span {span}", "ok") for span in range(1, count + 1)]
    assert [payload.decode(row[3])["attributes"]["number"] for row in rows] == list(range(1, count + 1))
    assert query("SELECT count(*) FROM payloads") == [(count,)]


def test_first_end_stays(writer, query):
    """A span that is delivered again is stored once, as it was the first time."""
    writer.write([record("E", 1, name="first")], {})
    writer.write([record("E", 1, name="again"), record("E", 2, name="new")], {})
    assert query("SELECT id, name FROM spans") == [(1, "first"), (2, "new")]


@pytest.mark.parametrize("size", [0, 400, 600, 9000, 100_000])
def test_payloads(size):
    """A payload is read as it was written; it is compressed where that pays."""
    content = {"attributes": {"text": "some words " * (size // 11)}}
    blob = payload.encode(content)
    assert payload.decode(blob) == content
    compressed = size > payload.COMPRESS_ABOVE
    assert blob[0] == compressed
    assert len(blob) < (500 + size // 20 if compressed else 40 + size)


@pytest.mark.parametrize("blob", [b"", b"\x02{}", b"\x01broken", b"\x00{"])
def test_damaged_payloads(blob):
    """A damaged payload is a ValueError."""
    with pytest.raises(ValueError):
        payload.decode(blob)


def test_values_of_the_wrong_type(writer, query):
    """What a column cannot hold becomes null or text; a record that is no span is left out and counted."""
    odd = {"gen_ai.usage.input_tokens": "many", "gen_ai.usage.output_tokens": 2**63, "session.id": 7}
    odd["gen_ai.response.time_to_first_chunk"] = "soon"
    odd["gen_ai.usage.cache_read.input_tokens"] = True
    writer.write([record("E", 1, attributes=odd), record("E", 2, start=None), record("E", 3, attributes=None)], {})
    columns = "span_id, input_tokens, output_tokens, cache_read_tokens, ttft_ns, session"
    assert query(f"SELECT {columns} FROM spans") == [("0" * 15 + "1", None, None, None, None, "7")]
    assert writer.rejected == 2


def test_newer_store(writer, path, query):
    """A store of a newer autotrace is refused and left as it is."""
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="newer autotrace"):
        writer.write([record("E", 1)], {})
    assert path.read_bytes() == before


def aside(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if ".corrupt-" in p.name)


def test_no_database(writer, path, query, caplog):
    """A file that is no database is put aside whole, said once, and a new store is begun."""
    path.parent.mkdir()
    garbage = os.urandom(8192)
    path.write_bytes(garbage)
    Path(f"{path}-wal").write_bytes(b"wal")
    with caplog.at_level(logging.ERROR, "autotrace"):
        writer.write([record("E", 1)], {})
        writer.write([record("E", 2)], {})
    assert query("SELECT count(*) FROM spans") == [(2,)]
    [store] = [name for name in aside(path) if not name.endswith(("-wal", "-shm"))]
    assert path.with_name(store).read_bytes() == garbage
    assert path.with_name(store + "-wal").read_bytes() == b"wal"
    assert caplog.text.count("is damaged") == 1
    assert store in caplog.text


def test_nothing_is_overwritten(path):
    """Two damaged stores within a second are both kept."""
    path.parent.mkdir()
    for number in range(3):
        path.write_bytes(b"no database %d" % number * 500)
        writer = Writer(path)
        writer.write([record("E", 1)], {})
        writer.close()
        for suffix in ("-wal", "-shm"):
            assert not Path(f"{path}{suffix}").exists()
    contents = {path.with_name(name).read_bytes() for name in aside(path)}
    assert contents == {b"no database %d" % number * 500 for number in range(3)}


def test_damaged_while_open(writer, path, query):
    """A store that is damaged under the writer's hands is put aside too; the batch is not lost."""
    for number in range(50):
        writer.write([record("E", number, attributes={"x": os.urandom(3000).hex()})], {})
    writer.close()
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = os.urandom(100)
    path.write_bytes(content)
    writer.write([record("E", 100)], {})
    assert query("SELECT name FROM spans") == [("span 100",)]
    assert path.with_name(aside(path)[0]).stat().st_size == len(content)


def test_store_is_deleted_while_open(writer, path, query):
    """When somebody deletes the store, a new one is made."""
    writer.write([record("E", 1)], {})
    shutil.rmtree(path.parent)
    writer.write([record("E", 2)], {})
    assert query("SELECT name FROM spans") == [("span 2",)]


def test_impossible_path(tmp_path):
    """A store that cannot be made is a StoreError."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        Writer(tmp_path / "file" / "traces.db").write([record("E", 1)], {})


def test_locked_store_rolls_back(writer, path, query, monkeypatch):
    """While another program holds the store the writer gives up in the end, and works when it is free."""
    monkeypatch.setattr("autotrace.store.opening.BUSY_TIMEOUT_S", 0.05)
    writer.write([record("E", 1)], {})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        writer.write([record("E", 2)], {})
    other.execute("ROLLBACK")
    other.close()
    writer.write([record("E", 2)], {})
    assert query("SELECT count(*) FROM spans") == [(2,)]


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_permissions(writer, path, umask):
    """The home is 0700 and the store 0600 whatever the umask."""
    before = os.umask(umask)
    try:
        writer.write([record("E", 1)], {})
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [path.parent, *path.parent.iterdir()]}
    finally:
        os.umask(before)
    assert modes.pop("home") == 0o700
    assert modes == dict.fromkeys(["traces.db", "traces.db-wal", "traces.db-shm", ".gitignore"], 0o600)


def test_processes_begin_one_store(path):
    """Several processes that write at once, the first time too, store everything."""
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from autotrace.store.writer import Writer
from autotrace.delivery.destinations import Record
writer = Writer(Path({str(path)!r}))
trace = sys.argv[1]
body = dict(parent_id=None, root=True, name="x", kind="client", start=1, end=2, status="ok", message=None,
            scope=None, scope_version=None, attributes={{}}, events=[], links=[])
for span in range(50):
    writer.write([Record("E", trace * 32, f"{{span:016x}}", body)], {{}})
writer.close()
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(4)]
    assert [process.wait(100) for process in processes] == [0] * 4
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT trace_id, count(*) FROM spans GROUP BY 1").fetchall() == [
        (str(number) * 32, 50) for number in range(4)
    ]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    connection.close()


def test_the_lists_use_indexes(writer, query):
    """The newest traces, a trace, and a session are found without reading the whole table."""
    writer.write([record("E", 1)], {})
    for sql in (
        "SELECT * FROM spans WHERE root = 1 ORDER BY start_ns DESC LIMIT 20",
        "SELECT * FROM spans WHERE trace_id = 'x'",
        "SELECT * FROM spans WHERE session = 'x'",
    ):
        [plan] = [row[3] for row in query(f"EXPLAIN QUERY PLAN {sql}")]
        assert "INDEX" in plan, (sql, plan)
        assert "TEMP B-TREE" not in plan
