"""Runs: what a framework reports itself becomes spans, in the tree that it reports."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry.context import get_current
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanContext

from autotrace.recording.boundaries import BoundaryFunction
from autotrace.recording.families import Family
from autotrace.recording.guard import guard
from autotrace.recording.privacy import Policy
from autotrace.recording.recorder import Recorder
from autotrace.recording.runs import Ended, Run, Runs

from ..conftest import Collected


@pytest.fixture
def runs(spans: Collected) -> Iterator[Runs]:
    """The runs of a framework, of which none is left open."""
    found = Runs(Recorder("acme", spans.provider.get_tracer("acme"), Policy("full", None)))
    yield found
    assert len(found) == 0
    assert not get_current()


def test_until(runs: Runs, spans: Collected) -> None:
    """A run that ends with another one ends when that does, with what is told of that."""
    runs.start(Run("root", values={"name": "root"}), make_current=True)
    runs.start(Run("writer"))
    runs.end(Ended("root", {"output_value": "so far"}, until="writer"))
    assert not get_current()
    assert spans.finished == []
    runs.end(Ended("writer", {"output_value": "all"}))
    assert spans.one().attributes["output.value"] == "all"


def test_until_fails(runs: Runs, spans: Collected) -> None:
    """It fails as that fails."""
    runs.start(Run("root", values={"name": "root"}))
    runs.start(Run("writer"))
    runs.end(Ended("root", until="writer"))
    runs.end(Ended("writer", error=ValueError("lost")))
    assert spans.one().attributes["error.type"] == "ValueError"


def test_until_what_is_over(runs: Runs, spans: Collected) -> None:
    """It ends at once where that is over."""
    runs.start(Run("root", values={"name": "root"}))
    runs.start(Run("writer"))
    runs.end(Ended("writer", {"output_value": "all"}))
    runs.end(Ended("root", {"output_value": "mine"}, until="writer"))
    assert spans.one().attributes["output.value"] == "mine"


def test_until_what_is_gone(runs: Runs, spans: Collected) -> None:
    """It is abandoned with that."""

    class Answer:
        pass

    answer = Answer()
    runs.start(Run("root", values={"name": "root"}))
    runs.start(Run("writer", holder=answer))
    runs.end(Ended("root", until="writer"))
    assert spans.finished == []
    del answer
    assert spans.one().attributes["autotrace.outcome"] == "abandoned"


def test_until_in_a_race(runs: Runs, spans: Collected) -> None:
    """Whichever of two threads ends its run first, both runs end, once."""
    for number in range(200):
        runs.start(Run(("root", number), values={"name": "root"}))
        runs.start(Run(("writer", number)))
        barrier = threading.Barrier(2)

        def write(at: threading.Barrier = barrier, number: int = number) -> None:
            at.wait()
            runs.end(Ended(("writer", number)))

        thread = threading.Thread(target=write)
        thread.start()
        barrier.wait()
        runs.end(Ended(("root", number), until=("writer", number)))
        thread.join()
    assert len(spans.finished) == 200


def test_a_parent_that_is_not_current(runs: Runs, spans: Collected) -> None:
    """Where runs are made current, one lies in what is current, whatever parent its framework names."""
    from opentelemetry.context import attach, detach

    runs.start(Run("one", values={"name": "one"}), make_current=True)
    token = attach(type(get_current())())  # as in a task that was made before
    assert runs.find("one") is not None
    assert runs.around("one") is None
    runs.start(Run("two", "one", values={"name": "two"}), make_current=True)
    assert runs.around("two") is not None
    runs.end(Ended("two"))
    detach(token)
    assert runs.around("one") is not None
    runs.end(Ended("one"))
    assert [span.parent for span in spans.finished] == [None, None]


@pytest.mark.parametrize("hidden", [1, 3])
def test_inside_hidden_runs(runs: Runs, spans: Collected, hidden: int) -> None:
    """What runs inside runs without a span stays in what is current there, such as a call that is traced otherwise."""
    for number in range(hidden):
        runs.start(Run(number, number - 1 if number else None), make_current=True)
    recorder = runs._recorder
    operation = recorder.start("chat", {"model": "m"})
    from autotrace.recording.current import enter, leave

    token = enter(operation.context)
    runs.start(Run("inner", hidden - 1, values={"name": "inner"}), make_current=True)
    runs.end(Ended("inner"))
    leave(token)
    operation.finish()
    for number in reversed(range(hidden)):
        runs.end(Ended(number))
    inner: Any = spans.named("inner")
    assert inner.parent.span_id == spans.named("chat m").get_span_context().span_id


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "closed"), (GeneratorExit(), "closed"), (KeyError("in close"), "KeyError")],
    ids=["well", "closed", "failed"],
)
def test_what_ends_while_its_stream_is_closed(
    runs: Runs, spans: Collected, error: BaseException | None, status: str
) -> None:
    """A run that ends while its stream is closed is closed, unless it fails; one that begins then is not (law L03)."""
    family = Family()
    runs.start(Run("before", values={"name": "before"}))
    token = family.closing()
    runs.start(Run("meanwhile", "before", values={"name": "meanwhile"}))
    runs.end(Ended("meanwhile"))
    runs.end(Ended("before", error=error))
    family.closed(token)
    attributes: Any = spans.named("before").attributes
    assert status in (attributes.get("autotrace.outcome"), attributes.get("error.type"))
    assert "autotrace.outcome" not in (spans.named("meanwhile").attributes or {})


class Raising(NoOpTracer):
    """An application's own tracer, whose spans raise whenever something is said of them."""

    class _Span(NonRecordingSpan):
        def __init__(self) -> None:
            super().__init__(SpanContext(1, 1, is_remote=False))

        def is_recording(self) -> bool:
            return True

        def set_attribute(self, key: str, value: Any) -> None:
            raise RuntimeError("theirs")

        def set_attributes(self, attributes: Any) -> None:
            raise RuntimeError("theirs")

        def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
            raise RuntimeError("theirs")

        def end(self, end_time: int | None = None) -> None:
            raise RuntimeError("theirs")

    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._Span()


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Runs whose spans raise; what fails is counted, and is nobody else's matter."""
    monkeypatch.setattr(guard, "strict", False)
    yield Runs(Recorder("acme", Raising(), Policy("full", None)))
    assert guard.failures
    guard.reset()


def boundary(runs: Runs, function: Any, run: Any = None) -> Any:
    """`function` as a boundary of `runs`."""
    wrapped = BoundaryFunction(
        "acme: work", runs, function, {}, run=run, values=None, waits=run is None, is_family=True
    )
    return lambda *args: wrapped(function, None, args, {})


def test_a_raising_span_in_a_generator(raising: Runs) -> None:
    """An app's span that raises does not reach the program's own iteration (law L20)."""

    def work() -> Iterator[int]:
        raising.start(Run("one", values={"name": "one"}))
        yield 1
        yield 2
        raising.end(Ended("one"))

    assert list(boundary(raising, work)()) == [1, 2]


def test_a_raising_span_in_an_async_generator(raising: Runs) -> None:
    """Nor the asynchronous one, when that is left either (law L20)."""

    async def work() -> AsyncIterator[int]:
        raising.start(Run("one", values={"name": "one"}))
        yield 1
        yield 2

    async def main() -> list[int]:
        found = []
        pieces = boundary(raising, work)()
        async for piece in pieces:
            found.append(piece)
            break
        await pieces.aclose()
        return found

    assert asyncio.run(main()) == [1]
    raising.end(Ended("one"))


def test_a_raising_span_of_cancelled_work(raising: Runs) -> None:
    """Nor the place of the exception that ends the work (law L20)."""

    def work() -> None:
        raise KeyboardInterrupt

    raising.start(Run("one", values={"name": "one"}))
    with pytest.raises(KeyboardInterrupt):
        boundary(raising, work, run=lambda call: "one")()
    assert len(raising) == 0


def test_steps_that_a_framework_reports(acme: Any, spans: Collected) -> None:
    """Steps that a framework tells its listeners of are a tree of spans; its listeners hear what they heard."""
    heard: list[Any] = []
    bus = acme.Bus([lambda what, step: heard.append((what, step, get_current() is not None))])
    assert acme.Pipeline(bus).run("who").text == "WHO?"
    assert [step[:2] for step in heard] == [("started", 1), ("started", 2), ("ended", 2), ("ended", 1)]
    root = spans.named("invoke_workflow pipeline")
    assert root.attributes["output.value"] == "WHO?"
    parents = {span.name: span.parent and span.parent.span_id for span in spans.finished}
    own = root.get_span_context().span_id
    assert parents == {"invoke_workflow pipeline": None, "execute_tool look_up": own, "chat acme-1": own}


def test_a_step_that_fails(acme: Any, spans: Collected) -> None:
    """A step that fails is an error with its type, and so is what it fails."""
    with pytest.raises(LookupError, match="nothing to look for"):
        acme.Pipeline().run("")
    assert [span.attributes["error.type"] for span in spans.finished] == ["LookupError", "LookupError"]
