"""A store that a test fills with the real writer, and what the page of a trace makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotrace.delivery.destinations import WHOLE_TRACE, Record
from autotrace.store.outline import TraceReader
from autotrace.store.writer import Writer
from autotrace.web.pages import trace

SECOND = 10**9
BEGAN = 1_780_000_000 * SECOND


class TraceStore:
    """A store with traces; ids are one digit, repeated, or whole ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = Writer(path)

    def span(self, trace_id: str = "a", span: str = "1", parent: str | None = None, **body: Any) -> Record:
        """A record of a span; `start` and `seconds` in seconds, `kind` of the record, all else as it is journalled."""
        began = BEGAN + round(body.pop("start", 0) * SECOND)
        seconds, kind = body.pop("seconds", 1), body.pop("record", "E")
        attributes = {
            name: json.dumps(value) if isinstance(value, list | dict) else value
            for name, value in body.pop("attributes", {}).items()
        }
        content = {
            "parent_id": parent and (parent * 16)[:16],
            "root": parent is None,
            "name": f"span {span}",
            "kind": "client",
            "start": began,
            "end": None if kind != "E" else began + round(seconds * SECOND),
            "status": "unset",
            "message": None,
            "scope": "autotrace.plugins.openai",
            "scope_version": "1",
            "attributes": attributes,
            "events": [],
            "links": [],
            **body,
        }
        return Record(kind, (trace_id * 32)[:32], (span * 16)[:16], content)

    def write(self, *records: Record) -> None:
        """Stores them."""
        self.writer.write(records, {"service.name": "shop", "deployment.environment.name": "production"})

    def add(self, *arguments: Any, **body: Any) -> None:
        """Stores one span."""
        self.write(self.span(*arguments, **body))

    def judge(self, trace_id: str = "a", **body: Any) -> None:
        """Stores a verdict."""
        content = {
            "id": "1" * 32,
            "type": "feedback",
            "name": "thumbs",
            "value": True,
            "comment": None,
            "source_type": "human",
            "source": "ann",
            "time": BEGAN,
            "metadata": {},
            **body,
        }
        self.write(Record("F", trace_id * 32, WHOLE_TRACE, content))

    def page(self, trace_id: str = "a", hide_content: bool = False, **query: str) -> dict[str, Any]:
        """What the page of a trace shows."""
        with TraceReader(self.path) as reader:
            found = trace.data(reader, (trace_id * 32)[:32], query, hide_content=hide_content)
        assert found is not None
        return found


def said(role: str, *parts: Any) -> dict[str, Any]:
    """A message; a text stands for a part."""
    return {"role": role, "parts": [{"type": "text", "content": one} if isinstance(one, str) else one for one in parts]}


def chat(*sent: Any, received: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """Attributes of a model call; a text stands for a message of the user."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.input.messages": [said("user", one) if isinstance(one, str) else one for one in sent],
        "gen_ai.output.messages": [said("assistant", "It is.")] if received is None else received,
        **more,
    }


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[TraceStore]:
    """An empty store."""
    found = TraceStore(tmp_path / "traces.db")
    yield found
    found.writer.close()


@pytest.fixture
def model_call() -> Any:
    """`chat`, which makes attributes of a model call."""
    return chat


@pytest.fixture
def message() -> Any:
    """`said`, which makes a message."""
    return said
