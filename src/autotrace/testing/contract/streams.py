"""Laws: nothing is read ahead, and a stream that is left ends its span, however it is left."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import pytest

from ..recorded import RecordedSpan, Spans
from .forms import Forms, every_form, streamed_forms, turns


# What a framework warns of when its connection is dropped is its own: it would do so without tracing.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
class Streams(Forms):
    """Streams and cancelled calls."""

    @streamed_forms
    def test_streams_keep_their_class(self, spans: Spans, form: str) -> None:
        """A stream has the class that it has without tracing (law L02)."""
        traced = self._kind(form)
        self._untraced(spans)
        assert traced is self._kind(form)

    @streamed_forms
    def test_nothing_is_read_ahead(self, spans: Spans, form: str) -> None:
        """Pieces reach the program as they come: an error further down the stream is not met before them (law L10)."""
        pieces, error = self._broken(form)
        self._untraced(spans)
        plain, expected = self._broken(form)
        assert plain, "the stream that should break gives no piece before"
        assert [self.value(one) for one in pieces] == [self.value(one) for one in plain]
        assert type(error) is type(expected)

    @streamed_forms
    def test_a_stream_that_breaks_is_an_error(self, spans: Spans, form: str) -> None:
        """A stream that raises ends its span, with the error (law L20)."""
        self._broken(form)
        span = self._call(spans)
        assert span.status == "error", f"a stream that raised has the status {span.status}, {span.outcome}"
        assert span["error.type"]

    @streamed_forms
    def test_breaking_out_of_a_stream(self, spans: Spans, form: str) -> None:
        """A stream that is left by `break` ends its span, which is no success (laws L03, L05, L38)."""
        self._needs(form)
        if form == "stream":
            for _ in self.stream(self.prompt):
                break
            gc.collect()
        else:

            async def left() -> None:
                async for _ in await self.astream(self.prompt):
                    break
                await turns()

            self._in_loop(left)
        self._left(spans)

    @streamed_forms
    def test_closing_a_stream(self, spans: Spans, form: str) -> None:
        """A stream that is closed has ended its span when `close` returns (law L04)."""
        self._needs(form)

        def ended(stream: Any) -> None:
            assert spans.all(), "the stream is closed, and its span is open"
            del stream

        if form == "stream":
            stream: Any = self.stream(self.prompt)
            next(iter(stream))
            _closing(stream)()
            ended(stream)
        else:

            async def closed() -> None:
                stream: Any = await self.astream(self.prompt)
                await anext(aiter(stream))
                done = _closing(stream)()
                if hasattr(done, "__await__"):
                    await done
                if self.closes_late:
                    await turns()
                ended(stream)

            self._in_loop(closed)
        self._left(spans)

    @streamed_forms
    def test_leaving_the_block_of_a_stream(self, spans: Spans, form: str) -> None:
        """`with stream:` works, and has ended the span when the block is left (law L03)."""
        self._needs(form)
        if form == "stream":
            stream: Any = self.stream(self.prompt)
            if not hasattr(stream, "__enter__"):
                pytest.skip(f"{type(stream).__name__} is no context manager")
            with stream as entered:
                next(iter(entered))
            assert spans.all(), "the block is left, and the span is open"
        else:
            self._in_loop(lambda: self._leave_async(spans))
        self._left(spans)

    async def _leave_async(self, spans: Spans) -> None:
        stream: Any = await self.astream(self.prompt)
        if not hasattr(stream, "__aenter__"):
            pytest.skip(f"{type(stream).__name__} is no asynchronous context manager")
        async with stream as entered:
            await anext(aiter(entered))
        assert spans.all(), "the block is left, and the span is open"

    @streamed_forms
    def test_a_stream_that_is_never_read(self, spans: Spans, form: str) -> None:
        """A stream that nobody reads ends its span when it is gone (law L05)."""
        self._needs(form)
        kinds: list[type] = []
        if form == "stream":
            kinds.append(type(self.stream(self.prompt)))
            gc.collect()
        else:

            async def unread() -> None:
                kinds.append(type(await self.astream(self.prompt)))
                await turns()

            self._in_loop(unread)
        if spans.all() or not issubclass(kinds[0], GeneratorType | AsyncGeneratorType):
            self._left(spans)  # a generator that nobody begins has called nothing

    @streamed_forms
    def test_a_stream_that_is_dropped(self, spans: Spans, form: str) -> None:
        """A stream of which no reference is left ends its span (law L05)."""
        self._needs(form)
        if form == "stream":
            stream: Any = iter(self.stream(self.prompt))
            next(stream)
            del stream
            gc.collect()
        else:

            async def dropped() -> None:
                stream: Any = aiter(await self.astream(self.prompt))
                await anext(stream)
                del stream
                await turns()

            self._in_loop(dropped)
        self._left(spans)

    def test_a_cancelled_call(self, spans: Spans) -> None:
        """A call whose task is cancelled ends its span, and the cancellation passes (law L06)."""
        self._needs("acall")

        async def cancelled(rounds: int) -> bool:
            task = asyncio.ensure_future(self.acall(self.prompt))
            for _ in range(rounds):
                await asyncio.sleep(0)
            if task.done():
                return False
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return True

        # A framework may have waited for something before it has begun the call.
        was_cancelled = False
        for rounds in (1, 2, 4, 8, 16):
            if spans.all() or not self._in_loop(lambda rounds=rounds: cancelled(rounds)):  # type: ignore[misc]
                break
            was_cancelled = True
            gc.collect()
        if not was_cancelled:
            pytest.skip("acall() does not wait for anything, so it cannot be cancelled")
        self._left(spans)

    def test_a_cancelled_stream(self, spans: Spans) -> None:
        """A stream whose reader is cancelled ends its span, and the cancellation passes (law L06)."""
        self._needs("astream")

        async def cancelled() -> None:
            reading = asyncio.Event()

            async def read() -> None:
                async for _ in await self.astream(self.prompt):
                    reading.set()
                    await asyncio.Event().wait()

            task, begun = asyncio.ensure_future(read()), asyncio.ensure_future(reading.wait())
            await asyncio.wait((task, begun), timeout=30, return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
            if task.done():
                task.result()
                raise AssertionError("the stream gives no piece")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            await turns()

        self._in_loop(cancelled)
        self._left(spans)

    def test_a_stream_read_in_another_thread(self, spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
        """A stream that is begun in one thread and read in another is one whole span (law L08)."""
        self._needs("stream")
        with ThreadPoolExecutor(1) as other:
            stream = other.submit(self.stream, self.prompt).result()
        assert list(stream)
        assert self._call(spans).status == "ok"
        assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []

    @every_form
    def test_nothing_of_a_call_is_kept(self, spans: Spans, form: str) -> None:
        """When a call is over, tracing holds on to nothing of it: no reply, no piece of a stream (law L39)."""
        held = self._held_after(form)
        if held:
            self._untraced(spans)
            if self._held_after(form):
                pytest.skip("the framework itself keeps what it gives")
        assert not held, f"{held} of what the call gave are still held"

    def _held_after(self, form: str) -> int:
        """How many of what a call gave are there when nobody wants them any more."""
        given = self._complete(form)
        try:
            references = [weakref.ref(one) for one in given]
        except TypeError:
            pytest.skip(f"{type(given[0]).__name__} takes no weak reference")
        del given
        gc.collect()
        return sum(reference() is not None for reference in references)

    def _kind(self, form: str) -> type:
        self._needs(form)
        if form == "stream":
            stream = self.stream(self.prompt)
            kind = type(stream)
            list(stream)
            return kind

        async def kind_async() -> type:
            stream = await self.astream(self.prompt)
            async for _ in stream:
                pass
            return type(stream)

        return self._in_loop(kind_async)

    def _broken(self, form: str) -> tuple[list[Any], BaseException]:
        """The pieces of a stream that breaks, and the error with which it does."""
        method = {"stream": "broken_stream", "astream": "broken_astream"}[form]
        self._needs(method)
        pieces: list[Any] = []

        async def read() -> None:
            async for piece in await self.broken_astream(self.prompt):
                pieces.append(piece)

        try:
            if form == "stream":
                for piece in self.broken_stream(self.prompt):
                    pieces.append(piece)
            else:
                self._in_loop(read)
        except Exception as error:  # noqa: BLE001 (the framework's own)
            return pieces, error
        raise AssertionError(f"{method}() raised nothing: the framework's error was lost")

    def _left(self, spans: Spans) -> RecordedSpan:
        """The span of a call that did not come to its end."""
        span = self._call(spans)
        assert span.status != "ok", "a call that did not come to its end is told as a success"
        return span


def _closing(stream: Any) -> Any:
    """The stream's own way to be closed."""
    for name in ("close", "aclose"):
        if hasattr(stream, name):
            return getattr(stream, name)
    pytest.skip(f"{type(stream).__name__} cannot be closed")
