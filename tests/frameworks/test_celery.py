"""Celery's tasks, run by a worker in this process: each a trace of its own, linked to what sent it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, chain, group
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, Reject
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import autotrace
from autotrace import activation
from autotrace.config import PREFIX
from autotrace.recording.guard import guard

from ..conftest import LightCollected


class Jobs:
    """An application's tasks; one of them leads to no traced call."""

    def __init__(self) -> None:
        app = self.app = Celery("jobs", broker="memory://", backend="cache+memory://", set_as_current=False)
        app.conf.task_default_queue = "questions"
        self.seen: list[Any] = []

        @app.task(shared=False, name="answer")
        def answer(question: str, tone: str = "kind") -> str:
            with autotrace.span("chat", input=question):
                return f"because {question}"

        @app.task(shared=False, name="add")
        def add(x: int, y: int) -> int:
            return x + y

        @app.task(shared=False, name="fail")
        def fail(reason: str) -> None:
            with autotrace.span("chat"):
                raise LookupError(reason)

        @app.task(shared=False, name="drop")
        def drop(error: type[Exception]) -> None:
            with autotrace.span("chat"):
                pass
            raise {"ignore": Ignore, "reject": Reject}[str(error)]("enough")

        @app.task(shared=False, name="again", bind=True)
        def again(self: Any) -> str:
            with autotrace.span("chat"):
                pass
            if self.request.retries < 2:
                raise self.retry(countdown=0, exc=OSError("busy"))
            return "done"

        @app.task(shared=False, name="passes_on", bind=True)
        def passes_on(self: Any, question: str) -> None:
            self.replace(answer.s(question)) if question else None

        @app.task(shared=False, name="looks", bind=True)
        def looks(self: Any) -> None:
            jobs.seen.append(self.request.headers)

        jobs = self
        self.answer, self.add, self.fail, self.drop, self.again = answer, add, fail, drop, again
        self.passes_on, self.looks = passes_on, looks


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Jobs, LightCollected]]:
    """A worker in a thread, which takes seconds to stop; switched on before it makes its functions."""
    collected = LightCollected()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith((PREFIX, "OTEL_")):
                patch.delenv(name)
        activation.active().reset()
        autotrace.autolog(tracer_provider=collected.provider)
        jobs = Jobs()
        with start_worker(jobs.app, perform_ping_check=False, pool="solo"):
            yield jobs, collected
        activation.active().reset()


@pytest.fixture
def jobs(running: tuple[Jobs, LightCollected]) -> Iterator[Jobs]:
    """The tasks."""
    jobs, collected = running
    collected.finished.clear()
    jobs.seen.clear()
    yield jobs
    jobs.app.conf.task_always_eager = False
    assert guard.failures == {}


@pytest.fixture
def spans(running: tuple[Jobs, LightCollected], jobs: Jobs) -> LightCollected:
    """The spans of this test."""
    return running[1]


@pytest.fixture
def roots(spans: LightCollected) -> Callable[[int], list[Any]]:
    """Waits until so many tasks have ended; their spans, in that order."""

    def wait(number: int) -> list[Any]:
        deadline = time.monotonic() + 20
        while True:
            found = [span for span in spans.finished if span.name.startswith("process ")]
            if len(found) >= number:
                assert len(found) == number
                return found
            assert time.monotonic() < deadline, [span.name for span in spans.finished]
            time.sleep(0.01)

    return wait


def test_a_task_is_a_trace(jobs: Jobs, spans: LightCollected, roots: Callable[[int], list[Any]]) -> None:
    """Name, input by parameters, output, and what the conventions want of a message."""
    sent = jobs.answer.delay("why", tone="gruff")
    assert sent.get(timeout=20, interval=0.01) == "because why"
    (root,) = roots(1)
    assert (root.name, root.kind, root.status.status_code) == ("process answer", SpanKind.CONSUMER, StatusCode.OK)
    assert root.parent is None
    assert not root.links
    assert spans.named("chat").parent.span_id == root.get_span_context().span_id
    told = dict(root.attributes)
    assert told.pop("input.value") == '{"question":"why","tone":"gruff"}'
    assert told.pop("output.value") == "because why"
    assert {key: value for key, value in told.items() if key.startswith(("messaging.", "celery.", "autotrace."))} == {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "questions",
        "messaging.message.id": sent.id,
        "celery.task_name": "answer",
        "celery.retries": 0,
        "autotrace.request.id": sent.id,
    }


def test_without_a_traced_call_no_trace(jobs: Jobs, spans: LightCollected, roots: Callable[[int], list[Any]]) -> None:
    """A task that leads to no traced call leaves nothing, also where it sends one that does."""
    assert jobs.add.delay(1, 2).get(timeout=20, interval=0.01) == 3
    assert chain(jobs.add.s(1, 2), jobs.answer.s()).delay().get(timeout=20, interval=0.01) == "because 3"
    roots(1)
    assert [span.name for span in spans.finished] == ["chat", "process answer"]


def test_linked_to_its_sender(jobs: Jobs, spans: LightCollected, roots: Callable[[int], list[Any]]) -> None:
    """A trace of its own, with a link to the span that sent it; session and user come along."""
    with autotrace.context(session="s-1", user="ann"), autotrace.span("ask"):
        sent = jobs.answer.delay("why")
    sent.get(timeout=20, interval=0.01)
    (root,) = roots(1)
    sender = spans.named("ask").get_span_context()
    assert [link.context.span_id for link in root.links] == [sender.span_id]
    assert root.links[0].context.trace_id == sender.trace_id != root.get_span_context().trace_id
    assert (root.attributes["session.id"], root.attributes["user.id"]) == ("s-1", "ann")
    assert spans.named("chat").attributes["session.id"] == "s-1"


@pytest.mark.parametrize("form", ["send_task", "group", "chain", "replace", "link"])
def test_every_way_to_send(jobs: Jobs, spans: LightCollected, roots: Callable[[int], list[Any]], form: str) -> None:
    """By name, in a group, in a chain, in place of another task, as a callback: each knows who sent it."""
    forms: dict[str, Callable[[], Any]] = {
        "send_task": lambda: jobs.app.send_task("answer", ("why",)),
        "group": lambda: group(jobs.answer.s("why"), jobs.answer.s("how")).apply_async(),
        "chain": lambda: chain(jobs.answer.s("why"), jobs.answer.s()).apply_async(),
        "replace": lambda: jobs.passes_on.delay("why"),
        "link": lambda: jobs.answer.apply_async(("why",), link=jobs.answer.s()),
    }
    with autotrace.span("ask"):
        sent = forms[form]()
    sent.get(timeout=20, interval=0.01)
    found = roots(1 if form in ("send_task", "replace") else 2)
    sender = spans.named("ask").get_span_context()
    assert all(len(root.links) == 1 for root in found)
    assert [link.context.span_id for link in found[0].links] == [sender.span_id]
    assert len({root.get_span_context().trace_id for root in found}) == len(found)


def test_sent_by_a_request(jobs: Jobs, spans: LightCollected, roots: Callable[[int], list[Any]]) -> None:
    """A request that sends a task and leads to no traced call itself leaves no trace; whose it is comes along."""

    def ask(_: Request) -> PlainTextResponse:
        return PlainTextResponse(jobs.answer.delay("why").id)

    client = TestClient(Starlette(routes=[Route("/", ask)]))
    response = client.get("/", headers={"x-session-id": "s-7", "x-user-id": "bob"})
    (root,) = roots(1)
    assert root.attributes["autotrace.request.id"] == response.text
    assert (root.attributes["session.id"], root.attributes["user.id"]) == ("s-7", "bob")
    assert [span.name for span in spans.finished] == ["chat", "process answer"]


def test_a_chain_is_linked_step_by_step(jobs: Jobs, spans: LightCollected, roots: Callable[[int], list[Any]]) -> None:
    """Each step is linked to the one that sent it; a step that leaves no trace hands on who sent itself."""
    with autotrace.context(session="s-1"), autotrace.span("ask"):
        sent = chain(jobs.answer.s("why"), jobs.answer.s()).delay()
        other = chain(jobs.add.s(1, 2), jobs.answer.s()).delay()
    assert (sent.get(timeout=20, interval=0.01), other.get(timeout=20)) == ("because because why", "because 3")
    by_output = {root.attributes["output.value"]: root for root in roots(3)}
    ask, first = spans.named("ask").get_span_context(), by_output["because why"].get_span_context()
    linked = {output: root.links[0].context.span_id for output, root in by_output.items()}
    assert linked == {"because why": ask.span_id, "because because why": first.span_id, "because 3": ask.span_id}
    assert {root.attributes["session.id"] for root in by_output.values()} == {"s-1"}


def test_failures(jobs: Jobs, roots: Callable[[int], list[Any]]) -> None:
    """What a task failed with, where it was raised."""
    with pytest.raises(LookupError, match="no answer"):
        jobs.fail.delay("no answer").get(timeout=20, interval=0.01)
    (root,) = roots(1)
    assert (root.status.status_code, root.status.description) == (StatusCode.ERROR, "no answer")
    assert root.attributes["error.type"] == "LookupError"
    assert "raise LookupError(reason)" in root.events[0].attributes["exception.stacktrace"]


@pytest.mark.parametrize(("how", "outcome"), [("ignore", "ignored"), ("reject", "rejected")])
def test_neither_result_nor_failure(jobs: Jobs, roots: Callable[[int], list[Any]], how: str, outcome: str) -> None:
    """A task that is dropped or given back has not failed."""
    jobs.drop.delay(how)
    (root,) = roots(1)
    assert (root.attributes["autotrace.outcome"], root.status.status_code) == (outcome, StatusCode.UNSET)


@pytest.mark.parametrize("ignore_result", [False, True])
def test_retries(jobs: Jobs, roots: Callable[[int], list[Any]], ignore_result: bool) -> None:
    """Each attempt is a trace, all by one request id; an attempt that is put off has not failed."""
    with autotrace.span("ask"):
        sent = jobs.again.apply_async(ignore_result=ignore_result)
    found = roots(3)
    assert [root.attributes.get("autotrace.outcome") for root in found] == ["retried", "retried", None]
    assert [root.attributes["celery.retries"] for root in found] == [0, 1, 2]
    assert {root.attributes["autotrace.request.id"] for root in found} == {sent.id}
    assert len({root.links[0].context.span_id for root in found}) == 1


def test_eager(jobs: Jobs, spans: LightCollected) -> None:
    """A task that runs where it is called is part of what calls it."""
    jobs.app.conf.task_always_eager = True
    with autotrace.span("ask"):
        assert jobs.answer.delay("why").get() == "because why"
        assert jobs.add.delay(1, 2).get() == 3
        with pytest.raises(LookupError):
            jobs.fail.apply(("no",), throw=True)
    ask, (answer, fail) = spans.named("ask"), [s for s in spans.finished if s.name.startswith("process ")]
    assert {one.parent.span_id for one in (answer, fail)} == {ask.get_span_context().span_id}
    assert (answer.kind, answer.attributes["output.value"]) == (SpanKind.INTERNAL, "because why")
    assert fail.attributes["error.type"] == "LookupError"


def test_called_as_a_function(jobs: Jobs, spans: LightCollected) -> None:
    """A task that is called like any function is no task."""
    assert jobs.answer("why") == "because why"
    assert [span.name for span in spans.finished] == ["chat"]


def test_headers_of_the_program(jobs: Jobs, spans: LightCollected, roots: Callable[[int], list[Any]]) -> None:
    """The program's own headers stay, a `traceparent` among them; outside of a trace there are none of ours."""
    theirs = f"00-{'1' * 32}-{'2' * 16}-01"
    jobs.looks.delay().get(timeout=20, interval=0.01)
    with autotrace.span("ask"):
        jobs.looks.apply_async(headers={"traceparent": theirs, "color": "red"}).get(timeout=20, interval=0.01)
        jobs.answer.apply_async(("why",), headers={"traceparent": theirs}).get(timeout=20, interval=0.01)
    assert jobs.seen == [None, {"traceparent": theirs, "color": "red"}]
    (root,) = roots(1)
    assert root.links[0].context.span_id == 0x2222222222222222


def test_wrong_arguments(jobs: Jobs, spans: LightCollected) -> None:
    """A message that does not fit the task fails as ever; a header of another shape is passed over."""
    sent = jobs.app.send_task("answer", (1, 2, 3), headers={"traceparent": ["no", 1]})
    with pytest.raises(TypeError):
        sent.get(timeout=20, interval=0.01)
    assert spans.finished == []


def test_switched_off(jobs: Jobs, spans: LightCollected) -> None:
    """Switched off while the worker runs: its tasks are no traces from then on, and messages carry nothing."""
    autotrace.autolog("celery", disable=True)
    try:
        with autotrace.span("ask"):
            assert jobs.answer.delay("why").get(timeout=20, interval=0.01) == "because why"
            jobs.looks.delay().get(timeout=20, interval=0.01)
    finally:
        autotrace.autolog("celery")
    assert jobs.seen == [None]
    assert [span.name for span in spans.finished] == ["chat", "ask"]
