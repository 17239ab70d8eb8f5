"""One call of a boundary: what is current inside, from one resumption to the next, whatever kind of work it is.

What the work makes current stays so for its next step; outside, nothing of it is current.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Hashable
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.context import Context, get_current

from .current import current_context, enter, leave
from .families import FAMILY, Family, Waiting, surround, surrounding, unsurround
from .guard import guard
from .mapping import Call
from .runs import Ended
from .streams import first_step

if TYPE_CHECKING:
    from .boundaries import BoundaryFunction


class Passage:
    """One call of a boundary: what is current inside, from one resumption to the next."""

    __slots__ = ("_boundary", "_call", "_context", "_is_first", "_is_waiting", "_run", "_waiting", "family")

    def __init__(self, boundary: BoundaryFunction, call: Call) -> None:
        self._boundary = boundary
        self._call: Call | None = call
        self._context: Context | None = None
        self._waiting: Waiting | None = None
        self._run: Hashable = None
        self._is_first = True
        self._is_waiting = True
        self.family: Family | None = None

    def enter(self) -> Any:
        """Makes the context inside the current one. Give the result to `self.leave`."""
        context = self._context
        if self._call is not None:
            context, self._run, self._waiting = self._boundary.inside(self._call, current_context())
            if self.family is not None:
                self.family.enter(context.get(FAMILY) or surrounding())
                self.family.waiting = self._waiting
                context = Context({**context, FAMILY: self.family})
            self._context, self._call = context, None
        elif self._is_waiting and self._waiting is not None and self._waiting.context is not None:
            self._is_waiting = False
            context = self._context = self._waiting.context
        return enter(cast(Context, context))

    def leave(self, token: Any) -> None:
        """Makes current what was current before; what the work has made current is so again in the next step."""
        context = get_current()
        if context is not self._context:
            self._context, self._is_waiting = context, False
        leave(token)

    def interrupted(self, error: BaseException) -> None:
        """The work was cancelled: a framework may not report that, or only when nobody waits for it any more.

        Nor an exception, where whoever waits for the work is cancelled before it learns of that.
        """
        failed = self._boundary.failed
        if self._run is None or (failed is None and isinstance(error, Exception)):
            return
        try:
            if failed is not None and isinstance(error, Exception):
                ended = failed(self._run, error)
            else:
                ended = Ended(self._run, error=error)
            self._boundary.runs.end(ended)
        except Exception as problem:  # noqa: BLE001 (a plugin's function, the app's own tracer)
            guard.report(f"{self._boundary.label}: end of a run", problem)

    def piece(self, piece: object) -> None:
        """Something has come out: the first is told to a model's run."""
        if self.family is not None:
            self.family.piece(piece)
        if self._is_first:
            self._first_piece()

    def _first_piece(self) -> None:
        self._is_first = False
        waiting = self._waiting
        if waiting is not None and waiting.operation is not None:
            try:
                waiting.operation.first_chunk()
            except Exception as problem:  # noqa: BLE001 (the app's own tracer)
                guard.report(f"{self._boundary.label}: first piece", problem)


class BarePassage(Passage):
    """A passage in which nothing is made current: the generator is taken to lie in its family alone."""

    __slots__ = ()

    def enter(self) -> Any:
        """Says in which family what begins now lies."""
        family = cast(Family, self.family)
        if self._call is not None:
            family.enter(surrounding())  # one made by a method of the same name in a class further up
            self._waiting = family.waiting = self._boundary.waiting(self._call)
            self._call = None
        return surround(family)

    def leave(self, token: Any) -> None:
        """Says so no more."""
        unsurround(token)


async def called(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], passage: Passage) -> Any:
    token = passage.enter()
    try:
        return await wrapped(*args, **kwargs)
    except BaseException as error:
        passage.interrupted(error)
        raise
    finally:
        passage.leave(token)


async def awaited(coroutine: Coroutine[Any, Any, Any], passage: Passage) -> Any:
    token = passage.enter()
    try:
        return await coroutine
    except BaseException as error:
        passage.interrupted(error)
        raise
    finally:
        passage.leave(token)


def relay(source: Generator[Any, Any, Any], passage: Passage) -> Generator[Any, Any, Any]:
    """A generator in place of `source` that behaves as it does: send, throw, close, return value."""
    family = passage.family
    resume: Callable[[Any], Any] = source.send
    value: Any = None
    closing: Any = None
    held: list[Any] = []  # what comes out is held by nobody here while the program has it
    try:
        while True:
            token = passage.enter()
            try:
                held.append(resume(value))
            except StopIteration as stop:
                return stop.value
            finally:
                passage.leave(token)
                value = None  # an exception that was thrown in holds this frame: all in it would wait for a collection
                if family is not None and closing is not None:
                    family.closed(closing)
                    closing = None
            passage.piece(held[0])
            try:
                if family is not None:
                    family.is_resting = True
                value = yield held.pop()
                resume = source.send
            except BaseException as error:  # noqa: BLE001 (thrown in, a close among it, handed on to the source)
                if family is not None and isinstance(error, GeneratorExit):
                    closing = family.closing()
                resume, value = source.throw, error
            if family is not None:
                family.is_resting = False
    finally:
        if family is not None:
            family.release()


async def relay_async(source: AsyncGenerator[Any, Any], passage: Passage) -> AsyncGenerator[Any, Any]:
    """An asynchronous generator in place of `source` that behaves as it does."""
    family = passage.family
    resume: Callable[[Any], Any] = first_step(source)
    value: Any = None
    held: list[Any] = []
    try:
        while True:
            token = passage.enter()
            try:
                held.append(await resume(value))
            except StopAsyncIteration:
                return
            finally:
                passage.leave(token)
                value = None  # an exception that was thrown in holds this frame: all in it would wait for a collection
            passage.piece(held[0])
            try:
                value = yield held.pop()
                resume = source.asend
            except GeneratorExit:
                # Runs end first: the loop may be gone before the source has closed.
                if family is not None:
                    family.end()
                await source.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 (thrown in by the caller, handed on to the source)
                resume, value = source.athrow, error
    finally:
        if family is not None:
            family.release()
