"""The feedback endpoint against whoever finds it: the published schema says what is taken, and nothing else is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import autotrace
from autotrace.delivery.segments import Segment, segment_names
from autotrace.recording.guard import guard
from autotrace.serving.feedback_endpoint import Answer, FeedbackEndpoint

from .feedback_bodies import (
    CANARY,
    DAMAGES,
    HEADERS,
    METHODS,
    ORIGINS,
    RIGHT,
    SCHEMA,
    TRACE,
    VALIDATOR,
    WRITING,
    written,
    wrong,
)

JSON = {"content-type": "application/json"}
PATH = "/autotrace/feedback"
#: Of an answer that takes nothing: all values of headers that there may be, but for those that are numbers.
VALUES = {"no-store", "nosniff", "Origin", "application/json", "POST, OPTIONS"}

T = TypeVar("T")
Journalled = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def journalled(clean: None, tmp_path: Path) -> Journalled:
    """Answers the feedback in the journal of a home of its own."""
    autotrace.autolog(home=tmp_path / "home", destination=())
    folder = tmp_path / "home" / "journal"

    def read() -> list[dict[str, Any]]:
        found = []
        for name in segment_names(folder):
            with Segment(folder, name) as segment:
                offset = segment.body_start
                while (batch := segment.batch(offset, segment.size(), True)) is not None:
                    found += batch.records
                    offset = batch.end
        return [{**one.body, "trace": one.trace_id, "span": one.span_id} for one in found if one.kind == "F"]

    return read


@pytest.fixture
def endpoint() -> FeedbackEndpoint:
    """The endpoint as it is in an application, without a limit of posts; it knows every request, or one."""
    return FeedbackEndpoint(PATH, autotrace.log_feedback, lambda _: TRACE, {"https://chat.example.org"})


_DRAWING = partial(
    settings, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def drawn(strategy: st.SearchStrategy[T], count: int, at_once: int = 1) -> list[T]:
    """Examples, drawn before they are used, for autotrace's own threads would disturb Hypothesis.

    Small ones are drawn many times faster some at once.
    """
    found: list[T] = []

    @_DRAWING(max_examples=count // at_once)
    @given(st.lists(strategy, min_size=at_once, max_size=at_once))
    def draw(some: list[T]) -> None:
        found.extend(some)

    draw()
    return found


_ORIGIN = st.one_of(st.just({}), st.sampled_from(ORIGINS).map(lambda origin: {"origin": origin}))
_POST, _MERGED = st.just("POST"), lambda *parts: {name: text for part in parts for name, text in part.items()}
_ASKING = st.just({"access-control-request-method": "POST", **JSON})


def hostile(right: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[tuple[str, Mapping[str, str], bytes]]:
    """Method, headers and body of requests that are wrong in one way."""
    fit, unfit = st.builds(written, right, WRITING), st.builds(written, wrong(right), WRITING)
    damaged = st.builds(lambda body, how: DAMAGES[how](written(body, {})), right, st.sampled_from(sorted(DAMAGES)))
    return st.one_of(
        st.tuples(_POST, st.builds(_MERGED, st.just(JSON), _ORIGIN), unfit),
        st.tuples(_POST, st.builds(_MERGED, st.just(JSON), _ORIGIN), st.one_of(damaged, st.binary(max_size=200))),
        st.tuples(_POST, st.builds(_MERGED, st.sampled_from(HEADERS), _ORIGIN), fit),
        st.tuples(st.sampled_from(METHODS), st.one_of(st.just(JSON), st.builds(_MERGED, _ASKING, _ORIGIN)), fit),
    )


def test_hostile_requests(
    endpoint: FeedbackEndpoint,
    journalled: Journalled,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """2,000 wrong requests: each is a 4xx in words known beforehand; nothing is stored, logged, printed or repeated."""
    caplog.set_level(logging.DEBUG)
    messages: set[str] = set()
    seen: Counter[int] = Counter()
    for request in drawn(hostile(st.sampled_from(drawn(RIGHT, 100))), 2000, 20):
        answer = endpoint.answer(*request)
        assert 400 <= answer.status < 500, (answer, request)
        headers = dict(answer.headers)
        assert {value for value in headers.values() if not value.isdigit()} <= VALUES
        assert int(headers["content-length"]) == len(answer.body)
        if request[0] != "HEAD":
            messages.update(json.loads(answer.body).values())
        seen[answer.status] += 1
    assert seen.keys() >= {400, 403, 405, 413, 415, 422}
    assert sum(seen.values()) >= 2000
    assert len(messages) < 25, messages
    assert CANARY not in "".join(messages)
    assert journalled() == []
    assert guard.failures == {}
    assert [record.getMessage() for record in caplog.records] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("how", sorted(DAMAGES))
def test_damaged(endpoint: FeedbackEndpoint, journalled: Journalled, how: str) -> None:
    """Whatever is no JSON object, or not to the letter, is refused."""
    right_one = json.dumps({"trace_id": TRACE, "value": True}).encode()
    assert endpoint.answer("POST", JSON, right_one).status == 202
    assert endpoint.answer("POST", JSON, DAMAGES[how](right_one)).status in (400, 413)
    assert len(journalled()) == 1


def test_all_that_the_schema_takes(endpoint: FeedbackEndpoint, journalled: Journalled) -> None:
    """What the published schema takes is taken, and stored as it was said."""
    expected: dict[str, dict[str, Any]] = {}
    for body, how in drawn(st.tuples(RIGHT, WRITING), 200):
        data = written(body, how)
        answer = endpoint.answer("POST", {"content-type": 'Application/JSON; Charset="UTF-8"'}, data)
        if answer.status == 413:
            assert len(data) > endpoint.limit
            continue
        assert answer.status == 202, (answer, body)
        expected[json.loads(answer.body)["id"]] = body
    assert len(expected) > 50
    stored = {one["id"]: one for one in journalled()}
    assert stored.keys() == expected.keys()
    for number, body in expected.items():
        found = stored[number]
        assert found["value"] == body["value"]
        assert type(found["value"]) is type(body["value"]) or isinstance(body["value"], float)
        assert found["trace"] == body.get("trace_id", TRACE).lower()[-32:]
        assert found["name"] == body.get("name", "feedback").strip()
        assert found["comment"] == (body.get("comment") or None) or not body["comment"].strip()
        assert found["source"] == (body.get("user") or None) or not body["user"].strip()
        assert found["span"] == (body.get("span_id") or "0" * 16).lower()
        assert found["metadata"].keys() == (body.get("metadata") or {}).keys()
        assert found["source_type"] == "human"


def test_deep_bodies_under_a_high_recursion_limit(tmp_path: Path) -> None:
    """No body runs out of the stack, where the application has lifted Python's own limit."""
    code = f"""
import sys
sys.setrecursionlimit(10**7)
from autotrace.serving.feedback_endpoint import FeedbackEndpoint
endpoint = FeedbackEndpoint("/f", lambda *a, **k: "", lambda r: None)
for body in (b"[" * 65000, b'{{"a":' * 10000, b'{{"value":' + b"[" * 32000 + b"]" * 32000 + b"}}"):
    print(endpoint.answer("POST", {JSON!r}, body).status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, ["400"] * 3), done.stderr


def test_answers_cannot_be_taken_for_a_page(endpoint: FeedbackEndpoint, clean: None) -> None:
    """Script in what is sent is neither in the answer, nor would a browser run it: JSON, and not to be guessed at."""
    script = "<script>alert(1)</script>"
    for method, headers, body in (
        ("POST", JSON, json.dumps({"trace_id": script, "value": script})),
        ("POST", JSON, json.dumps({script: script})),
        ("POST", {"content-type": "text/html"}, script),
        ("GET", {"origin": script, "content-type": script}, script),
        (script, {script: script}, script),
    ):
        answer = endpoint.answer(method, headers, body.encode())
        assert script not in _text(answer)
        assert dict(answer.headers)["content-type"] == "application/json"
        assert dict(answer.headers)["x-content-type-options"] == "nosniff"


def _text(answer: Answer) -> str:
    return f"{answer.headers} {answer.body!r}"


def test_schema_is_one() -> None:
    """The published schema is a JSON schema, and what it says of limits is what a body of that size needs."""
    VALIDATOR.check_schema(SCHEMA)
    assert VALIDATOR.is_valid({"trace_id": TRACE, "value": True})
    assert not VALIDATOR.is_valid({"value": True})
