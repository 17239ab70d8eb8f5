"""What the host puts around a function whose call is a unit of work: a worker's task, a handler, a notebook's cell.

The work is a trace of its own, linked to what sent it. As in `recording/calls.py` the framework is called once, as it
was asked, and what comes back decides when the work is done.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any, cast

from opentelemetry.trace import SpanContext, SpanKind

from ..recording import semconv
from ..recording.current import current_context, enter, leave
from ..recording.guard import guard
from ..recording.held import Description, Held
from ..recording.labels import Labels
from ..recording.mapping import Call, parameter_names
from ..recording.messages import RequestValues, ResponseValues
from ..recording.recorder import Recorder
from ..recording.suppression import is_suppressed
from .exchange import remote_span
from .senders import SESSION, USER
from .service import Service


@dataclass(frozen=True)
class Work:
    """What a unit of work is.

    Example:
        >>> Work("answer", input="why?", carrier={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}).name
        'answer'

    Attributes:
        name: What its span is called.
        input: What it starts from: any value; None: nothing that is worth keeping.
        carrier: What its sender sent along (see Sender), if it did.
        session: The conversation that it belongs to.
        user: Who asked.
        request_id: What the caller calls it.
        attributes: More, by name.
    """

    name: str
    input: Any = None
    carrier: Mapping[str, Any] | None = None
    session: str | None = None
    user: str | None = None
    request_id: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class TaskFunction:
    """What the host puts around such a function.

    Args:
        label: Names it in reports.
        recorder: The framework's recorder.
        service: The settings that concern requests, as they are now.
        function: The original, for its signature only.
        describe: From a call to what the work is; None: none of ours.
        response: From what came back to values.
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
        response: Callable[[Any], ResponseValues | None] | None = None,
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
        if self._is_coroutine_function:
            coroutine = cast("CoroutineType[Any, Any, Any]", self._coroutine(wrapped, instance, args, kwargs))
            coroutine.__name__, coroutine.__qualname__ = wrapped.__name__, wrapped.__qualname__
            return coroutine
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
        if type(result) is CoroutineType:
            return self._awaited(held, result)
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
            labels = Labels(_text(work.session or carrier.get(SESSION)), _text(work.user or carrier.get(USER)))
            service = self._service()
            return Held(
                self._recorder,
                outer,
                lambda: _description(work),
                kind=SpanKind.CONSUMER,
                labels=labels,
                links=_links(carrier),
                recorded=lambda trace_id: service.noted(work.request_id, trace_id) if work.request_id else None,
            )
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: task", error)
            return None

    def _end(self, held: Held, result: Any, error: BaseException | None = None) -> None:
        with guard(f"{self.label}: end of a task"):
            held.finish(lambda: self._values(result, error), error=error)
            if self._flushes and held.is_recorded:
                self._service().flush()

    def _values(self, result: Any, error: BaseException | None) -> ResponseValues:
        if self._response is None or error is not None:
            return {}
        return self._response(result) or {}


def _description(work: Work) -> Description:
    values: RequestValues = {
        "name": work.name,
        "attributes": {**work.attributes, semconv.REQUEST_ID: work.request_id},
    }
    if work.input is not None:
        values["input_value"] = work.input
    return Description(values)


def _links(carrier: Mapping[str, Any]) -> tuple[SpanContext, ...]:
    traceparent = carrier.get("traceparent")
    sender = remote_span(str(traceparent)) if traceparent else None
    return () if sender is None else (sender,)


def _text(value: Any) -> str | None:
    return value[:250] if isinstance(value, str) and value else None
