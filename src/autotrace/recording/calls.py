"""The one place that calls the framework.

Everything before and after the call is guarded; the call itself, its result and its exceptions are the
framework's own. What kind of call it was is decided by what came back: a coroutine, a stream, a value.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType, MappingProxyType
from typing import Any, cast

from opentelemetry.context import Context

from . import bodies
from .contributions import Contribution
from .current import current_context, enter, leave
from .guard import guard
from .mapping import Amendment, Call, Mappers, parameter_names
from .recorder import Operation, Recorder
from .streams import Pieces, TracedAsyncIterator, relay, relay_async, watch
from .suppression import is_suppressed


class TracedFunction:
    """What the host puts around one function of a framework.

    Args:
        label: Names it in reports, e.g. `openai: openai._base_client.SyncAPIClient.request`.
        mappers: The plugin's functions.
        recorder: The framework's recorder.
        function: The original, for its signature only.
        settings: The plugin's own settings.

    Attributes:
        enabled: False makes it call straight through.
        streams: Stream classes of the framework, and the attribute in which each holds its iterator.
    """

    def __init__(
        self, label: str, mappers: Mappers, recorder: Recorder, function: Any, settings: Mapping[str, Any] | None = None
    ) -> None:
        self.label = label
        self.mappers = mappers
        self.recorder = recorder
        self.enabled = True
        self.streams: tuple[tuple[type, str], ...] = ()
        self.settings: Mapping[str, Any] = settings or {}
        self._parameters = parameter_names(function)
        self._is_coroutine_function = inspect.iscoroutinefunction(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `wrapped` once, exactly as the program asked, and records the call."""
        if not self.enabled:
            return wrapped(*args, **kwargs)
        context = current_context()
        if is_suppressed(context, self.recorder.name, self.recorder.is_shared):
            return wrapped(*args, **kwargs)
        if self._is_coroutine_function:
            return self._coroutine(wrapped, instance, args, kwargs)
        started = self._begin(instance, args, kwargs, context)
        if started is None:
            return wrapped(*args, **kwargs)
        operation, amendment = started
        if amendment is not None:
            args, kwargs = amendment.args, dict(amendment.kwargs)
        token = enter(operation.context)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            self._fail(operation, error)
            raise
        finally:
            leave(token)
        return self._conclude(operation, amendment, result)

    async def _traced(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The coroutine in place of the framework's. Nothing happens before it is awaited, as without us."""
        started = self._begin(instance, args, kwargs, current_context())
        if started is None:
            return await wrapped(*args, **kwargs)
        operation, amendment = started
        if amendment is not None:
            args, kwargs = amendment.args, dict(amendment.kwargs)
        token = enter(operation.context)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            self._fail(operation, error)
            raise
        finally:
            leave(token)
        return self._conclude(operation, amendment, result)

    def _coroutine(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        coroutine = cast("CoroutineType[Any, Any, Any]", self._traced(wrapped, instance, args, kwargs))
        coroutine.__name__, coroutine.__qualname__ = wrapped.__name__, wrapped.__qualname__
        return coroutine

    async def _awaited(
        self, operation: Operation | Contribution, amendment: Amendment | None, coroutine: Coroutine[Any, Any, Any]
    ) -> Any:
        """The coroutine in place of one that a plain function returned."""
        token = enter(operation.context)
        try:
            result = await coroutine
        except BaseException as error:
            self._fail(operation, error)
            raise
        finally:
            leave(token)
        return self._conclude(operation, amendment, result)

    def _begin(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Context
    ) -> tuple[Operation | Contribution, Amendment | None] | None:
        """Starts the operation, or says that this call is none of ours."""
        mappers = self.mappers
        try:
            given = MappingProxyType(
                kwargs
            )  # the program's own: a mapper that takes something out would change the call
            call = Call(instance, args, given, self._parameters, self.settings, self.recorder.tracer_provider)
            values = mappers.request(call)
            if values is None:
                return None
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: request mapper", error)
            values = {}
        try:
            amendment = mappers.amend(call) if mappers.amend is not None else None
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: amendment", error)
            amendment = None
        try:
            return self.recorder.start(mappers.operation, values, parent=context), amendment
        except Exception as error:  # noqa: BLE001 (our own)
            guard.report(f"{self.label}: start", error)
            return None

    def _fail(self, operation: Operation | Contribution, error: BaseException) -> None:
        try:
            operation.fail(error)
        except Exception as problem:  # noqa: BLE001 (our own)
            guard.report(f"{self.label}: failure", problem)

    def _conclude(self, operation: Operation | Contribution, amendment: Amendment | None, result: Any) -> Any:
        """Ends the operation with `result`, or arranges that it ends when `result` has been used up."""
        try:
            return self._followed(operation, amendment, result)
        except Exception as error:  # noqa: BLE001 (a plugin's function, a reply of unknown shape)
            guard.report(f"{self.label}: response mapper", error)
            operation.finish()
            return result

    def _followed(self, operation: Operation | Contribution, amendment: Amendment | None, result: Any) -> Any:
        if self.streams and isinstance(result, tuple(kind for kind, _ in self.streams)):
            if not follow_stream(result, self._pieces(operation, amendment), self.streams):
                names = ", ".join(attribute for kind, attribute in self.streams if isinstance(result, kind))
                class_ = type(result).__qualname__
                guard.report(f"{self.label}: stream", AttributeError(f"no iterator in {names} of a {class_}"))
                operation.finish()
            return result
        kind = type(result)
        if kind is CoroutineType:
            coroutine = cast("CoroutineType[Any, Any, Any]", self._awaited(operation, amendment, result))
            coroutine.__name__, coroutine.__qualname__ = result.__name__, result.__qualname__
            return coroutine
        if kind is GeneratorType:
            return relay(cast(Generator[Any, Any, Any], result), self._pieces(operation, amendment))
        if kind is AsyncGeneratorType:
            return relay_async(cast(AsyncGenerator[Any, Any], result), self._pieces(operation, amendment))
        if isinstance(result, _future()):
            cast(Any, result).add_done_callback(lambda future: self._done(operation, future))
            return result
        mappers = self.mappers
        response = mappers.body(result) if mappers.body is not None else None
        if response is not None:
            self._follow_body(operation, amendment, response)
        else:
            operation.finish(mappers.response(result) if mappers.response is not None else None)
        return result

    def _done(self, operation: Operation | Contribution, future: Any) -> None:
        """Ends the operation with a future that is done. Whether the program has looked at its error is its own."""
        error = getattr(future, "_exception", None)
        if future.cancelled():
            operation.finish(outcome="cancelled")
        elif error is not None:
            self._fail(operation, error)
        else:
            self._conclude(operation, None, future.result())

    def _pieces(self, operation: Operation | Contribution, amendment: Amendment | None) -> Pieces:
        mappers = self.mappers
        hides = amendment.hides if amendment is not None else None
        return Pieces(operation, self.label, mappers.fold, mappers.response, hides, mappers.limit, mappers.digest)

    def _follow_body(self, operation: Operation | Contribution, amendment: Amendment | None, response: Any) -> None:
        pieces = self._pieces(operation, amendment)
        if response.is_stream_consumed or response.is_closed:
            bodies.fill(pieces, response.content, response.headers)
            pieces.end()
        else:
            bodies.follow(response, pieces)


def _future() -> tuple[type, ...]:
    """The class of futures, once asyncio has been imported: there are none before."""
    futures = sys.modules.get("asyncio.futures")
    return (futures.Future,) if futures is not None else ()


def follow_stream(stream: Any, pieces: Pieces, classes: Iterable[tuple[type, str]]) -> bool:
    """Lets the operation end with an object of one of the stream classes; whether it is of one that holds an iterator.

    Args:
        stream: What came back.
        pieces: Takes what comes out of it.
        classes: Stream classes, and the attribute in which each holds its iterator.
    """
    for kind, attribute in classes:
        if isinstance(stream, kind):
            source = getattr(stream, attribute, None)
            if source is None:
                continue
            setattr(stream, attribute, _followed(source, pieces, attribute))
            return True
    return False


def _followed(source: Any, pieces: Pieces, attribute: str) -> Any:
    """What stands for the iterator that a stream object holds. A generator that users see stays one."""
    if not attribute.startswith("_") and type(source) is GeneratorType:
        return relay(source, pieces)
    if not attribute.startswith("_") and type(source) is AsyncGeneratorType:
        return relay_async(source, pieces)
    return TracedAsyncIterator(source, pieces) if hasattr(source, "__anext__") else watch(source, pieces)
