"""A stream's span ends exactly once, whatever becomes of the stream; and the stream is what it was."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.trace import StatusCode, get_current_span

from autotrace import activation
from autotrace.recording.guard import guard

from ..conftest import Collected

#: A stream of each kind that is used without await, and one of each kind that is awaited.
SYNC = ["words", "stream"]
ASYNC = ["words_async", "stream_async"]


async def opened(client: Any, method: str, prompt: str, **more: Any) -> Any:
    """A stream of an asynchronous kind."""
    stream = getattr(client, method)(prompt, **more)
    return await stream if inspect.isawaitable(stream) else stream


async def closed(stream: Any) -> None:
    await (stream.aclose() if inspect.isasyncgen(stream) else stream.close())


def outcome(span: Any) -> Any:
    """How it ended, where it was neither well nor badly."""
    return span.attributes.get("autotrace.outcome") if span.status.status_code is StatusCode.UNSET else "not unset"


def test_classes_stay(acme: Any, spans: Collected) -> None:
    """A stream keeps its class, a generator stays one, under its name (law L02)."""
    client = acme.Client()
    assert type(client.stream("a")) is acme.Stream
    assert inspect.isgenerator(client.words("a"))
    assert client.words("a").__qualname__ == "Client.words"
    assert inspect.isasyncgen(client.words_async("a"))
    assert client.words_async("a").__name__ == "words_async"
    assert type(asyncio.run(client.stream_async("a"))) is acme.AsyncStream


@pytest.mark.parametrize("method", SYNC)
def test_closed_early(acme: Any, spans: Collected, method: str) -> None:
    """A stream that is closed after a piece ends its span at once, with what has come (law L04)."""
    stream = getattr(acme.Client(), method)("one two three")
    assert next(stream) == "one"
    assert spans.finished == []
    stream.close()
    assert outcome(spans.one()) == "closed"
    assert '"content":"one"' in spans.one().attributes["gen_ai.output.messages"]
    if method == "stream":
        assert stream.is_closed


@pytest.mark.parametrize("method", ASYNC)
def test_closed_early_async(acme: Any, spans: Collected, method: str) -> None:
    """An asynchronous stream that is closed after a piece ends its span at once."""

    async def main() -> None:
        stream = await opened(acme.Client(), method, "one two three")
        assert await stream.__anext__() == "one"
        await closed(stream)
        assert outcome(spans.one()) == "closed"
        if method == "stream_async":
            assert stream.is_closed

    asyncio.run(main())


def test_left_by_break(acme: Any, spans: Collected) -> None:
    """Breaking out of a `with` block ends the span before the block returns (law L03)."""
    with acme.Client().stream("one two three") as stream:
        for _ in stream:
            break
    assert outcome(spans.one()) == "closed"


@pytest.mark.parametrize("method", SYNC)
@pytest.mark.parametrize("pieces", [0, 1])
def test_abandoned(acme: Any, spans: Collected, method: str, pieces: int) -> None:
    """A stream that is dropped, begun or not, ends its span, not as OK (law L05)."""
    stream = getattr(acme.Client(), method)("one two three")
    for _ in range(pieces):
        next(stream)
    del stream
    gc.collect()
    assert outcome(spans.one()) in ("abandoned", "closed")


@pytest.mark.parametrize("method", SYNC)
def test_abandoned_in_a_cycle(acme: Any, spans: Collected, method: str) -> None:
    """A stream in a reference cycle ends its span when the garbage collector finds it."""
    stream = getattr(acme.Client(), method)("one two three")
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    next(stream)
    del stream, cycle
    gc.collect()
    assert outcome(spans.one()) in ("abandoned", "closed")


@pytest.mark.parametrize("method", ASYNC)
@pytest.mark.parametrize("pieces", [0, 1])
def test_abandoned_async(acme: Any, spans: Collected, method: str, pieces: int) -> None:
    """An asynchronous stream that is dropped ends its span, without a warning."""

    async def main() -> None:
        stream = await opened(acme.Client(), method, "one two three")
        for _ in range(pieces):
            await stream.__anext__()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())  # which closes what was left, in a task that it may cancel
        gc.collect()
    assert outcome(spans.one()) in ("abandoned", "closed", "cancelled")


def test_left_by_break_async(acme: Any, spans: Collected) -> None:
    """Breaking out of `async for` over a generator ends its span as soon as asyncio closes it (law L38)."""

    async def main() -> None:
        async for _ in acme.Client().words_async("one two three"):
            break
        # One turn in which the loop makes a task of the close, one in which that runs.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert outcome(spans.one()) == "closed"

    asyncio.run(main())


@pytest.mark.parametrize("method", ASYNC)
def test_cancelled(acme: Any, spans: Collected, method: str) -> None:
    """A stream whose task is cancelled ends its span; the cancellation goes on (law L06)."""

    async def main() -> None:
        waiting = asyncio.Event()

        def wait() -> Any:
            waiting.set()
            return asyncio.Event().wait()

        async def use() -> None:
            async for _ in await opened(acme.Client(), method, "one two", work=wait):
                pass

        task = asyncio.create_task(use())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert outcome(spans.one()) == "cancelled"


@pytest.mark.parametrize("method", SYNC)
def test_closed_from_another_thread(acme: Any, spans: Collected, method: str) -> None:
    """A stream may be closed by another thread than the one that opened it."""
    stream = getattr(acme.Client(), method)("one two three")
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(stream.close).result()
    assert outcome(spans.one()) == "closed"


@pytest.mark.parametrize("method", SYNC)
def test_used_in_another_thread(acme: Any, spans: Collected, method: str) -> None:
    """A stream made in one thread and used in another gives one complete span (law L08)."""
    stream = getattr(acme.Client(), method)("one two three")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(list, stream).result() == ["one", "two", "three"]
    assert spans.one().attributes["gen_ai.usage.output_tokens"] == 3
    assert spans.one().status.status_code is StatusCode.OK


@pytest.mark.parametrize("method", ASYNC)
def test_used_in_other_tasks(acme: Any, spans: Collected, method: str) -> None:
    """A stream whose every piece is taken by another task gives one complete span."""

    async def main() -> list[str]:
        stream = await asyncio.create_task(opened(acme.Client(), method, "one two three"))
        found = []
        while True:
            try:
                found.append(await asyncio.create_task(_next(stream)))
            except StopAsyncIteration:
                return found

    async def _next(stream: Any) -> str:
        return str(await stream.__anext__())

    # A task cannot end with StopIteration, but it can with StopAsyncIteration.
    assert asyncio.run(main()) == ["one", "two", "three"]
    assert spans.one().attributes["gen_ai.usage.output_tokens"] == 3


@pytest.mark.parametrize("method", SYNC)
def test_context_between_pieces(acme: Any, spans: Collected, method: str) -> None:
    """Between pieces the program's own span and baggage are the current ones (law L07)."""
    tracer = spans.provider.get_tracer("mine")
    with tracer.start_as_current_span("mine") as mine:
        token = attach(baggage.set_baggage("tenant", "7"))
        for _ in getattr(acme.Client(), method)("one two"):
            assert get_current_span() is mine
            assert baggage.get_baggage("tenant") == "7"
            with tracer.start_as_current_span("between"):
                pass
        detach(token)
    between = [span for span in spans.finished if span.name == "between"]
    assert [span.parent.span_id for span in between] == [mine.get_span_context().span_id] * 2
    assert spans.named("chat acme-1").parent.span_id == mine.get_span_context().span_id


@pytest.mark.parametrize("method", ASYNC)
def test_context_between_pieces_async(acme: Any, spans: Collected, method: str) -> None:
    """Between pieces of an asynchronous stream the program's own span is the current one."""
    tracer = spans.provider.get_tracer("mine")

    async def main() -> None:
        with tracer.start_as_current_span("mine") as mine:
            async for _ in await opened(acme.Client(), method, "one two"):
                assert get_current_span() is mine

    asyncio.run(main())


def test_attributes_of_a_stream(acme: Any, spans: Collected) -> None:
    """What a stream object offers beside its pieces can be reached and does what it did."""
    stream = acme.Client().stream("one")
    assert not stream.is_closed
    assert iter(stream) is stream
    assert list(stream) == ["one"]
    with pytest.raises(StopIteration):
        next(stream)
    stream.close()
    assert stream.is_closed
    assert spans.one().status.status_code is StatusCode.OK


def test_send_throw_return(acme: Any, spans: Collected) -> None:
    """What is sent and thrown into a generator reaches it, and its return value comes back."""
    generator = acme.Client().words("one two")
    assert next(generator) == "one"
    assert generator.send("this") == "sent this"
    assert generator.send("that") == "sent that"
    assert next(generator) == "two"
    assert generator.throw(KeyError("x")) == "sent KeyError"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "one two"
    assert spans.one().status.status_code is StatusCode.OK


def test_thrown_through(acme: Any, spans: Collected) -> None:
    """What is thrown into a generator that does not catch it comes out again, the same object."""
    generator = acme.Client().words("one two")
    next(generator)
    error = OSError("mine")
    with pytest.raises(OSError) as caught:
        generator.throw(error)
    assert caught.value is error
    assert spans.one().attributes["error.type"] == "OSError"


def test_asend_athrow(acme: Any, spans: Collected) -> None:
    """What is sent and thrown into an asynchronous generator reaches it."""

    async def main() -> None:
        generator = acme.Client().words_async("one two")
        assert await generator.__anext__() == "one"
        assert await generator.asend("this") == "sent this"
        assert await generator.__anext__() == "two"
        assert await generator.athrow(KeyError("x")) == "sent KeyError"
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()
        await generator.aclose()

    asyncio.run(main())
    assert spans.one().status.status_code is StatusCode.OK


def test_yield_from(acme: Any, spans: Collected) -> None:
    """A generator that delegates to a traced one gets its return value."""

    def outer() -> Any:
        return (yield from acme.Client().words("one two"))

    generator = outer()
    assert [next(generator), next(generator)] == ["one", "two"]
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "one two"


@pytest.fixture
def replaced(acme: Any, spans: Collected, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Puts a function in the place of `Client.words`, patched."""

    def replace(function: Callable[..., Any]) -> Any:
        activation.active().reset()
        monkeypatch.setattr(acme.Client, "words", function)
        activation.autolog(tracer_provider=spans.provider)
        return acme.Client().words

    return replace


@pytest.mark.parametrize("end", ["close", "throw"])
def test_a_generator_that_cleans_up(spans: Collected, replaced: Any, end: str) -> None:
    """A generator that is closed runs its clean-up, with its span as the current one, before `close` returns."""
    seen: list[int] = []

    def words(self: Any, prompt: str) -> Any:
        try:
            yield prompt
        finally:
            seen.append(get_current_span().get_span_context().span_id)

    generator = replaced(words)("hi")
    next(generator)
    if end == "close":
        generator.close()
    else:
        with pytest.raises(GeneratorExit):
            generator.throw(GeneratorExit())
    assert seen == [spans.one().get_span_context().span_id]
    assert outcome(spans.one()) == "closed"


def test_a_generator_that_answers_close(spans: Collected, replaced: Any) -> None:
    """What a generator returns when it is closed comes back from `close`, where Python hands it on (3.13)."""

    def words(self: Any, prompt: str) -> Any:
        try:
            yield prompt
        except GeneratorExit:
            return "tidy"

    generator = replaced(words)("hi")
    next(generator)
    assert generator.close() == ("tidy" if sys.version_info >= (3, 13) else None)
    assert outcome(spans.one()) == "closed"


def test_a_generator_that_will_not_close(spans: Collected, replaced: Any) -> None:
    """A generator that goes on when it is closed gets Python's own complaint."""

    def words(self: Any, prompt: str) -> Any:
        try:
            yield prompt
        except GeneratorExit:
            yield "no"

    generator = replaced(words)("hi")
    next(generator)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        generator.close()
    del generator
    gc.collect()
    assert len(spans.finished) == 1


def test_two_threads_end_one_stream_once(acme: Any, spans: Collected) -> None:
    """Threads that race to close one stream end its span once."""
    for _ in range(50):
        stream = acme.Client().stream("one two")
        next(stream)
        barrier = threading.Barrier(2)

        def close(stream: Any = stream, barrier: Any = barrier) -> None:
            barrier.wait()
            stream.close()

        threads = [threading.Thread(target=close) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(spans.finished) == 50


@pytest.mark.parametrize("end", ["close", "throw"])
def test_what_a_generator_holds_is_let_go(spans: Collected, replaced: Any, end: str) -> None:
    """A generator that is closed lets go of what it holds at once: no collection has to come by."""
    released: list[bool] = []

    def inner() -> Any:
        try:
            yield "one"
        finally:
            released.append(True)

    def words(self: Any, prompt: str) -> Any:
        yield from (word for word in inner())

    gc.disable()
    try:
        generator = replaced(words)("hi")
        next(generator)
        if end == "close":
            generator.close()
        else:
            with pytest.raises(GeneratorExit):
                generator.throw(GeneratorExit())
        assert released == [True]
    finally:
        gc.enable()


def test_a_stream_class_without_the_attribute_that_is_named(
    acme: Any, spans: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that holds no iterator where its plugin says is told, and reaches the program as it is."""

    class Odd(acme.client.Stream):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.words = iter(["a", "b"])

        def __next__(self) -> str:
            return next(self.words)

    monkeypatch.setattr(acme.client, "Stream", lambda words: Odd())
    assert list(acme.Client().stream("a b")) == ["a", "b"]
    (place,) = guard.failures
    assert place == "acme: acme.client.Client.stream: stream"
    assert spans.one().name == "chat acme-1"
    guard.reset()
