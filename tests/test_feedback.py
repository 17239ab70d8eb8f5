"""Feedback, expectations and later changes: what is journalled, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrace
from autotrace import activation
from autotrace.delivery.segments import Segment, segment_names

TRACE = "0af7651916cd43dd8448eb211c80319c"
WHOLE = "0" * 16


@pytest.fixture
def journalled(tmp_path: Path) -> Any:
    """Switches on with a home of its own; answers the records of feedback and updates in the journal."""
    activation.active().reset()
    autotrace.autolog(home=tmp_path / "home", destination=())

    def read() -> list[tuple[str, str, str, dict[str, Any]]]:
        found = []
        for name in segment_names(tmp_path / "home" / "journal"):
            with Segment(tmp_path / "home" / "journal", name) as segment:
                batch = segment.batch(segment.body_start, segment.size(), True)
                found += [] if batch is None else batch.records
        return [(one.kind, one.trace_id, one.span_id, one.body) for one in found if one.kind in "FU"]

    yield read
    activation.active().reset()


Read = Callable[[], list[tuple[str, str, str, dict[str, Any]]]]


def test_feedback(journalled: Read) -> None:
    """A thumb is journalled with all that was said, once for each time that it was given."""
    found = autotrace.log_feedback(
        True, trace_id=TRACE, name="helpful", comment="yes", user="alice", metadata={"channel": "web", "n": 1}
    )
    ((kind, trace, span, body),) = journalled()
    assert (kind, trace, span) == ("F", TRACE, WHOLE)
    assert body.pop("time") > 0
    assert body == {
        "id": found,
        "type": "feedback",
        "name": "helpful",
        "value": True,
        "comment": "yes",
        "source_type": "human",
        "source": "alice",
        "metadata": {"channel": "web", "n": "1"},
    }


def test_who_says_it_again_replaces_it(journalled: Read) -> None:
    """The id is that of trace, span, name, source and user: any other of these is another verdict."""
    one = autotrace.log_feedback(True, trace_id=TRACE, user="alice")
    assert autotrace.log_feedback(False, trace_id="tr-" + TRACE.upper(), user="alice", comment="no") == one
    others = [
        autotrace.log_feedback(True, trace_id=TRACE),
        autotrace.log_feedback(True, trace_id=TRACE, user="bob"),
        autotrace.log_feedback(True, trace_id=TRACE, user="alice", name="tone"),
        autotrace.log_feedback(True, trace_id=TRACE, user="alice", source="code"),
        autotrace.log_feedback(True, trace_id=TRACE, user="alice", span_id="00f067aa0ba902b7"),
        autotrace.log_expectation(True, trace_id=TRACE, user="alice", name="feedback"),
    ]
    assert len({one, *others}) == 7


def test_the_current_trace(journalled: Read) -> None:
    """Without an id it is of the trace in which it is given."""
    with autotrace.span("answer"):
        trace = autotrace.current_trace_id()
        autotrace.log_expectation({"price": 12})
    ((_, found, _, body),) = journalled()
    assert (found, body["type"], body["value"]) == (trace, "expectation", {"price": 12})
    with pytest.raises(autotrace.FeedbackError, match="no current trace"):
        autotrace.log_feedback(True)


@pytest.mark.parametrize(
    "bad",
    [
        {"value": None},
        {"value": float("nan")},
        {"value": ["a"]},
        {"value": float("inf")},
        {"value": 10**5000},
        {"metadata": ["a"]},
        {"metadata": "a"},
        {"trace_id": "none"},
        {"trace_id": "0" * 32},
        {"trace_id": 7},
        {"span_id": "x"},
        {"span_id": 7},
        {"name": " "},
        {"name": 7},
        {"source": "oracle"},
    ],
)
def test_refused(journalled: Read, bad: dict[str, Any]) -> None:
    """What cannot be used is refused, and leaves nothing."""
    with pytest.raises(autotrace.FeedbackError):
        autotrace.log_feedback(**{"value": True, "trace_id": TRACE, **bad})
    assert journalled() == []


def test_comments_are_content(journalled: Read) -> None:
    """With content off a comment is left out; long ones are cut."""
    autotrace.log_feedback(True, trace_id=TRACE, comment="x" * 20_000, user="u" * 1000)
    autotrace.autolog(capture_content="off")
    autotrace.log_feedback(True, trace_id=TRACE, comment="secret")
    comments = [body["comment"] for _, _, _, body in journalled()]
    assert (len(comments[0]), comments[1]) == (10_000, None)


def test_texts_of_verdicts_are_content(journalled: Read) -> None:
    """With content off what is no text is kept: a thumb, a mark, that there was a verdict."""
    autotrace.autolog(capture_content="off")
    more = {"plan": "secret", "turn": 3}
    for value in (True, 4, "secret"):
        autotrace.log_feedback(value, trace_id=TRACE, metadata=more)
    autotrace.log_expectation({"price": 12, "reason": "secret"}, trace_id=TRACE)
    bodies = [body for _, _, _, body in journalled()]
    assert [body["value"] for body in bodies] == [True, 4, "<left out>", {"price": 12, "reason": "<left out>"}]
    assert bodies[0]["metadata"] == {"plan": "<left out>", "turn": "3"}
    assert "secret" not in str(bodies)


def test_update_of_a_trace_that_is_over(journalled: Read) -> None:
    """Tags, name, session and user of a past trace are journalled."""
    autotrace.update_trace(trace_id=TRACE, session="s", user="u", tags={"ticket": "T-1"}, name="n")
    ((kind, trace, span, body),) = journalled()
    assert (kind, trace, span) == ("U", TRACE, WHOLE)
    del body["time"]
    assert body == {"name": "n", "session": "s", "user": "u", "tags": {"ticket": "T-1"}}
    with pytest.raises(autotrace.FeedbackError):
        autotrace.update_trace(trace_id="x")


def test_odd_values_are_journalled(journalled: Read) -> None:
    """Values that JSON lacks become text; nothing is raised."""
    autotrace.log_expectation({"when": object(), "n": 2**80, "s": "\ud800"}, trace_id=TRACE)
    ((_, _, _, body),) = journalled()
    assert json.dumps(body)


class Stranger:
    """What cannot even say its name."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def test_strangers_are_journalled(journalled: Read) -> None:
    """An object whose text cannot be had costs neither the verdict nor the change, and raises nothing."""
    odd: Any = Stranger()
    autotrace.log_feedback(True, trace_id=TRACE, user=odd, comment=odd, metadata={"a": odd})
    autotrace.log_expectation({"a": odd, "n": 10**5000}, trace_id=TRACE)
    autotrace.update_trace(trace_id=TRACE, session=odd, user=odd, name=odd, tags={"a": odd, "plan": "pro"})
    feedback, expectation, update = (body for _, _, _, body in journalled())
    assert feedback["value"] is True
    assert list(expectation["value"]) == ["a", "n"]
    assert update["tags"]["plan"] == "pro"


def test_expectations_are_redacted(journalled: Read) -> None:
    """What stands under the name of a secret is hidden in values and metadata of any depth."""
    autotrace.log_expectation({"to": [{"api_key": "sk-1234567"}]}, trace_id=TRACE, metadata={"password": "sk-1234567"})
    ((_, _, _, body),) = journalled()
    assert "sk-1234567" not in json.dumps(body)


def test_long_names_stay_whole(journalled: Read) -> None:
    """Two long sessions stay two: who cannot hold them whole cuts them himself."""
    autotrace.update_trace(trace_id=TRACE, session="s" * 300 + "1", user="u" * 300, name="n" * 300)
    ((_, _, _, body),) = journalled()
    assert (body["session"][-2:], len(body["user"]), len(body["name"])) == ("s1", 300, 300)


def test_switched_off(journalled: Read) -> None:
    """Where one's own spans are off, feedback goes nowhere and still has an id."""
    autotrace.autolog("autotrace", disable=True)
    assert len(autotrace.log_feedback(True, trace_id=TRACE)) == 32
    assert journalled() == []


def test_served_where_nothing_is_kept(tmp_path: Path) -> None:
    """An application whose spans all go through its own provider, or are off, does not say that it takes feedback."""
    from opentelemetry.trace import NoOpTracerProvider

    body = b'{"trace_id": "%s", "value": true}' % TRACE.encode()

    def status() -> int:
        endpoint = activation.active().service().endpoint
        assert endpoint is not None
        return endpoint.answer("POST", {"content-type": "application/json"}, body).status

    activation.active().reset()
    try:
        autotrace.autolog(home=tmp_path / "home", destination=())
        assert status() == 202
        autotrace.autolog("autotrace", disable=True)
        assert status() == 503
        activation.active().reset()
        autotrace.autolog(home=tmp_path / "home", tracer_provider=NoOpTracerProvider())
        assert status() == 503
    finally:
        activation.active().reset()
