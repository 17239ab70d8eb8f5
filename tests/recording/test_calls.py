"""One span a call, in every shape that a call can have; and the call is what it was."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.context import get_current
from opentelemetry.trace import StatusCode, get_current_span

from autotrace import activation

from ..conftest import Collected

Shape = Callable[..., Any]


def drain(stream: Any) -> str:
    return " ".join(stream)


async def drain_async(stream: Any) -> str:
    return " ".join([word async for word in stream])


def sync(client: Any, prompt: str, **more: Any) -> Any:
    return client.complete(prompt, **more).text


def coroutine(client: Any, prompt: str, **more: Any) -> Any:
    return asyncio.run(client.complete_async(prompt, **more)).text


def plain_coroutine(client: Any, prompt: str, **more: Any) -> Any:
    return asyncio.run(client.later(prompt, **more)).text


def generator(client: Any, prompt: str, **more: Any) -> Any:
    return drain(client.words(prompt, **more))


def async_generator(client: Any, prompt: str, **more: Any) -> Any:
    return asyncio.run(drain_async(client.words_async(prompt, **more)))


def stream(client: Any, prompt: str, **more: Any) -> Any:
    return drain(client.stream(prompt, **more))


def async_stream(client: Any, prompt: str, **more: Any) -> Any:
    async def use() -> str:
        return await drain_async(await client.stream_async(prompt, **more))

    return asyncio.run(use())


SHAPES = [sync, coroutine, plain_coroutine, generator, async_generator, stream, async_stream]
STREAMED = (generator, async_generator, stream, async_stream)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_call_is_one_span(acme: Any, spans: Collected, shape: Shape) -> None:
    """Every shape of a call gives one complete span and the framework's own result."""
    result = shape(acme.Client(), "hello there")
    assert result == ("hello there" if shape in STREAMED else "HELLO THERE")
    span = spans.one()
    attributes = dict(span.attributes)
    first_chunk = attributes.pop("gen_ai.response.time_to_first_chunk", None)
    assert (first_chunk is not None) == (shape in STREAMED)
    said = [{"role": "user", "parts": [{"type": "text", "content": "hello there"}]}]
    assert json.loads(attributes.pop("gen_ai.input.messages")) == said
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": result}], "finish_reason": "stop"}]
    assert json.loads(attributes.pop("gen_ai.output.messages")) == answer
    assert attributes == {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.system": "acme",
        "gen_ai.request.model": "acme-1",
        "gen_ai.response.model": "acme-1-large",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2 if shape in STREAMED else 5,
    }
    assert span.name == "chat acme-1"
    assert span.status.status_code is StatusCode.OK
    assert span.parent is None


@pytest.mark.parametrize("call", [lambda acme: acme.complete("hi"), lambda acme: acme.Client.measure("hi")])
def test_functions_and_static_methods(acme: Any, spans: Collected, call: Shape) -> None:
    """A module's function and a static method give a span with the call's input and output."""
    reply = call(acme)
    span = spans.one()
    assert json.loads(span.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == reply.text
    assert "hi" in span.attributes["gen_ai.input.messages"]


def test_class_methods(acme: Any, spans: Collected) -> None:
    """A class method is called with the class that it was called on."""
    assert acme.Client.quick("a").text == "Client a"
    assert acme.Loud.quick("b").text == "Loud b"
    assert acme.Client().quick("c").text == "Client c"
    asked = [json.loads(span.attributes["gen_ai.input.messages"])[0]["parts"][0]["content"] for span in spans.finished]
    assert asked == ["a", "b", "c"]


def test_inherited_methods(acme: Any, spans: Collected) -> None:
    """A subclass that inherits a patched method is traced, once a call."""
    acme.Loud().complete("hi")
    assert spans.one().name == "chat acme-1"


class Refused(ValueError):
    """The framework's own error."""


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [Refused, KeyboardInterrupt, MemoryError])
def test_errors_pass_through(acme: Any, spans: Collected, shape: Shape, kind: type[BaseException]) -> None:
    """The very error of the framework reaches the caller, with its cause and its frames; the span tells of it."""
    cause = OSError("the reason")
    error = kind("no more of this")

    def fail() -> None:
        raise error from cause

    with pytest.raises(kind) as caught:
        shape(acme.Client(), "hello there", work=fail)
    assert caught.value is error
    assert error.__cause__ is cause
    assert "fail" in [frame.name for frame in caught.traceback]
    span = spans.one()
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    assert span.attributes["error.type"] == name
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "no more of this"
    assert [event.attributes["exception.message"] for event in span.events] == ["no more of this"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("kind", "outcome"), [(SystemExit, "exited"), (GeneratorExit, "closed"), (asyncio.CancelledError, "cancelled")]
)
def test_what_is_no_failure(acme: Any, spans: Collected, shape: Shape, kind: type[BaseException], outcome: str) -> None:
    """An exit, a close and a cancellation pass through; the span is neither an error nor OK, and says which."""

    def leave() -> None:
        raise kind

    with pytest.raises(kind):
        shape(acme.Client(), "hello there", work=leave)
    span = spans.one()
    assert span.status.status_code is StatusCode.UNSET
    # A GeneratorExit inside of a stream is what its garbage collection looks like.
    told = span.attributes["autotrace.outcome"]
    assert told == outcome or (kind is GeneratorExit and told == "abandoned")
    assert "error.type" not in span.attributes
    assert list(span.events) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_stop_iteration(acme: Any, spans: Collected, shape: Shape) -> None:
    """A StopIteration that the framework raises by mistake becomes what it becomes without us."""

    def stop() -> None:
        raise StopIteration

    with pytest.raises(StopIteration if shape is sync else RuntimeError):
        shape(acme.Client(), "hello there", work=stop)
    assert spans.one().status.status_code is StatusCode.ERROR


def test_wrong_arguments(acme: Any, spans: Collected) -> None:
    """A call that the function does not take fails as it does without us."""
    with pytest.raises(TypeError, match="complete"):
        acme.Client().complete(nonsense=1, prompt="hi")
    assert spans.one().attributes["error.type"] == "TypeError"


def test_a_call_that_is_not_ours(acme: Any, spans: Collected) -> None:
    """Where the request mapper answers None there is no span."""
    with pytest.raises(AttributeError):
        acme.Client().complete(None)
    assert spans.finished == []


@pytest.mark.parametrize("method", ["complete_async", "later"])
def test_never_awaited(acme: Any, spans: Collected, method: str) -> None:
    """A coroutine that is never awaited keeps Python's warning under the framework's name, and leaves no OK span."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(acme.Client(), method)("hi")
        told = {str(warning.message) for warning in caught}
        caught.clear()  # each holds its coroutine
    name = "Client.complete_async" if method == "complete_async" else "Client._later"
    assert told == {f"coroutine '{name}' was never awaited"}
    assert [span.attributes["autotrace.outcome"] for span in spans.finished] == (
        [] if method == "complete_async" else ["abandoned"]
    )


def test_nothing_happens_before_the_await(acme: Any, spans: Collected) -> None:
    """A coroutine function's body, and its span, begin when it is awaited."""
    seen: list[str] = []
    pending = acme.Client().complete_async("hi", work=lambda: seen.append("called"))
    assert inspect.iscoroutine(pending)
    assert seen == []
    asyncio.run(pending)
    assert seen == ["called"]
    assert spans.one().status.status_code is StatusCode.OK


def test_cancelled(acme: Any, spans: Collected) -> None:
    """A task that is cancelled while it waits ends its span and stays cancelled."""

    async def main() -> None:
        waiting = asyncio.Event()

        def wait() -> Any:
            waiting.set()
            return asyncio.Event().wait()

        task = asyncio.create_task(acme.Client().complete_async("hi", work=wait))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert spans.one().attributes["autotrace.outcome"] == "cancelled"


@pytest.mark.parametrize("shape", SHAPES)
def test_current_around_the_call(acme: Any, spans: Collected, shape: Shape) -> None:
    """The call's span is the current one while the framework works, and no longer."""
    seen: list[Any] = []
    shape(acme.Client(), "hi", work=lambda: seen.append(get_current_span().get_span_context().span_id))
    if shape not in (stream, async_stream):  # what a stream object does between pieces is the program's time
        assert seen == [spans.one().get_span_context().span_id]
    assert not get_current_span().get_span_context().is_valid


def test_events(acme: Any, spans: Collected) -> None:
    """A function declared as an event becomes one of the model call that it happens in; nothing outside of one."""
    client = acme.Client()
    client.retry(0)
    client.complete("hi", work=lambda: client.retry(attempt=2))
    assert [(event.name, dict(event.attributes)) for event in spans.one().events] == [("retry", {"attempt": 2})]


def test_a_stranger_in_place_of_the_reply(acme: Any, spans: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply of unknown shape reaches the caller as it is; the span is kept without it and the fault counted."""
    from autotrace.recording.guard import guard

    strange = object()
    monkeypatch.setattr(acme.client, "Reply", lambda text: strange)
    assert acme.Client().complete("hi") is strange
    assert acme.Client().complete("hi") is strange
    assert [span.attributes["gen_ai.request.model"] for span in spans.finished] == ["acme-1", "acme-1"]
    (failure,) = guard.failures.values()
    assert (failure.where, failure.count) == ("acme: acme.client.Client.complete: response mapper", 2)
    guard.reset()


def in_place(acme: Any, spans: Collected, function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function in the place of `Client.complete`, patched."""
    activation.active().reset()
    monkeypatch.setattr(acme.Client, "complete", function)
    activation.autolog(tracer_provider=spans.provider)
    return acme.Client().complete


@pytest.mark.parametrize("end", ["result", "error", "cancelled", "forgotten"])
def test_a_future(acme: Any, spans: Collected, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """A call that returns a future ends with it; the future is the framework's own, and nothing of it is taken."""
    made: list[Any] = []

    def complete(self: Any, prompt: str) -> Any:
        made.append(asyncio.get_running_loop().create_future())
        return made[-1]

    call = in_place(acme, spans, complete, monkeypatch)

    async def main() -> None:
        future = call("hi")
        assert future is made[0]
        assert not get_current()
        assert spans.finished == []
        if end == "result":
            future.set_result(acme.Reply("yes"))
        elif end == "error":
            future.set_exception(LookupError("no"))
        elif end == "cancelled":
            future.cancel()
        made.clear()
        await asyncio.sleep(0)
        if end == "error":
            assert future._log_traceback, "asyncio takes the error for seen"
            with pytest.raises(LookupError):
                await future
        del future

    asyncio.run(main())
    gc.collect()
    span = spans.one()
    outcome = span.attributes.get("autotrace.outcome")
    assert outcome == {"cancelled": "cancelled", "forgotten": "abandoned"}.get(end)
    assert span.attributes.get("error.type") == ("LookupError" if end == "error" else None)
    assert ("gen_ai.output.messages" in span.attributes) == (end == "result")


def test_a_function_that_the_framework_hands_on(acme: Any, spans: Collected) -> None:
    """A function goes by several names in its package: a patch of one of them counts for all (law L30)."""
    activation.autolog(disable=True)
    original = acme.client.complete
    assert acme.complete is original
    activation.autolog(disable=False)
    assert acme.complete("hi").text == acme.client.complete("hi").text == "HI"
    assert [span.name for span in spans.finished] == ["chat acme-1", "chat acme-1"]
    activation.autolog(disable=True)
    assert acme.complete is acme.client.complete is original
