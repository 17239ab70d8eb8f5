"""What the host puts around a function whose call is a unit of work: a worker's task, a handler, a notebook's cell.

The work is a trace of its own, linked to what sent it. As in `recording/calls.py` the framework is called once, as it
was asked, and what comes back decides when the work is done; unless the framework tells of its end before.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, cast

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind

from ..recording import semconv
from ..recording.current import current_context, enter, leave
from ..recording.guard import guard
from ..recording.held import Description, Held, held_in
from ..recording.labels import Labels
from ..recording.mapping import Call, parameter_names
from ..recording.messages import RequestValues, ResponseValues
from ..recording.recorder import Recorder
from ..recording.runs import Ended
from ..recording.streams import Pieces, relay, relay_async
from ..recording.suppression import is_suppressed
from .exchange import remote_span
from .senders import SESSION, USER
from .service import Service
from .work import Work

_KINDS = {"consumer": SpanKind.CONSUMER, "server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}


class TaskFunction:
    """What the host puts around such a function.

    Args:
        label: Names it in reports.
        recorder: The framework's recorder.
        service: The settings that concern requests, as they are now.
        function: The original, for its signature only.
        describe: From a call to what the work is; None: none of ours.
        response: From what came back to values, or to the work's end.
        makes: The function makes the one that does the work.
        flushes: What was recorded is delivered before the work's end is told.
    """

    def __init__(
        self,
        label: str,
        recorder: Recorder,
        service: Callable[[], Service],
        function: Any,
        *,
        describe: Callable[[Call], Work | None],
        response: Callable[[Any], ResponseValues | Ended | None] | None = None,
        makes: bool = False,
        flushes: bool = False,
    ) -> None:
        self.label = label
        self.enabled = True
        self._recorder = recorder
        self._service = service
        self._describe = describe
        self._response = response
        self._makes = makes
        self._flushes = flushes
        self._parameters = parameter_names(function)
        self._is_coroutine_function = inspect.iscoroutinefunction(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `wrapped` once, exactly as the framework asked."""
        if not self.enabled:
            return wrapped(*args, **kwargs)
        if self._makes:
            made = wrapped(*args, **kwargs)
            call = Call(instance, args, dict(kwargs), self._parameters)
            return self._made(made, call) if callable(made) else made
        if self._is_coroutine_function:
            coroutine = cast("CoroutineType[Any, Any, Any]", self._coroutine(wrapped, instance, args, kwargs))
            coroutine.__name__, coroutine.__qualname__ = wrapped.__name__, wrapped.__qualname__
            return coroutine
        return self._work(wrapped, instance, args, kwargs, self._parameters)

    def _made(self, function: Callable[..., Any], maker: Call) -> Callable[..., Any]:
        """The function that does the work, in place of the framework's."""
        parameters = parameter_names(function)

        @functools.wraps(function)
        def works(*args: Any, **kwargs: Any) -> Any:
            if not self.enabled:
                return function(*args, **kwargs)
            return self._work(function, maker, args, kwargs, parameters)

        return works

    def _work(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        parameters: tuple[str, ...],
    ) -> Any:
        held = self._begin(instance, args, kwargs, parameters)
        if held is None:
            return wrapped(*args, **kwargs)
        token = enter(held.context)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            self._end(held, None, error)
            raise
        finally:
            leave(token)
        return self._followed(held, result)

    def _followed(self, held: Held, result: Any) -> Any:
        """Ends the work with `result`, or arranges that it ends when `result` has been used up."""
        kind = type(result)
        if kind is CoroutineType:
            coroutine = cast("CoroutineType[Any, Any, Any]", self._awaited(held, result))
            coroutine.__name__, coroutine.__qualname__ = result.__name__, result.__qualname__
            return coroutine
        if kind is GeneratorType:
            return relay(result, self._pieces(held))
        if kind is AsyncGeneratorType:
            return relay_async(result, self._pieces(held))
        self._end(held, result)
        return result

    async def _coroutine(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        held = self._begin(instance, args, kwargs, self._parameters)
        coroutine = wrapped(*args, **kwargs)
        return await (coroutine if held is None else self._awaited(held, coroutine))

    async def _awaited(self, held: Held, coroutine: Coroutine[Any, Any, Any]) -> Any:
        token = enter(held.context)
        try:
            result = await coroutine
        except BaseException as error:
            self._end(held, None, error)
            raise
        finally:
            leave(token)
        self._end(held, result)
        return result

    def _pieces(self, held: Held) -> Pieces:
        return Pieces(cast(Any, _Streamed(held, self._end)), self.label, None, None, digest=lambda _: None)

    def _begin(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], parameters: tuple[str, ...]
    ) -> Held | None:
        try:
            outer = current_context()
            if is_suppressed(outer, self._recorder.name, self._recorder.is_shared):
                return None
            work = self._describe(Call(instance, args, dict(kwargs), parameters))
            if work is None:
                return None
            carrier = work.carrier or {}
            sender = _sender(carrier.get("traceparent"))
            links = tuple(filter(None, map(_sender, work.links)))
            service = self._service()
            return Held(
                self._recorder,
                outer,
                lambda: _description(work),
                kind=_KINDS[work.kind],
                labels=Labels(_text(work.session or carrier.get(SESSION)), _text(work.user or carrier.get(USER))),
                remote=sender if work.continues else None,
                links=links if work.continues or sender is None else (sender, *links),
                recorded=lambda trace_id: service.noted(work.request_id, trace_id) if work.request_id else None,
                id=work.request_id,
            )
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: task", error)
            return None

    def _end(self, held: Held, result: Any, error: BaseException | None = None, outcome: str | None = None) -> None:
        with guard(f"{self.label}: end of a task"):
            if not held.is_over:
                _finish(held, self._ended(result, error, outcome))
            if self._flushes and held.is_recorded:
                self._service().flush()

    def _ended(self, result: Any, error: BaseException | None, outcome: str | None) -> Ended:
        if error is None and outcome is None and self._response is not None:
            with guard(f"{self.label}: response"):
                told = self._response(result)
                return told if isinstance(told, Ended) else Ended(None, told)
        return Ended(None, error=error, outcome=outcome)


class TaskEndFunction:
    """What the host puts around a function by whose call a framework says that a unit of work is done.

    Args:
        label: Names it in reports.
        function: The original, for its signature only.
        describe: From the call to the work's end; None: of no interest.
    """

    def __init__(self, label: str, function: Any, describe: Callable[[Call], Ended | None]) -> None:
        self.label = label
        self.enabled = True
        self._describe = describe
        self._parameters = parameter_names(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Ends the work, then calls `wrapped`: who is told of the end, has a trace."""
        if self.enabled:
            with guard(f"{self.label}: end of a task"):
                held = held_in(current_context())
                if held is not None and not held.is_over:
                    ended = self._describe(Call(instance, args, dict(kwargs), self._parameters))
                    if ended is not None and ended.id == held.id:
                        _finish(held, ended)
        return wrapped(*args, **kwargs)


class _Streamed:
    """Work that a generator does, as what follows streams knows it."""

    def __init__(self, held: Held, end: Callable[[Held, Any, BaseException | None, str | None], None]) -> None:
        self._held = held
        self._end = end

    @property
    def is_open(self) -> bool:
        return not self._held.is_over

    @property
    def context(self) -> Context:
        return self._held.context

    def first_chunk(self) -> None:
        pass

    def finish(self, _: object, outcome: str | None = None) -> None:
        self._end(self._held, None, None, outcome)

    def fail(self, error: BaseException, _: object = None) -> None:
        self._end(self._held, None, error, None)


def _finish(held: Held, ended: Ended) -> None:
    values = ended.values
    held.finish(lambda: (values() if callable(values) else values) or {}, ended.outcome, ended.error)


def _description(work: Work) -> Description:
    attributes: Mapping[str, Any] = {**work.attributes, semconv.REQUEST_ID: work.request_id}
    values: RequestValues = {"name": work.name, "attributes": attributes}
    value = work.input() if callable(work.input) else work.input
    if value is not None:
        values["input_value"] = value
    return Description(values)


def _sender(traceparent: Any) -> SpanContext | None:
    return remote_span(traceparent) if isinstance(traceparent, str) and traceparent else None


def _text(value: Any) -> str | None:
    return value[:250] if isinstance(value, str) and value else None
