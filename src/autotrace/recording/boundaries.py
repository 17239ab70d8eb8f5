"""Where a run's context is current: around the framework's own functions that do a run's work.

As in `calls.py` the framework is called once, as the program asked, and what comes back decides: a value, a coroutine,
a generator. A context is current only while one of these runs, never across a `yield`. Nothing is recorded here.
"""

from __future__ import annotations

import inspect
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Hashable, Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, cast

from opentelemetry.context import Context, get_current

from .current import current_context, enter, leave
from .families import FAMILY, Digest, Family, Partial, Waiting, surround, surrounding, unsurround
from .guard import guard
from .mapping import Call, parameter_names
from .runs import WAITING, Ended, Runs
from .streams import first_step, named


class CarryingFunction:
    """What the host puts around a function that prepares a copied context for a run's work: ours goes with it.

    Args:
        label: Names it in reports.
        runs: The framework's runs.
        run: From a call to the id of the run.
        function: The original, for its signature only.
    """

    def __init__(self, label: str, runs: Runs, run: Callable[[Call], Hashable], function: Any) -> None:
        self.enabled = True
        self._label = label
        self._runs = runs
        self._run = run
        self._parameters = parameter_names(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `wrapped`, then makes the run's context current for what follows in this copied context."""
        result = wrapped(*args, **kwargs)
        if self.enabled:
            try:
                run = self._run(Call(instance, args, kwargs, self._parameters))
                context = self._runs.context(run, current_context()) if run is not None else None
                if context is not None:
                    enter(context)  # for good: the context is a copy, made for this work alone
            except Exception as error:  # noqa: BLE001 (a plugin's function)
                guard.report(f"{self._label}: context of a run", error)
        return result


class BoundaryFunction:
    """What the host puts around a function that does a run's work.

    Args:
        label: Names it in reports.
        runs: The framework's runs.
        function: The original, for its signature only.
        settings: The plugin's own settings.
        run: From a call to the id of the run whose work it does. None: the run that begins inside it.
        values: From a call to what it tells of the run that begins inside it.
        waits: Whether the run that begins inside becomes current for the rest of the call.
        is_family: Whether all runs that begin inside the generator which it returns end when that is left.
        failed: From the run and the exception with which its coroutine failed to the run's end.
        digest: From what comes out of such a generator to what `partial` needs of it.
        partial: From that to what the run that began inside is told, should the generator be left.
    """

    def __init__(
        self,
        label: str,
        runs: Runs,
        function: Any,
        settings: Mapping[str, Any],
        *,
        run: Callable[[Call], Hashable] | None,
        values: Callable[[Call], Mapping[str, Any] | None] | None,
        waits: bool,
        is_family: bool,
        failed: Callable[[Hashable, BaseException], Ended] | None = None,
        digest: Digest | None = None,
        partial: Partial | None = None,
    ) -> None:
        self.label = label
        self.enabled = True
        self.runs = runs
        self.waits = waits
        self.is_family = is_family
        self.failed = failed
        self._digest = digest
        self._partial = partial
        self._run = run
        self._values = values
        #: It does not matter what is current inside: that is the program's own, and what it makes current there stays.
        self._is_bare = is_family and not waits and run is None
        self._settings = settings
        self._parameters = parameter_names(function)
        self._is_coroutine_function = inspect.iscoroutinefunction(function)
        # Calling one does nothing yet: its work begins when it is first resumed, wherever that is.
        self._is_generator_function = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `wrapped` once, in the context of the run."""
        if not self.enabled:
            return wrapped(*args, **kwargs)
        current = current_context()
        if self.runs.are_suppressed(current):
            return wrapped(*args, **kwargs)
        if self._is_bare:
            return self._followed(wrapped, instance, args, kwargs, current)
        passage = _Passage(self, Call(instance, args, kwargs, self._parameters, self._settings))
        if self._is_coroutine_function:
            return named(_called(wrapped, args, kwargs, passage), wrapped)
        if self._is_generator_function:
            result = wrapped(*args, **kwargs)
        else:
            token = passage.enter()
            try:
                result = wrapped(*args, **kwargs)
            except BaseException as error:
                passage.interrupted(error)
                raise
            finally:
                passage.leave(token)
        # By `isinstance`, so that another tool's proxy of one counts too.
        if isinstance(result, GeneratorType):
            return self._relayed(result, passage, _relay)
        if isinstance(result, AsyncGeneratorType):
            return self._relayed(result, passage, _relay_async)
        if isinstance(result, CoroutineType):
            return named(_awaited(result, passage), result)
        return result

    def _followed(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        current: Context,
    ) -> Any:
        """Calls `wrapped`, and follows its generator if that lies in no other stream.

        A plain one only if nobody else can hold it: what is dropped in its place closes it.
        """
        result = wrapped(*args, **kwargs)
        is_plain = isinstance(result, GeneratorType)
        is_followed = self._is_generator_function if is_plain else isinstance(result, AsyncGeneratorType)
        if not is_followed or FAMILY in current or surrounding() is not None:
            return result
        passage = _BarePassage(self, Call(instance, args, kwargs, self._parameters, self._settings))
        return self._relayed(result, passage, _relay if is_plain else _relay_async)

    def inside(self, call: Call, current: Context) -> tuple[Context, Hashable, Waiting | None]:
        """What is current inside: the context, the run whose work is done, and what waits there for a run to begin."""
        try:
            if self._run is not None:
                run = self._run(call)
                found = self.runs.context(run, current) if run is not None else None
                return found if found is not None else current, run, None
            values = self._values(call) if self._values is not None else None
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: boundary", error)
            return current, None, None
        if not self.waits and not values:
            return current, None, None
        waiting = Waiting(self.runs, values)
        return Context({**current, WAITING: waiting}), None, waiting

    def waiting(self, call: Call) -> Waiting | None:
        """What waits for a run to begin inside, where that is told something."""
        try:
            values = self._values(call) if self._values is not None else None
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: boundary", error)
            return None
        return Waiting(self.runs, values)

    def _relayed(self, source: Any, passage: _Passage, relay: Callable[[Any, _Passage], Any]) -> Any:
        family = passage.family = Family(self._digest, self._partial) if self.is_family else None
        relayed = named(relay(source, passage), source)
        if family is not None and isinstance(relayed, AsyncGeneratorType):
            # The interpreter calls this before the generator is handed to the event loop to be closed some time.
            family.stream = weakref.ref(relayed, family.end)
        return relayed


class _Passage:
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
                waiting.operation.first_chunk(time.time_ns())
            except Exception as problem:  # noqa: BLE001 (the app's own tracer)
                guard.report(f"{self._boundary.label}: first piece", problem)


class _BarePassage(_Passage):
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


async def _called(wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], passage: _Passage) -> Any:
    token = passage.enter()
    try:
        return await wrapped(*args, **kwargs)
    except BaseException as error:
        passage.interrupted(error)
        raise
    finally:
        passage.leave(token)


async def _awaited(coroutine: Coroutine[Any, Any, Any], passage: _Passage) -> Any:
    token = passage.enter()
    try:
        return await coroutine
    except BaseException as error:
        passage.interrupted(error)
        raise
    finally:
        passage.leave(token)


def _relay(source: Generator[Any, Any, Any], passage: _Passage) -> Generator[Any, Any, Any]:
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


async def _relay_async(source: AsyncGenerator[Any, Any], passage: _Passage) -> AsyncGenerator[Any, Any]:
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
