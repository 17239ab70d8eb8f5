"""`autotrace feedback`: by trace, by the beginning of an id, by request; to every destination, and where it went."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from autotrace.delivery.destinations import Record, RetryLater, known
from autotrace.delivery.queue import queues
from autotrace.serving.request_ids import RequestIds
from autotrace.store.reader import Reader

from .conftest import Command, Fill

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def _clean(clean: None, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is left of what other tests have switched on."""
    caplog.set_level(logging.WARNING)


class Sink:
    """A destination that keeps what it takes, or answers as a test wants it."""

    wants_traces = False
    rejected = 0

    def __init__(self, name: str = "sink") -> None:
        self.name = name
        self.taken: list[Record] = []
        self.error: Exception | None = None
        self.leaves = False
        self.refuses = False

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> Sequence[Record]:
        if self.error is not None:
            raise self.error
        if self.leaves:
            return records
        self.rejected += self.refuses * len(records)
        self.taken += records
        return ()

    def close(self) -> None:
        pass


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    """A destination beside the store."""
    found, make = Sink(), known.make
    monkeypatch.setattr(
        "autotrace.delivery.pipeline.make",
        lambda name, config, offered=None: found if name == "sink" else make(name, config),
    )
    monkeypatch.setenv("AUTOTRACE_DESTINATION", "store,sink")
    return found


def stored(home: Path, trace_id: str = "a" * 32) -> list[dict[str, Any]]:
    """The feedback on a trace."""
    with Reader(home / "traces.db") as reader:
        found = [one.as_json() for one in reader.feedback(trace_id)]
    for one in found:
        assert one.pop("id")
        assert one.pop("time")
    return found


def test_a_thumb(autotrace: Command, write: Fill, home: Path) -> None:
    """What is said of the trace whose id begins so is in the store at once; the command says so, and leaves nothing."""
    write("a")
    result = autotrace("feedback", "aaaa", "--up", "--comment", "spot on", "--user", "alice")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Feedback on trace {'a' * 32}\nstore: delivered\n"
    assert stored(home) == [
        {
            "span_id": None,
            "type": "feedback",
            "name": "feedback",
            "value": True,
            "comment": "spot on",
            "source_type": "human",
            "source": "alice",
            "metadata": {},
        }
    ]
    assert list((home / "journal").iterdir()) == []


def test_again(autotrace: Command, write: Fill, home: Path) -> None:
    """The same user's next word on the same name takes the place of the one before; on another name it does not."""
    write("a")
    for words in (["--up"], ["--down"], ["--value", "4.5", "--name", "stars"], ["--up", "--user", "bob"]):
        assert autotrace("feedback", "tr-" + "A" * 32, *words).exit_code == 0
    found = [(one["name"], one["value"], one["source"]) for one in stored(home)]
    assert found == [("feedback", False, None), ("stars", 4.5, None), ("feedback", True, "bob")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("true", True), ("false", False), ("-3", -3), ("0.5", 0.5), ('"5"', "5"), ("travel", "travel")),
        *(("NaN", "NaN"), ("[1]", "[1]"), ("null", "null")),
    ],
)
def test_values(autotrace: Command, write: Fill, home: Path, text: str, value: Any) -> None:
    """A value is read as JSON has it; what is none is a text."""
    write("a")
    assert autotrace("feedback", "aaaa", "--value", text).exit_code == 0
    (found,) = stored(home)
    assert (found["value"], type(found["value"])) == (value, type(value))


def test_span(autotrace: Command, write: Fill, home: Path) -> None:
    """It may be on one span."""
    write("a")
    assert autotrace("feedback", "aaaa", "--up", "--span", "1" * 16).exit_code == 0
    assert stored(home)[0]["span_id"] == "1" * 16


def test_trace_of_another_home(autotrace: Command, home: Path) -> None:
    """A whole id needs no trace here: it may come later. That the store does not know it is told."""
    result = autotrace("feedback", TRACE, "--down", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "id": json.loads(result.stdout)["id"],
        "trace_id": TRACE,
        "span_id": None,
        "destinations": [{"destination": "store", "state": "delivered", "last_error": None}],
    }
    assert f"has no trace {TRACE} yet" in result.stderr
    assert len(stored(home, TRACE)) == 1


def test_request(autotrace: Command, write: Fill, home: Path) -> None:
    """A request's id stands for the trace that it led to in an application of this home."""
    write("a")
    (home / "journal").mkdir()
    RequestIds(home / "journal").note("req \x1b[2J 1", "a" * 32)
    assert autotrace("feedback", "req \x1b[2J 1", "--request", "--up").exit_code == 0
    assert len(stored(home)) == 1
    result = autotrace("feedback", "req \x1b[2J 2", "--request", "--up")
    assert result.exit_code == 1
    assert "is known" in result.stderr
    assert "x-autotrace-trace-id" in result.stderr
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("words", [[], ["--up", "--down"], ["--up", "--value", "1"]])
def test_one_value(autotrace: Command, words: list[str]) -> None:
    """It takes one value."""
    result = autotrace("feedback", TRACE, *words)
    assert result.exit_code == 2
    assert "give one of --up, --down and --value" in result.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["bbbb", "--up"], "no trace begins with 'bbbb'"),
        (["aaa", "--up"], "too short"),
        (["\x1b[2Jxyz", "--up"], "no trace begins with"),
        (["0" * 32, "--up"], "is not the id of a trace"),
        (["aaaa", "--up", "--span", "zz"], "is not the id of a span"),
        (["aaaa", "--up", "--name", " "], "the name must be a text"),
        (["aaaa", "--value", "1e300"], "a number must be finite, and below 2**63"),
    ],
)
def test_mistakes(autotrace: Command, write: Fill, home: Path, words: list[str], problem: str) -> None:
    """What cannot be used is an error that says what to do, and nothing is stored."""
    write("a")
    result = autotrace("feedback", *words)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert "\x1b" not in result.stderr
    assert stored(home) == []


def test_no_store(autotrace: Command, home: Path) -> None:
    """Without a store only a whole id will do."""
    result = autotrace("feedback", "aaaa", "--up")
    assert result.exit_code == 1
    assert "give the whole one" in result.stderr
    assert not home.exists()


@pytest.mark.parametrize("variable", ["AUTOTRACE_DISABLE=all", "AUTOTRACE_DISABLE=autotrace", "OTEL_SDK_DISABLED=true"])
def test_switched_off(autotrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Where autotrace is off nothing is recorded, and nobody is told otherwise."""
    monkeypatch.setenv(*variable.split("="))
    result = autotrace("feedback", TRACE, "--up")
    assert result.exit_code == 1
    assert "switched off here" in result.stderr
    assert not home.exists()


def test_content_off(autotrace: Command, write: Fill, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments are content here as well."""
    write("a")
    monkeypatch.setenv("AUTOTRACE_CAPTURE_CONTENT", "off")
    assert autotrace("feedback", "aaaa", "--up", "--comment", "secret").exit_code == 0
    assert stored(home)[0]["comment"] is None


def test_redacted(autotrace: Command, write: Fill, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the project's own plugin redacts is redacted."""
    write("a")
    (tmp_path / "our_rules.py").write_text(
        "import autotrace\n@autotrace.hookimpl\ndef redact(text):\n    return text.replace('4711', '…')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("AUTOTRACE_PLUGINS", "our_rules")
    assert autotrace("feedback", "aaaa", "--up", "--comment", "order 4711").exit_code == 0
    assert stored(home)[0]["comment"] == "order …"


class TestDestinations:
    """It goes wherever the settings send spans, and the command says how far it got."""

    def test_all(self, autotrace: Command, write: Fill, home: Path, sink: Sink) -> None:
        """Every destination has it."""
        write("a")
        result = autotrace("feedback", "aaaa", "--up")
        assert result.stdout.splitlines()[1:] == ["store: delivered", "sink: delivered"]
        assert [(record.kind, record.trace_id, record.body["value"]) for record in sink.taken] == [
            ("F", "a" * 32, True)
        ]
        assert len(stored(home)) == 1

    def test_one_is_down(self, autotrace: Command, write: Fill, home: Path, sink: Sink) -> None:
        """It waits in the journal for what is down, and the reason is told; the next drainer has it."""
        write("a")
        sink.error = RetryLater("down \x1b[31mfor now", 3600.0)
        result = autotrace("feedback", "aaaa", "--up")
        assert result.exit_code == 0
        assert "\nstore: delivered\nsink: waits in the journal" in result.stdout
        assert 'autotrace drain" delivers it (RetryLater: down \\x1b[31mfor now)' in result.stdout
        assert [queue.records for queue in queues(home / "journal", ["store", "sink"])] == [0, 1]
        sink.error = None
        assert autotrace("drain").exit_code == 0
        assert [record.kind for record in sink.taken] == ["F"]
        assert len(stored(home)) == 1

    def test_its_trace_is_not_there(self, autotrace: Command, write: Fill, home: Path, sink: Sink) -> None:
        """A destination that waits for the trace takes it later."""
        write("a")
        sink.leaves = True
        result = autotrace("feedback", "aaaa", "--up", "--json")
        states = {one["destination"]: one["state"] for one in json.loads(result.stdout)["destinations"]}
        assert (result.exit_code, states) == (0, {"store": "delivered", "sink": "waiting"})

    def test_refused(self, autotrace: Command, write: Fill, sink: Sink) -> None:
        """What one refuses for good is an error."""
        write("a")
        sink.refuses = True
        result = autotrace("feedback", "aaaa", "--up")
        assert result.exit_code == 1
        assert result.stdout.splitlines()[1:] == ["store: delivered", "sink: refused it"]

    def test_nowhere(self, autotrace: Command, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Where neither the disk nor the destination takes it, it is lost, and that is told."""
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("AUTOTRACE_HOME", str(tmp_path / "file" / "home"))
        result = autotrace("feedback", TRACE, "--up")
        assert result.exit_code == 1
        assert "store: could neither be reached nor does the disk keep it" in result.stdout
