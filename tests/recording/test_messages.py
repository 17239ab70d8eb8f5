"""Values of a plugin's that are not what they should be."""

from __future__ import annotations

from typing import Any, cast

import pytest

from autotrace.recording.guard import guard
from autotrace.recording.messages import UnknownKey
from autotrace.recording.privacy import Policy
from autotrace.recording.recorder import Recorder

from ..conftest import Collected


@pytest.fixture
def recorder(spans: Collected) -> Recorder:
    """The recorder of a framework."""
    return Recorder("acme", spans.provider.get_tracer("acme"), Policy("full", None))


def test_a_misspelt_key(recorder: Recorder, spans: Collected, caplog: pytest.LogCaptureFixture) -> None:
    """A key that does not exist is counted and told, with those that do; the others count."""
    operation = recorder.start("chat", cast(Any, {"modle": "acme-1", "name": "one"}))
    operation.finish(cast(Any, {"outputs": [], "id": "r-1"}))
    span = spans.one()
    assert span.name == "chat one"
    assert span.attributes["gen_ai.response.id"] == "r-1"
    assert {place: failure.count for place, failure in guard.failures.items()} == {
        "acme: request values": 1,
        "acme: response values": 1,
    }
    assert "acme: request values: modle: no such key; there are attributes, input, " in caplog.text
    assert "acme: response values: outputs: no such key; there are attributes, documents, " in caplog.text
    guard.failures.clear()


def test_a_misspelt_key_in_a_test(recorder: Recorder, spans: Collected) -> None:
    """Where errors of plugins raise, so does a key that does not exist."""
    guard.strict = True
    with pytest.raises(UnknownKey, match=r"modle: no such key; there are attributes"):
        recorder.start("chat", cast(Any, {"modle": "acme-1"}))


@pytest.mark.parametrize("values", [[], "model", 7, {1: 2}], ids=repr)
def test_no_values_at_all(recorder: Recorder, spans: Collected, values: Any) -> None:
    """What is no dict of values at all is counted, and the call is told without it."""
    recorder.start("chat", values).finish(values)
    assert spans.one().attributes["gen_ai.operation.name"] == "chat"
    assert set(guard.failures) <= {"acme: request values", "acme: response values"}
    guard.failures.clear()
