"""What the host puts around a function whose call is a unit of work: a worker's task, a handler, a notebook's cell.

The work is a trace of its own, linked to what sent it. As in `recording/calls.py` the framework is called once, as it
was asked, and what comes back decides when the work is done; unless the framework tells of its end before.
"""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, cast

from opentelemetry.context import Context

from ..recording.current import current_context, enter, leave
from ..recording.guard import guard
from ..recording.held import Held, held_in
from ..recording.mapping import Call, parameter_names
from ..recording.messages import ResponseValues
from ..recording.recorder import Recorder
from ..recording.runs import Ended
from ..recording.streams import Pieces, relay, relay_async
from ..recording.suppression import is_suppressed
from .service import Service
from .units import Begun, finish, held_of
from .work import HttpResponse, Work

#: Seconds that delivery may take at the end of work after which the process may be frozen; and that are left alone
#: before it may be stopped.
_PATIENCE, _RESERVE = 2.0, 0.2
#: In place of a result that came in pieces, which nobody has kept.
_PIECES: Any = object()


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
        takes: The parameter by which the function is given the one that does the work.
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
        takes: str = "",
        flushes: bool = False,
    ) -> None:
        self.label = label
        self.enabled = True
        self._recorder = recorder
        self._service = service
        self._describe = describe
        self._response = response
        self._makes = makes
        self._takes = takes
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
        if self._takes:
            with guard(f"{self.label}: the function that is given"):
                args, kwargs = self._giving(Call(instance, args, dict(kwargs), self._parameters))
            return wrapped(*args, **kwargs)
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

    def _giving(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call, with the function that does the work in place of the framework's."""
        args, kwargs, name = call.args, dict(call.kwargs), self._takes
        given = call.argument(name)
        if not callable(given):
            return args, kwargs
        if name in kwargs:
            return args, {**kwargs, name: self._made(given, call)}
        place = self._parameters.index(name)
        return (*args[:place], self._made(given, call), *args[place + 1 :]), kwargs

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

    def _followed(self, begun: Begun, result: Any) -> Any:
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

    def _done(self, begun: Begun, future: Any) -> None:
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

    async def _awaited(self, begun: Begun, coroutine: Coroutine[Any, Any, Any]) -> Any:
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

    def _pieces(self, begun: Begun) -> Pieces:
        return Pieces(cast(Any, _Streamed(begun, self._end)), self.label, None, None, digest=lambda _: None)

    def _begin(
        self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], parameters: tuple[str, ...]
    ) -> Begun | None:
        try:
            outer = current_context()
            if is_suppressed(outer, self._recorder.name, self._recorder.is_shared):
                return None
            work = self._describe(Call(instance, args, dict(kwargs), parameters))
            return None if work is None else Begun(held_of(work, self._recorder, self._service(), outer), work)
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: task", error)
            return None

    def _end(self, begun: Begun, result: Any, error: BaseException | None = None, outcome: str | None = None) -> None:
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
        finish(held, Ended(None, error=error, outcome=outcome) if told is None else told)


def _futures() -> tuple[type, ...]:
    """Classes of futures, as far as anything has imported them: there are none before."""
    modules = (sys.modules.get(name) for name in ("asyncio.futures", "concurrent.futures._base"))
    return tuple(module.Future for module in modules if module is not None)


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
                        finish(held, ended)
        return wrapped(*args, **kwargs)


class _Streamed:
    """Work that a generator does, as what follows streams knows it."""

    def __init__(self, begun: Begun, end: Callable[[Begun, Any, BaseException | None, str | None], None]) -> None:
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
