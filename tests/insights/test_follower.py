"""The follower: what is in the store is in insights.db, once, as it is now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autotrace.insights import follower, opening
from autotrace.insights.opening import opened
from tests.store.conftest import SECOND, Store, chat, feedback, record, update


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in a home of its own."""
    found = Store(tmp_path / "traces.db")
    yield found
    found.writer.close()


def rows(store: Store, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """What insights.db answers, brought up to date before."""
    with opened(store.path.parent) as insights:
        return insights.rows(sql, values)


def names(store: Store, column: str) -> list[str | None]:
    """A named column of all traces, earliest first."""
    sql = f"SELECT n.text FROM traces AS t LEFT JOIN names AS n ON n.id = t.{column} ORDER BY t.id"
    return [row[0] for row in rows(store, sql)]


def test_every_trace_is_there_once_with_its_figures(store: Store) -> None:
    """What is in the store is taken in, newest and oldest alike."""
    for number, trace in enumerate("abc"):
        store.write(record(trace, "1", start=number), record(trace, "2", "1", number, attributes=chat("hi", "yo")))
    columns = "trace_id, spans, model_calls, input_tokens, output_tokens, duration_ns"
    found = rows(store, f"SELECT {columns} FROM traces ORDER BY id")
    assert found == [(trace * 32, 2, 1, 1000, 100, SECOND) for trace in "abc"]
    assert rows(store, "SELECT count(*) FROM traces") == [(3,)]


def test_what_comes_later_takes_the_place_of_what_was_there(store: Store) -> None:
    """A trace that grows, and a span that ends after all, are one row with the newest figures."""
    store.write(record("a", "1", kind="S"))
    assert names(store, "status") == ["running"]
    store.write(record("a", "2", "1", attributes=chat("hi", "yo")))
    assert rows(store, "SELECT spans FROM traces") == [(2,)]
    store.write(record("a", "1", seconds=3))
    assert names(store, "status") == ["ok"]
    assert rows(store, "SELECT duration_ns FROM traces") == [(3 * SECOND,)]


def test_a_run_that_was_killed_counts_as_failed(store: Store) -> None:
    """Interrupted is a failure of its own kind, until the span has ended after all."""
    store.write(record("a", "1", kind="I", seconds=None))
    assert rows(store, "SELECT failed FROM traces") == [(1,)]
    assert rows(store, "SELECT kind FROM failures JOIN failure_groups ON id = failure") == [("interrupted",)]


def test_feedback_is_there_and_changes(store: Store) -> None:
    """A later word of the same verdict takes the place of the earlier one, also when it is about long ago."""
    store.write(record("a", "1"))
    store.write(feedback("a", value=True))
    assert rows(store, "SELECT up, down FROM traces") == [(1, 0)]
    store.write(feedback("a", value=False, time=6, comment="wrong"))
    assert rows(store, "SELECT up, down FROM traces") == [(0, 1)]
    assert rows(store, "SELECT comment, value FROM feedback") == [("wrong", "false")]


def test_feedback_that_comes_before_its_trace_counts(store: Store) -> None:
    """It waits in the store until the trace is there."""
    store.write(feedback("a", value=False))
    assert rows(store, "SELECT count(*) FROM traces") == [(0,)]
    store.write(record("a", "1"))
    assert rows(store, "SELECT down FROM traces") == [(1,)]


def test_what_is_said_of_a_trace_later_holds(store: Store) -> None:
    """An update moves a trace to another session, and gives it a user and tags."""
    store.write(record("a", "1", attributes={"session.id": "first"}))
    assert names(store, "session") == ["first"]
    store.write(update("a", session="second", user="ann", tags={"tenant": "acme"}))
    assert names(store, "session") == ["second"]
    assert names(store, "user") == ["ann"]
    assert rows(store, "SELECT text FROM tags JOIN names ON id = tag") == [("tenant=acme",)]


def test_what_was_pruned_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces that the store has deleted are deleted here too."""
    monkeypatch.setattr(follower, "_SWEEP_S", 0.0)
    store.write(record("a", "1"), record("b", "1", start=9))
    assert rows(store, "SELECT count(*) FROM traces") == [(2,)]
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("DELETE FROM spans WHERE trace_id = ?", ("a" * 32,))
    assert rows(store, "SELECT trace_id FROM traces") == [("b" * 32,)]
    assert rows(store, "SELECT count(*) FROM texts") == [(0,)]


def test_a_store_that_was_replaced_is_read_anew(store: Store) -> None:
    """Another file under the same name has nothing in common with what was read."""
    store.write(record("a", "1"))
    assert rows(store, "SELECT count(*) FROM traces") == [(1,)]
    store.writer.close()
    kept = store.path.with_name("kept.db")  # its inode is not given to the next file
    store.path.rename(kept)
    for suffix in ("-wal", "-shm"):
        Path(f"{store.path}{suffix}").unlink(missing_ok=True)
    other = Store(store.path)
    other.write(record("b", "1"))
    assert rows(other, "SELECT trace_id FROM traces") == [("b" * 32,)]


def test_a_damaged_file_is_made_anew(store: Store) -> None:
    """What is worked out can be worked out again."""
    store.write(record("a", "1"))
    path = store.path.with_name(opening.NAME)
    assert rows(store, "SELECT count(*) FROM traces") == [(1,)]
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(b"no database at all" * 1000)
    assert rows(store, "SELECT count(*) FROM traces") == [(1,)]


def test_a_follower_that_was_killed_goes_on_where_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken in stays, what was not comes; nothing twice."""
    monkeypatch.setattr(follower, "_SPANS", 2)
    for number, trace in enumerate("abcdef"):
        store.write(record(trace, "1", start=number))
    path = store.path.with_name(opening.NAME)
    first = follower.Follower(store.path, path)
    assert first.step()
    before = first.database.connection.execute("SELECT trace_id FROM traces ORDER BY id").fetchall()
    assert before == [("e" * 32,), ("f" * 32,)]  # the newest first
    first.close()
    assert rows(store, "SELECT trace_id FROM traces ORDER BY id") == [(trace * 32,) for trace in "abcdef"]


def test_new_traces_go_before_old_ones(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While much that is old is read, what is written now is there at once."""
    monkeypatch.setattr(follower, "_SPANS", 2)
    for number, trace in enumerate("abcdef"):
        store.write(record(trace, "1", start=number))
    found = follower.Follower(store.path, store.path.with_name(opening.NAME))
    store.write(record("9", "1", start=100))
    found.step()
    known = {row[0][0] for row in found.database.connection.execute("SELECT trace_id FROM traces")}
    assert "9" in known
    assert "a" not in known
    found.close()


def test_a_damaged_payload_costs_its_words_alone(store: Store) -> None:
    """The trace is there with its figures."""
    store.write(record("a", "1", attributes=chat("hello", "yes")))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE payloads SET content = x'ff00'")
    assert rows(store, "SELECT input_tokens FROM traces") == [(1000,)]
    assert rows(store, "SELECT request FROM texts") == []


def test_traces_that_began_in_the_same_moment_stay_apart(store: Store) -> None:
    """The start is the row's id, and there may be several of one nanosecond."""
    store.write(record("a", "1"), record("b", "1"), record("c", "1"))
    assert rows(store, "SELECT count(*), count(DISTINCT id) FROM traces") == [(3, 3)]
    store.write(record("a", "2", "1"))
    assert rows(store, "SELECT count(*), sum(spans) FROM traces") == [(3, 4)]


def test_a_home_that_cannot_be_written_has_its_insights_elsewhere(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of the user's alone."""
    store.write(record("a", "1"))
    store.writer.close()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr("os.access", lambda *_: False)
    assert rows(store, "SELECT count(*) FROM traces") == [(1,)]
    assert not store.path.with_name(opening.NAME).exists()
    (folder,) = (tmp_path / "tmp").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_likeness_groups_questions_that_differ_in_ids_and_courtesies(store: Store) -> None:
    """What differs in a number, a greeting or the order of words is one group; another subject is another one."""
    pytest.importorskip("rapidfuzz")
    asked = {
        "a": "Where is my order 4711?",
        "b": "hi, where is order 99-A please",
        "c": "Cancel my subscription",
        "d": "please cancel the subscription for me",
    }
    for number, (trace, question) in enumerate(asked.items()):
        store.write(record(trace, "1", start=number, attributes=chat(question, "yes")))
    groups = [row[0] for row in rows(store, "SELECT question FROM traces ORDER BY id")]
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert groups[0] != groups[2]


def test_a_forged_trace_costs_no_other(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be a trace is told of and left out; the others are there."""
    store.write(record("a", "1", attributes=chat("hello", "yes")), record("b", "1", start=1))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE spans SET input_tokens = x'00' WHERE trace_id = ?", ("a" * 32,))
    assert rows(store, "SELECT trace_id FROM traces") == [("b" * 32,)]
    assert "cannot be taken in" in caplog.text
