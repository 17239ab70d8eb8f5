"""Old traces go, whole and oldest first; what they took on the disk is given back, and writers go on."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autotrace.delivery.destinations import Record
from autotrace.store import retention, search
from autotrace.store.retention import Limits, Pruned, Pruning
from autotrace.store.upkeep import Upkeep
from autotrace.store.writer import Writer

from .conftest import BEGAN, RESOURCE, SECOND, Store, chat, feedback, record, update


def prune(store: Store, days: float | None = None, size: int | None = None, deadline: float = math.inf) -> Pruned:
    """Deletes what is older than so many seconds after BEGAN, or more than so much."""
    before = None if days is None else BEGAN + round(days * SECOND)
    limits = Limits(before, size)
    return store.writer.work(lambda connection: Pruning(connection, store.path, 0).prune(limits, deadline))


def forecast(store: Store, days: float | None = None, size: int | None = None) -> Pruned:
    before = None if days is None else BEGAN + round(days * SECOND)
    return store.writer.work(lambda open_: Pruning(open_, store.path, 0).forecast(Limits(before, size)))


def ids(store: Store) -> str:
    return "".join(trace["trace_id"][0] for trace in store.traces())


def big(trace: str, start: int) -> Record:
    return record(trace, start=start, attributes={"input.value": os.urandom(50_000).hex()})


def test_by_age(store: Store) -> None:
    """Traces whose last work is older go with all that belongs to them; the figures stay."""
    store.write(record("a", "1", seconds=5), record("a", "2", parent="1", start=1), feedback("a"), update("a"))
    store.write(record("b", "1", start=2, seconds=50), record("c", "1", start=3), record("c", "2", "1", start=40))
    store.write(record("d", start=20), feedback("d", id_="2"))
    assert forecast(store, days=20).traces == 1
    done = prune(store, days=20)
    assert (done.traces, done.spans, done.feedback, done.is_done) == (1, 2, 1, True)
    assert sorted(ids(store)) == ["b", "c", "d"]
    left = [store.query(f"SELECT count(*) FROM {name}")[0][0] for name in ("spans", "payloads", "feedback", "updates")]
    assert left == [4, 4, 1, 0]
    assert store.query("SELECT sum(spans), sum(traces) FROM rollups") == [(6, 4)]


def test_strays(store: Store) -> None:
    """Old feedback and updates whose traces are not here go, too; newer ones wait for their traces."""
    store.write(feedback("a", time=1), update("a", time=1), feedback("b", id_="2", time=9), update("b", time=9))
    prune(store, days=5)
    assert store.query("SELECT trace_id FROM feedback UNION ALL SELECT trace_id FROM updates") == [("b" * 32,)] * 2


def test_by_size(store: Store) -> None:
    """The oldest go until the store takes no more than it may, and its file shrinks."""
    for number, trace in enumerate("0123456789"):
        store.write(big(trace, start=number))
    store.writer.close()
    before = store.path.stat().st_size
    assert before > 500_000
    assert forecast(store, size=before // 2).traces in (4, 5, 6)
    done = prune(store, size=before // 2)
    assert done.is_done
    assert done.bytes_left == store.path.stat().st_size <= before // 2
    assert ids(store) == "9876543210"[: len(ids(store))]
    assert len(ids(store)) in (4, 5)


def test_size_that_cannot_be(store: Store) -> None:
    """A limit that even an empty store passes is not kept, and that is said."""
    store.write(record("a"))
    done = prune(store, size=1000)
    assert (done.traces, done.is_done) == (1, False)


def test_nothing_to_do(store: Store) -> None:
    """Without limits nothing goes."""
    store.write(record("a"))
    assert (prune(store).traces, ids(store)) == (0, "a")


def test_traces_larger_than_a_step(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace of many spans goes in several transactions, its root last, whole in the end."""
    monkeypatch.setattr(retention, "_SPANS", 10)
    monkeypatch.setattr(retention, "STEP_S", 0.0)
    seen = []

    whole = [record("a", "1")]
    whole += [Record("E", "a" * 32, f"{number:016x}", record("a", parent="1").body) for number in range(2, 40)]
    store.writer.write(whole, RESOURCE)
    store.writer.work(lambda open_: open_.set_trace_callback(seen.append))
    done = prune(store, days=99)
    assert (done.traces, done.spans) == (1, 39)
    assert sum("COMMIT" in statement for statement in seen) >= 4
    assert store.query("SELECT count(*) FROM spans") == [(0,)]


def test_time_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over, what is left stays for the next time."""
    monkeypatch.setattr(retention, "STEP_S", 0.0)
    for number, trace in enumerate("abc"):
        store.write(record(trace, start=number))
    assert not prune(store, days=99, deadline=time.monotonic()).is_done
    while not prune(store, days=99, deadline=time.monotonic() + 60).is_done:
        pass
    assert ids(store) == ""


def test_index_goes_with_the_spans(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of a trace that is gone lead nowhere; a part of the index goes when no span of it is left."""
    monkeypatch.setattr(search, "PART", 4)
    for number, trace in enumerate("0123456789"):
        store.write(record(trace, start=number, attributes=chat("common")))
    assert store.query("SELECT number FROM search_parts") == [(0,), (1,), (2,)]
    prune(store, days=5.5)
    assert store.search("common") == list("98765")
    assert store.query("SELECT number FROM search_parts") == [(1,), (2,)]
    assert store.query("SELECT count(*) FROM sqlite_master WHERE name LIKE 'search_0%'") == [(0,)]


def test_ids_are_never_given_again(store: Store) -> None:
    """What is stored after the newest spans have gone is not found by their words."""
    store.write(record("a", attributes=chat("old")))
    prune(store, days=99)
    store.write(record("b", attributes=chat("new")))
    assert store.query("SELECT id FROM spans") == [(2,)]
    assert (store.search("old"), store.search("new")) == ([], ["b"])


def test_counted_spans_are_forgotten(store: Store) -> None:
    """What keeps counted spans from counting twice goes after some days, when nothing delivers them any more."""
    now = record("b", start=(time.time_ns() - BEGAN) // SECOND)
    store.writer.count([record("a"), now], RESOURCE)
    prune(store)
    assert store.query("SELECT count(*) FROM counted") == [(1,)]
    store.writer.count([now], RESOURCE)
    assert store.query("SELECT sum(spans) FROM rollups") == [(2,)]


def older(store: Store) -> None:
    """The same store in a file that cannot shrink, as older releases made it."""
    store.writer.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    connection.close()


def test_older_file(store: Store) -> None:
    """A file that cannot shrink keeps its size, which is said, until it is written anew; its room is used again."""
    for number, trace in enumerate("abcd"):
        store.write(big(trace, start=number))
    older(store)
    size = store.path.stat().st_size
    done = prune(store, size=size // 2)
    assert (done.is_shrinkable, done.is_done, done.traces >= 2) == (False, True, True)
    assert store.path.stat().st_size == size
    store.writer.work(lambda connection: Pruning(connection, store.path).vacuum())
    assert store.path.stat().st_size < size // 2
    assert prune(store).is_shrinkable


WRITER = """
import json, sys
from pathlib import Path
from autotrace.delivery.destinations import Record
from autotrace.store.writer import Writer
writer, body = Writer(Path(sys.argv[1])), json.loads(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(300):
    writer.write([Record("E", f"{number:032x}", "1" * 16, body)], {})
writer.close()
"""


def test_while_another_writes(store: Store) -> None:
    """A writer in another process goes on while old traces are deleted; neither loses anything of the other's."""
    for number in range(40):
        body = record(start=number / 100, attributes=chat("old " * 500)).body
        store.writer.write([Record("E", f"f{number:031x}", f"{s:016x}", body) for s in range(1, 20)], RESOURCE)
    body = record(start=1000, attributes=chat("again " * 50)).body
    command = [sys.executable, "-c", WRITER, str(store.path), json.dumps(body)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        done = prune(store, days=500)
        assert process.wait(100) == 0
    assert (done.traces, done.spans) == (40, 760)
    assert store.query("SELECT count(*) FROM spans") == [(300,)]
    assert store.query("SELECT sum(spans) FROM rollups") == [(1060,)]
    assert store.query("PRAGMA integrity_check") == [("ok",)]
    assert len(store.search("again")) == 20


def test_upkeep(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drainer's upkeep deletes what is too old, and does nothing again before it is time."""
    store.write(record("a"), record("b", start=(time.time_ns() - BEGAN) // SECOND))
    upkeep = Upkeep(store.writer, age=3600.0)
    upkeep.tidy()
    assert ids(store) == "b"
    store.write(record("c"))
    upkeep.tidy()
    assert sorted(ids(store)) == ["b", "c"]
    upkeep._due = 0.0
    upkeep.tidy()
    assert ids(store) == "b"


def test_upkeep_makes_no_store(tmp_path: Path) -> None:
    """Where there is no store there is nothing to keep."""
    Upkeep(Writer(tmp_path / "home" / "traces.db"), size=1).tidy()
    assert not (tmp_path / "home").exists()
