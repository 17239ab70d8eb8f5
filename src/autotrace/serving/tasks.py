"""What the host puts around a function whose call is a unit of work: a worker's task, a handler, a notebook's cell.

The work is a trace of its own, linked to what sent it. As in `recording/calls.py` the framework is called once, as it
was asked, and what comes back decides when the work is done; unless the framework tells of its end before.
"""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, NamedTuple, cast

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
from .relayed import Relayed
from .senders import SESSION, USER
from .service import Service
from .work import HttpResponse, Work

#: Seconds that delivery may take at the end of work after which the process may be frozen; and that are left alone
#: before it may be stopped.
_PATIENCE, _RESERVE = 2.0, 0.2
#: In place of a result that came in pieces, which nobody has kept.
_PIECES: Any = object()
_KINDS = {"consumer": SpanKind.CONSUMER, "server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}


class TaskFunction:
    """What the host puts around such a function.

    Args:
        label: Names it in reports.
        recorder: The framework's recorder.
        service: The settings that concern requests, as they are now.
        function: The original, for its signature only.
        describe: From a call to what the work is; None: none of ours.
        response: From what came back to values, to the response to a request, or to the work's end.
        makes: The function makes the one that does the work, or a named tuple that has it under this name.
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
        response: Callable[[Any], ResponseValues | HttpResponse | Ended | None] | None = None,
        makes: bool | str = False,
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
            with guard(f"{self.label}: the function that was made"):
                return self._within(made, Call(instance, args, dict(kwargs), self._parameters))
            return made
        if self._is_coroutine_function:
            coroutine = cast("CoroutineType[Any, Any, Any]", self._coroutine(wrapped, instance, args, kwargs))
            coroutine.__name__, coroutine.__qualname__ = wrapped.__name__, wrapped.__qualname__
            return coroutine
        return self._work(wrapped, instance, args, kwargs, self._parameters)

    def _within(self, made: Any, maker: Call) -> Any:
        """What was made, with the function that does the work in place of the framework's."""
        if isinstance(self._makes, str):
            function = getattr(made, self._makes)
            return made._replace(**{self._makes: self._made(function, maker)}) if callable(function) else made
        return self._made(made, maker) if callable(made) else made

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
        begun = self._begin(instance, args, kwargs, parameters)
        if begun is None:
            return wrapped(*args, **kwargs)
        token = enter(begun.held.context)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            self._end(begun, None, error)
            raise
        finally:
            leave(token)
        return self._followed(begun, result)

    def _followed(self, begun: _Begun, result: Any) -> Any:
        """Ends the work with `result`, or arranges that it ends when `result` has been used up."""
        kind = type(result)
        if kind is CoroutineType:
            coroutine = cast("CoroutineType[Any, Any, Any]", self._awaited(begun, result))
            coroutine.__name__, coroutine.__qualname__ = result.__name__, result.__qualname__
            return coroutine
        if kind is GeneratorType:
            return relay(result, self._pieces(begun))
        if kind is AsyncGeneratorType:
            return relay_async(result, self._pieces(begun))
        if isinstance(result, _futures()):
            cast(Any, result).add_done_callback(lambda future: self._done(begun, future))
            return result
        self._end(begun, result)
        return result

    def _done(self, begun: _Begun, future: Any) -> None:
        """Ends the work with a future that is done. Whether the program has looked at its error is its own."""
        error = getattr(future, "_exception", None)
        if future.cancelled() or error is not None:
            self._end(begun, None, error, "cancelled" if error is None else None)
        else:
            self._end(begun, future.result())

    async def _coroutine(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        begun = self._begin(instance, args, kwargs, self._parameters)
        coroutine = wrapped(*args, **kwargs)
        return await (coroutine if begun is None else self._awaited(begun, coroutine))

    async def _awaited(self, begun: _Begun, coroutine: Coroutine[Any, Any, Any]) -> Any:
        token = enter(begun.held.context)
        try:
            result = await coroutine
        except BaseException as error:
            self._end(begun, None, error)
            raise
        finally:
            leave(token)
        self._end(begun, result)
        return result

    def _pieces(self, begun: _Begun) -> Pieces:
        return Pieces(cast(Any, _Streamed(begun, self._end)), self.label, None, None, digest=lambda _: None)

    def _begin(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], parameters: tuple[str, ...]
    ) -> _Begun | None:
        try:
            outer = current_context()
            if is_suppressed(outer, self._recorder.name, self._recorder.is_shared):
                return None
            work = self._describe(Call(instance, args, dict(kwargs), parameters))
            return None if work is None else _Begun(self._held(work, outer), work)
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: task", error)
            return None

    def _held(self, work: Work, outer: Context) -> Held:
        carrier, service = work.carrier or {}, self._service()
        sender = _sender(carrier.get("traceparent"))
        remote = sender if work.continues else None
        senders = (None if work.continues else sender, *map(_sender, work.links))
        links = tuple(one for one in senders if one is not None)
        if work.request is not None:
            return Relayed(self._recorder, service, work, work.request, outer, remote, links)
        return Held(
            self._recorder,
            outer,
            lambda: _description(work, service),
            kind=_KINDS[work.kind],
            labels=Labels(_text(work.session or carrier.get(SESSION)), _text(work.user or carrier.get(USER))),
            remote=remote,
            links=links,
            recorded=lambda trace_id: service.noted(work.request_id, trace_id) if work.request_id else None,
            id=work.request_id,
        )

    def _end(self, begun: _Begun, result: Any, error: BaseException | None = None, outcome: str | None = None) -> None:
        with guard(f"{self.label}: end of a task"):
            held, work = begun
            if not held.is_over:
                self._finish(held, result, error, outcome)
            if self._flushes and held.is_recorded:
                left = _PATIENCE if work.deadline is None else work.deadline - _RESERVE - time.time()
                self._service().flush(max(0.0, min(_PATIENCE, left)))

    def _finish(self, held: Held, result: Any, error: BaseException | None, outcome: str | None) -> None:
        told: ResponseValues | HttpResponse | Ended | None = None
        if error is None and outcome is None and result is not _PIECES and self._response is not None:
            with guard(f"{self.label}: response"):
                told = self._response(result)
        if isinstance(told, HttpResponse):
            if isinstance(held, Relayed):
                held.replies(told)
                return
            told = None
        _finish(held, told if isinstance(told, Ended) else Ended(None, told, error, outcome))


def _futures() -> tuple[type, ...]:
    """Classes of futures, as far as anything has imported them: there are none before."""
    modules = (sys.modules.get(name) for name in ("asyncio.futures", "concurrent.futures._base"))
    return tuple(module.Future for module in modules if module is not None)


class _Begun(NamedTuple):
    """Work that has begun."""

    held: Held
    work: Work


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

    def __init__(self, begun: _Begun, end: Callable[[_Begun, Any, BaseException | None, str | None], None]) -> None:
        self._begun = begun
        self._end = end

    @property
    def is_open(self) -> bool:
        return not self._begun.held.is_over

    @property
    def context(self) -> Context:
        return self._begun.held.context

    def first_chunk(self) -> None:
        pass

    def finish(self, _: object, outcome: str | None = None) -> None:
        self._end(self._begun, _PIECES, None, outcome)

    def fail(self, error: BaseException, _: object = None) -> None:
        self._end(self._begun, None, error, None)


def _finish(held: Held, ended: Ended) -> None:
    values = ended.values
    held.finish(lambda: (values() if callable(values) else values) or {}, ended.outcome, ended.error)


def _description(work: Work, service: Service) -> Description:
    if work.server:
        service.served_by(work.server)
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
