"""Spans by their figures, and a store that a test fills with the real writer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autotrace.delivery.destinations import WHOLE_TRACE, Record
from autotrace.store.reader import Reader
from autotrace.store.selection import Selection
from autotrace.store.writer import Writer

SECOND = 10**9
BEGAN = 1_780_000_000 * SECOND
RESOURCE = {"service.name": "shop", "deployment.environment.name": "production"}


def record(
    trace: str = "a",
    span: str = "1",
    parent: str | None = None,
    start: float = 0,
    seconds: float | None = 1,
    kind: str = "E",
    root: bool | None = None,
    attributes: dict[str, Any] | None = None,
    **body: Any,
) -> Record:
    """One journal record. Ids are one digit, repeated; times in seconds after BEGAN."""
    began = BEGAN + round(start * SECOND)
    content = {
        "parent_id": parent and parent * 16,
        "root": parent is None if root is None else root,
        "name": f"span {span}",
        "kind": "client",
        "start": began,
        "end": None if seconds is None or kind != "E" else began + round(seconds * SECOND),
        "status": "unset",
        "message": None,
        "scope": "autotrace.plugins.openai",
        "scope_version": "1",
        "attributes": attributes or {},
        "events": [],
        "links": [],
        **body,
    }
    return Record(kind, trace * 32, span * 16, content)


def chat(question: str, answer: str = "", model: str = "gpt-4o-mini", **more: Any) -> dict[str, Any]:
    """Attributes of one model span."""
    said = [{"role": "user", "parts": [{"type": "text", "content": question}]}]
    replied = [{"role": "assistant", "parts": [{"type": "text", "content": answer}]}]
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.input.messages": json.dumps(said),
        "gen_ai.output.messages": json.dumps(replied),
        **more,
    }


class Store:
    """A store that a test fills with the real writer and reads with the reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = Writer(path)

    def write(self, *records: Record) -> None:
        self.writer.write(records, RESOURCE)

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql, values).fetchall()

    def search(self, text: str) -> list[str]:
        """First digits of the ids of the traces that speak of it."""
        with Reader(self.path) as reader:
            return [trace_id[0] for trace_id in reader.search(text)]

    def traces(self, limit: int = 20, search: str | None = None, **chosen: Any) -> list[dict[str, Any]]:
        with Reader(self.path) as reader:
            return [trace.as_json() for trace in reader.traces(limit, Selection(**chosen), search)]

    def ids(self, **chosen: Any) -> list[str]:
        """The first characters of the ids of what is chosen, as a list of traces and as an export find them."""
        with Reader(self.path) as reader:
            found = [trace_id[0] for trace_id in reader.trace_ids(Selection(**chosen))]
        assert sorted(found) == sorted(trace["trace_id"][0] for trace in self.traces(**chosen))
        return found

    def only(self) -> dict[str, Any]:
        (found,) = self.traces()
        return found

    def show(self, trace: str) -> dict[str, Any]:
        with Reader(self.path) as reader:
            found = reader.trace(trace * 32)
            assert found is not None
            return found.as_json()


def feedback(trace: str = "a", id_: str = "1", value: Any = True, time: int = 5, **body: Any) -> Record:
    """Feedback on a whole trace; `time` in seconds after BEGAN."""
    content = {
        "id": id_ * 32,
        "type": "feedback",
        "name": "thumbs",
        "value": value,
        "comment": None,
        "source_type": "human",
        "source": "ann",
        "time": BEGAN + time * SECOND,
        "metadata": {},
        **body,
    }
    return Record("F", trace * 32, WHOLE_TRACE, content)


def update(trace: str = "a", time: int = 5, tags: dict[str, Any] | None = None, **body: Any) -> Record:
    """What is said of a trace later; `time` in seconds after BEGAN."""
    content = {"time": BEGAN + time * SECOND, "name": None, "session": None, "user": None, "tags": tags or {}, **body}
    return Record("U", trace * 32, WHOLE_TRACE, content)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    found = Store(tmp_path / "traces.db")
    yield found
    found.writer.close()
