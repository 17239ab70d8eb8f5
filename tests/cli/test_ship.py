"""`autotrace ship`: what is sent, what is sent again, and what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from autotrace.delivery.destinations import WHOLE_TRACE, Record, RetryLater, known
from autotrace.errors import ConfigError
from autotrace.store.writer import Writer

from .conftest import BEGAN, Command, Fill

Answer = Callable[[Sequence[Record]], "Sequence[Record] | None"]


class Sink:
    """A destination that keeps what it takes, and answers as a test wants it."""

    name = "sink"
    wants_traces = True

    def __init__(self) -> None:
        self.taken: list[Record] = []
        self.resources: list[Mapping[str, Any]] = []
        self.answers: list[Answer] = []
        self.rejected = 0
        self.closed = False

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> Sequence[Record] | None:
        left = self.answers.pop(0)(records) if self.answers else None
        self.taken += [record for record in records if record not in (left or ())]
        self.resources.append(resource)
        return left

    def close(self) -> None:
        self.closed = True

    def traces(self) -> list[str]:
        """First digits of the ids of the traces that came, in order; starts afresh."""
        found = list(dict.fromkeys(record.trace_id[0] for record in self.taken))
        self.taken.clear()
        return found


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    found = Sink()
    monkeypatch.setattr(known, "make", lambda name, config, offered=None: found)
    monkeypatch.setattr("autotrace.cli.sending._PAUSE_S", 0.001)
    return found


def raising(error: Exception) -> Answer:
    def answer(records: Sequence[Record]) -> None:
        raise error

    return answer


def said(home: Any, *records: Record) -> None:
    writer = Writer(home / "traces.db")
    writer.write(records, {})
    writer.close()


def feedback(trace: str) -> Record:
    body = {"id": trace * 32, "type": "feedback", "name": "thumbs", "value": True, "comment": None}
    body |= {"source_type": "human", "source": None, "time": BEGAN, "metadata": {}}
    return Record("F", trace * 32, WHOLE_TRACE, body)


def test_whole_traces_as_journalled(autotrace: Command, write: Fill, sink: Sink, home: Any) -> None:
    """A destination gets whole traces, feedback and updates with them, as they were journalled."""
    write("a", "1", attributes={"input.value": "q"})
    write("a", "2", "1")
    update = Record("U", "a" * 32, WHOLE_TRACE, {"time": 1, "name": None, "session": None, "user": None, "tags": {}})
    said(home, feedback("a"), update)
    result = autotrace("ship", "--to", "sink")
    assert (result.exit_code, result.stdout) == (0, "1 traces sent to sink.\n")
    assert [(record.kind, record.span_id[0]) for record in sink.taken] == [
        ("E", "1"),
        ("E", "2"),
        ("U", "0"),
        ("F", "0"),
    ]
    assert sink.taken[0].body["attributes"] == {"input.value": "q"}
    assert sink.resources == [{"service.name": "shop"}]
    assert sink.closed


def test_only_what_is_new_or_changed(autotrace: Command, write: Fill, sink: Sink, home: Any) -> None:
    """A second run sends what is new or has changed; --again sends all."""
    write("a")
    write("b", start=1)
    autotrace("ship", "--to", "sink")
    assert sink.traces() == ["a", "b"]
    assert autotrace("ship", "--to", "sink").stdout == "0 traces sent to sink, 2 had been sent before.\n"
    write("c", start=2)
    said(home, feedback("a"))
    write("b", "2", "1", start=3)
    autotrace("ship", "--to", "sink", "--trace", "bbbb")
    assert sink.traces() == ["b"]
    autotrace("ship", "--to", "sink")
    assert sink.traces() == ["a", "c"]
    sink.name = "another"
    autotrace("ship", "--to", "another")
    assert sink.traces() == ["a", "b", "c"]
    autotrace("ship", "--to", "another", "--again")
    assert sink.traces() == ["a", "b", "c"]


def test_choice(autotrace: Command, write: Fill, sink: Sink) -> None:
    """--limit, --since and --trace choose; the oldest come first."""
    for number, trace in enumerate("cab"):
        write(trace, start=number)
    autotrace("ship", "--to", "sink", "--limit", "1")
    assert sink.traces() == ["c"]
    autotrace("ship", "--to", "sink", "--limit", "1")
    assert sink.traces() == ["a"]
    autotrace("ship", "--to", "sink", "--again", "--since", "2026-05-28T20:26:41Z")
    assert sink.traces() == ["a", "b"]


def test_running_traces_wait(autotrace: Command, write: Fill, sink: Sink, home: Any) -> None:
    """A trace that still runs is left for a later run."""
    write("a")
    body = json.loads(json.dumps({**_body(), "end": None}))
    said(home, Record("S", "b" * 32, "1" * 16, body))
    assert autotrace("ship", "--to", "sink").stdout == "1 traces sent to sink, 1 still run.\n"
    said(home, Record("E", "b" * 32, "1" * 16, {**body, "end": BEGAN + 5}))
    autotrace("ship", "--to", "sink")
    assert sink.traces() == ["a", "b"]


def _body() -> dict[str, Any]:
    return {
        "parent_id": None,
        "root": True,
        "name": "x",
        "kind": "client",
        "start": BEGAN,
        "end": BEGAN + 1,
        "status": "unset",
        "message": None,
        "scope": None,
        "scope_version": None,
        "attributes": {},
        "events": [],
        "links": [],
    }


def test_tried_again(autotrace: Command, write: Fill, sink: Sink) -> None:
    """What a destination does not take now is sent again until the time is over."""
    write("a")
    sink.answers = [raising(RetryLater("busy", 0.0)), raising(OSError("down")), lambda records: records]
    result = autotrace("ship", "--to", "sink")
    assert (result.exit_code, sink.traces()) == (0, ["a"])


def test_given_up(autotrace: Command, write: Fill, sink: Sink) -> None:
    """When the time is over, what could not be sent is counted, with the reason, and the next run sends it."""
    write("a")
    write("b", start=1)
    sink.answers = [raising(RetryLater("come back \x1b[31mtomorrow", 86400.0))]
    result = autotrace("ship", "--to", "sink", "--timeout", "1s")
    assert result.exit_code == 1
    assert "2 traces could not be sent: come back" in result.stderr
    assert "\x1b" not in result.stderr
    autotrace("ship", "--to", "sink")
    assert sink.traces() == ["a", "b"]


def test_some_not_taken(autotrace: Command, write: Fill, sink: Sink) -> None:
    """Traces of which something is not taken are sent again by the next run; the others are not."""
    write("a")
    write("b", start=1)
    sink.answers = [lambda records: [record for record in records if record.trace_id[0] == "b"]] * 1000
    result = autotrace("ship", "--to", "sink", "--timeout", "1ms")
    assert result.exit_code == 1
    assert result.stdout == "1 traces sent to sink.\n"
    assert sink.traces() == ["a"]
    sink.answers.clear()
    autotrace("ship", "--to", "sink")
    assert sink.traces() == ["b"]


def test_refused_for_good(autotrace: Command, write: Fill, sink: Sink) -> None:
    """What a destination refuses for good is counted, and the status is 1."""
    write("a")

    def refuse(records: Sequence[Record]) -> None:
        sink.rejected += 1

    sink.answers = [refuse]
    result = autotrace("ship", "--to", "sink")
    assert result.exit_code == 1
    assert "refused 1 records" in result.stderr


def test_unknown_destination(autotrace: Command, write: Fill) -> None:
    """A destination that there is not is an error that names those that there are; the store itself is wrong usage."""
    write("a")
    result = autotrace("ship", "--to", "nowhere")
    assert result.exit_code == 1
    assert "mlflow" in result.stderr
    assert issubclass(ConfigError, ValueError)
    assert autotrace("ship", "--to", "store").exit_code == 2


def test_console(autotrace: Command, write: Fill) -> None:
    """A built-in destination needs nothing but its name."""
    write("a", name="asked")
    result = autotrace("ship", "--to", "console")
    assert result.exit_code == 0
    assert "asked" in result.stderr
