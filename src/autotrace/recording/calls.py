"""The one place that calls the framework.

Everything before and after the call is guarded; the call itself, its result and its exceptions are the
framework's own. What kind of call it was is decided by what came back: a coroutine, a stream, a value.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, cast

from opentelemetry.context import get_current

from . import bodies, usage
from .current import enter, leave
from .encoding import scalar
from .guard import guard
from .messages import RequestValues, ResponseValues
from .recorder import Contribution, Operation, Recorder
from .streams import Fold, Pieces, TracedAsyncIterator, relay, relay_async, watch, watched
from .suppression import is_suppressed


@dataclass(slots=True)
class Call:
    """One call of a patched function, as a mapper sees it. Not to be changed.

    Attributes:
        instance: What the method was called on; None for a plain function.
        args: Positional arguments, without the instance.
        kwargs: Keyword arguments.
        parameters: The function's parameter names in order, without self.
        settings: The plugin's own settings.
    """

    instance: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    parameters: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def argument(self, name: str, default: Any = None) -> Any:
        """The argument called `name`, however it was passed; `default` when it was not.

        Example:
            >>> Call(None, ("gpt-5",), {"prompt": "hi"}, ("model", "prompt")).argument("model")
            'gpt-5'
        """
        if name in self.kwargs:
            return self.kwargs[name]
        try:
            return self.args[self.parameters.index(name)]
        except (ValueError, IndexError):
            return default


@dataclass(frozen=True)
class Amendment:
    """What a plugin asks the host to change about a call, unseen by the user.

    Attributes:
        args: Positional arguments in place of the user's.
        kwargs: Keyword arguments in place of the user's.
        hides: Says which pieces of the stream exist only because of the amendment; the user does not get them.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    hides: Callable[[Any], bool] | None = None


@dataclass(frozen=True)
class Mappers:
    """The pure functions of a patch (see `Patch`, which documents them)."""

    operation: str
    request: Callable[[Call], RequestValues | None]
    response: Callable[[Any], ResponseValues | None] | None = None
    fold: Fold | None = None
    amend: Callable[[Call], Amendment | None] | None = None
    body: Callable[[Any], Any] | None = None
    limit: int | None = None
    digest: Callable[[Any], Any] | None = None


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
        if not self.enabled or is_suppressed(get_current(), self.recorder.name):
            return wrapped(*args, **kwargs)
        if self._is_coroutine_function:
            return self._coroutine(wrapped, instance, args, kwargs)
        started = self._begin(instance, args, kwargs)
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
        started = self._begin(instance, args, kwargs)
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
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Operation | Contribution, Amendment | None] | None:
        """Starts the operation, or says that this call is none of ours."""
        mappers = self.mappers
        try:
            call = Call(instance, args, kwargs, self._parameters, self.settings)
            values = mappers.request(call)
            if values is None:
                return None
            amendment = mappers.amend(call) if mappers.amend is not None else None
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: request mapper", error)
            values, amendment = {}, None
        try:
            return self.recorder.start(mappers.operation, values), amendment
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
        for kind, attribute in self.streams:
            if isinstance(result, kind):
                self._follow_stream(self._pieces(operation, amendment), result, attribute)
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
        mappers = self.mappers
        response = mappers.body(result) if mappers.body is not None else None
        if response is not None:
            self._follow_body(operation, amendment, response)
        else:
            operation.finish(mappers.response(result) if mappers.response is not None else None)
        return result

    def _pieces(self, operation: Operation | Contribution, amendment: Amendment | None) -> Pieces:
        mappers = self.mappers
        hides = amendment.hides if amendment is not None else None
        return Pieces(operation, self.label, mappers.fold, mappers.response, hides, mappers.limit, mappers.digest)

    def _follow_stream(self, pieces: Pieces, stream: Any, attribute: str) -> None:
        source = getattr(stream, attribute)
        follow = TracedAsyncIterator if hasattr(source, "__anext__") else watch
        setattr(stream, attribute, follow(source, pieces))

    def _follow_body(self, operation: Operation | Contribution, amendment: Amendment | None, response: Any) -> None:
        pieces = self._pieces(operation, amendment)
        if response.is_stream_consumed or response.is_closed:
            bodies.fill(pieces, response.content, response.headers)
            pieces.end()
        else:
            bodies.follow(response, pieces)


class ObservedFunction:
    """What the host puts around a function whose calls are events of the model call that they happen in.

    Args:
        label: Names it in reports.
        name: The event's name.
        describe: From a call to the event's attributes; None: no event.
        function: The original, for its signature only.
    """

    def __init__(
        self, label: str, name: str, describe: Callable[[Call], Mapping[str, Any] | None], function: Any
    ) -> None:
        self.label = label
        self.enabled = True
        self._name = name
        self._describe = describe
        self._parameters = parameter_names(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Notes the event, then calls `wrapped`."""
        if self.enabled:
            try:
                self._note(instance, args, kwargs)
            except Exception as error:  # noqa: BLE001 (a plugin's function)
                guard.report(f"{self.label}: event", error)
        return wrapped(*args, **kwargs)

    def _note(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = usage.owner(get_current())
        if call is None or not call.span.is_recording():
            return
        attributes = self._describe(Call(instance, args, kwargs, self._parameters))
        if attributes is not None:
            known = {key: scalar(value) for key, value in attributes.items() if value is not None}
            call.span.add_event(self._name, cast(Any, known))


class ClosingFunction:
    """What the host puts around a stream class's close: the span of the stream ends with it.

    Args:
        attribute: Where an instance of the class holds its iterator; dots lead through what it wraps.
    """

    def __init__(self, attribute: str) -> None:
        self._iterator = operator.attrgetter(attribute)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `wrapped`; a span that is still open ends when it is done."""
        try:
            pieces = watched(self._iterator(instance))
        except AttributeError:  # not a stream that we have seen
            pieces = None
        if pieces is None:
            return wrapped(*args, **kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException:
            pieces.end("closed")
            raise
        if type(result) is CoroutineType:
            return _closed(result, pieces)
        pieces.end("closed")
        return result


async def _closed(closing: Coroutine[Any, Any, Any], pieces: Pieces) -> Any:
    try:
        return await closing
    finally:
        pieces.end("closed")


def parameter_names(function: Any) -> tuple[str, ...]:
    """Names of the parameters that can be passed by position, without self; empty when they cannot be known."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ()
    names = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    return names[1:] if names[:1] in (("self",), ("cls",)) else names
