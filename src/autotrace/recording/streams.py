"""Ends a span exactly once for what comes in pieces: exhausted, closed, failed, cancelled or abandoned.

Nothing is read ahead. A stream object of a framework keeps its class: only the iterator that it holds is
replaced. A generator is relayed by a generator. Pieces are kept as they are and folded into one reply when the
stream has ended, so that a piece costs the traced program next to nothing.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from types import GeneratorType
from typing import Any, cast

from opentelemetry.context import Context

from .contributions import Contribution
from .current import enter, leave
from .guard import guard
from .messages import ResponseValues
from .recorder import Operation

Fold = Callable[[list[Any]], Any]
Response = Callable[[Any], ResponseValues | None]


class Pieces:
    """What has come out of one stream so far, and the operation that it belongs to.

    Args:
        operation: Ended when the stream ends.
        where: Named when our own code fails, e.g. `openai: SyncAPIClient.request`.
        fold: From all pieces to one reply.
        response: From a reply to values.
        is_hidden: Says which pieces the user did not ask for and must not see; they are kept for the span alone.
        limit: How many pieces are kept; None for all.
        digest: From a piece that passes to what `fold` needs of it. Without it the pieces themselves are kept.

    Attributes:
        is_whole: The one piece is the reply itself (a JSON body read in chunks).
    """

    __slots__ = ("_fold", "_response", "digest", "is_hidden", "is_whole", "items", "limit", "operation", "where")

    def __init__(
        self,
        operation: Operation | Contribution,
        where: str,
        fold: Fold | None,
        response: Response | None,
        is_hidden: Callable[[Any], bool] | None = None,
        limit: int | None = None,
        digest: Callable[[Any], Any] | None = None,
    ) -> None:
        self.operation = operation
        self.items: list[Any] = []
        self.is_whole = False
        self.limit = limit
        self.is_hidden = is_hidden
        self.digest = digest
        self.where = where
        self._fold = fold
        self._response = response

    def first(self) -> None:
        """Notes when the first piece came."""
        self.operation.first_chunk()

    def take(self, item: Any) -> bool:
        """Keeps what is needed of `item`; answers whether it is one that the user did not ask for.

        Called for every piece: the commonest way through is the shortest.
        """
        items = self.items
        try:
            if items:
                if self.limit is None or len(items) < self.limit:
                    digest = self.digest
                    kept = item if digest is None else digest(item)
                    if kept is not None:
                        items.append(kept)
            else:
                self.first()
                items.append(item)
            return self.is_hidden is not None and self.is_hidden(item)
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(self.where, error)
            return False

    def end(self, outcome: str | None = None, error: BaseException | None = None) -> None:
        """Ends the operation with the reply folded from what has come; only the first call counts."""
        operation = self.operation
        if not operation.is_open:
            return
        values: ResponseValues | None = None
        try:
            values = self._values()
        except BaseException as problem:  # noqa: BLE001 (pieces of any shape)
            guard.report(f"{self.where}: fold", problem)
        finally:
            self.items = []
            if error is not None:
                operation.fail(error, values)
            else:
                operation.finish(values, outcome)

    def __del__(self) -> None:
        try:
            self.end("abandoned")
        except Exception as error:  # noqa: BLE001 (the interpreter may be half gone)
            guard.report("end of an abandoned stream", error)

    def _values(self) -> ResponseValues | None:
        if self._response is None or not self.items:
            return None
        if self.is_whole:
            return self._response(self.items[0])
        return self._response(self._fold(self.items)) if self._fold is not None else None


#: The pieces that a generator made by `watch` takes, for the stream object whose close must end them.
_watched: weakref.WeakKeyDictionary[Any, Pieces] = weakref.WeakKeyDictionary()


def watch(source: Iterator[Any], pieces: Pieces) -> Iterator[Any]:
    """A generator that stands in a stream object for the iterator `source` that it holds."""
    generator = _watch(source, pieces)
    _watched[generator] = pieces
    return generator


def watched(iterator: Any) -> Pieces | None:
    """The pieces of an iterator that stands in a stream object by our doing; None for any other."""
    if isinstance(iterator, TracedAsyncIterator):
        return iterator.pieces
    return _watched.get(iterator) if type(iterator) is GeneratorType else None


def _watch(source: Iterator[Any], pieces: Pieces) -> Iterator[Any]:
    """Resumed for every piece, hence flat: a piece that is neither the first nor hidden costs one call, of `digest`."""
    items, digest, is_hidden = pieces.items, pieces.digest, pieces.is_hidden
    try:
        for item in source:
            if items and is_hidden is None and digest is not None:
                try:
                    kept = digest(item)
                    if kept is not None:
                        items.append(kept)
                except Exception as error:  # noqa: BLE001 (a plugin's function)
                    guard.report(pieces.where, error)
            elif pieces.take(item):
                continue
            yield item
    except GeneratorExit:
        close = getattr(source, "close", None)
        try:
            if close is not None:
                close()
        finally:
            pieces.end("abandoned")  # the stream's own close has ended them before
        raise
    except BaseException as error:
        pieces.end(error=error)
        raise
    pieces.end()


class TracedAsyncIterator:
    """Stands in a stream object for the asynchronous iterator that it holds."""

    __slots__ = ("__weakref__", "_next", "_source", "pieces")

    def __init__(self, source: Any, pieces: Pieces) -> None:
        self._source = source
        self._next = source.__anext__
        self.pieces = pieces

    def __aiter__(self) -> TracedAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        pieces = self.pieces
        while True:
            try:
                item = await self._next()
            except StopAsyncIteration:
                pieces.end()
                raise
            except BaseException as error:
                pieces.end(error=error)
                raise
            if not pieces.take(item):
                return item

    async def aclose(self) -> None:
        """Closes the source, as the generator in whose place this stands would."""
        try:
            close = getattr(self._source, "aclose", None)
            if close is not None:
                await close()
        finally:
            self.pieces.end("closed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def named(generator: Any, source: Any) -> Any:
    """`generator` under the name of `source`, as it stands in messages and in debuggers."""
    generator.__name__, generator.__qualname__ = source.__name__, source.__qualname__
    return generator


def relay(source: Generator[Any, Any, Any], pieces: Pieces) -> Generator[Any, Any, Any]:
    """A generator in place of `source` that behaves as it does: send, throw, close, return value."""
    return cast(Generator[Any, Any, Any], named(_relay(source, pieces, pieces.operation.context), source))


def _relay(source: Generator[Any, Any, Any], pieces: Pieces, context: Context) -> Generator[Any, Any, Any]:
    resume: Callable[[Any], Any] = source.send
    value: Any = None
    while True:
        token = enter(context)
        try:
            item = resume(value)
        except StopIteration as stop:
            pieces.end("closed" if isinstance(value, GeneratorExit) else None)
            return stop.value
        except BaseException as error:
            pieces.end(error=error)
            raise
        finally:
            leave(token)
            value = None  # an exception that was thrown in holds this frame: all in it would wait for a collection
        pieces.take(item)
        try:
            value = yield item
            resume = source.send
        except BaseException as error:  # noqa: BLE001 (thrown in, a close among it, handed on to the source)
            resume, value = source.throw, error


def relay_async(source: AsyncGenerator[Any, Any], pieces: Pieces) -> AsyncGenerator[Any, Any]:
    """An asynchronous generator in place of `source` that behaves as it does."""
    return cast(AsyncGenerator[Any, Any], named(_relay_async(source, pieces, pieces.operation.context), source))


def first_step(source: AsyncGenerator[Any, Any]) -> Callable[[Any], Any]:
    """`source.asend` for its first step: the event loop gets to know the generator in its place alone.

    A loop that ends closes every generator that it knows, all at the same time: it would close the source while that
    is being closed by the one that stands for it.
    """

    def step(value: Any) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return source.asend(value)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return step


async def _relay_async(source: AsyncGenerator[Any, Any], pieces: Pieces, context: Context) -> AsyncGenerator[Any, Any]:
    resume: Callable[[Any], Any] = first_step(source)
    value: Any = None
    while True:
        token = enter(context)
        try:
            item = await resume(value)
        except StopAsyncIteration:
            pieces.end()
            return
        except BaseException as error:
            pieces.end(error=error)
            raise
        finally:
            leave(token)
            value = None  # an exception that was thrown in holds this frame: all in it would wait for a collection
        pieces.take(item)
        try:
            value = yield item
            resume = source.asend
        except GeneratorExit:
            # The span ends first: the loop may be gone before the source has closed.
            pieces.end("closed")
            await source.aclose()
            raise
        except BaseException as error:  # noqa: BLE001 (thrown in by the caller, handed on to the source)
            resume, value = source.athrow, error
