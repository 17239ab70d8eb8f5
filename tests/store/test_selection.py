"""Which traces are chosen: by the process, by the session and the user that were said last."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from autotrace.store.selection import Selection

from .conftest import BEGAN, SECOND, Store, record, update


def of(environment: str, service: str, release: str) -> dict[str, Any]:
    """What is said of a process."""
    return {"deployment.environment.name": environment, "service.name": service, "service.version": release}


def test_selection_by_process(store: Store) -> None:
    """A trace is chosen by a span that fits in all that is said of its process, of whichever process it is."""
    store.writer.write([record("a", "1")], of("production", "web", "1"))
    store.writer.write([record("a", "2", parent="1", start=0.1)], of("production", "agent", "7"))
    store.writer.write([record("b", "1", start=5)], of("development", "web", "7"))
    store.writer.write([record("c", "1", start=9, status="error")], of("production", "agent", "7"))
    assert store.ids(environment="production") == ["a", "c"]
    assert store.ids(service="web") == ["a", "b"]
    assert store.ids(service="agent", release="7") == ["a", "c"]
    assert store.ids(service="web", release="7") == ["b"]
    assert store.ids(service="web", environment="production", release="7") == []
    assert store.ids(environment="production", errors=True) == ["c"]
    assert store.ids(environment="production", since_ns=BEGAN + SECOND) == ["c"]
    assert store.ids() == ["a", "b", "c"]
    assert [trace["trace_id"][0] for trace in store.traces(limit=1, environment="production")] == ["c"]
    summary = store.traces(service="web", environment="production")[0]
    assert [summary[name] for name in ("environment", "service", "release")] == ["production", "web", "1"]


def test_selection_by_user(store: Store) -> None:
    """A trace belongs to the user that was said of it last; a word that cannot be read says nothing."""
    store.write(
        record("a", attributes={"user.id": "one"}),
        record("b", start=1, attributes={"user.id": "one"}),
        record("c", start=2, attributes={"user.id": "one", "session.id": "s"}),
    )
    store.write(update("b", user="two", time=2), update("b", user="three", time=3), update("b", session="s", time=4))
    store.write(update("c", name="named"))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("INSERT INTO updates VALUES (?, 9, NULL, '{')", ("a" * 32,))
    assert store.ids(user="one") == ["a", "c"]
    assert (store.ids(user="two"), store.ids(user="three")) == ([], ["b"])
    assert store.ids(user="three", session="s") == ["b"]
    assert store.ids(session="s") == ["b", "c"]


def test_selection_in_a_store_of_the_first_release(store: Store) -> None:
    """Where nothing can have been said later, spans alone tell."""
    assert Selection(user="u", session="s", errors=True).where(False)[1] == {"user": "u", "session": "s"}
    assert "updates" not in Selection(user="u", session="s").where(False)[0]


def test_nobodys_service(store: Store) -> None:
    """OpenTelemetry's word for a service without a name is no name: it differs by how Python was called."""
    store.writer.write([record("a", "1")], of("production", "unknown_service:python3", "1"))
    assert (store.only()["service"], store.only()["release"]) == (None, "1")
