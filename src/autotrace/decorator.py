"""`@autotrace.trace`: every call of a function of one's own as a span. Nothing heavy is imported before the first."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from .recording.calls import TracedFunction
    from .recording.mapping import Call
    from .recording.messages import RequestValues
    from .recording.recorder import Recorder

Function = TypeVar("Function", bound=Callable[..., Any])

#: Pieces of a traced generator that its span keeps.
KEPT_PIECES = 100


@overload
def trace(function: Function, /) -> Function: ...


@overload
def trace(*, name: str | None = None, operation: str = "") -> Callable[[Function], Function]: ...


def trace(function: Any = None, /, *, name: str | None = None, operation: str = "") -> Any:
    """Records every call of a function as a span, with its arguments and its result.

    For functions, coroutine functions, generators, asynchronous generators and methods; each stays what it is.

    Example:
        >>> import autotrace
        >>> @autotrace.trace
        ... def plan(goal: str) -> str:
        ...     return f"first think about {goal}"
        >>> plan("lunch")
        'first think about lunch'

    Args:
        function: What to record; a class is refused, for it would no longer be one.
        name: What the span is called: the function's name unless said.
        operation: `gen_ai.operation.name`, such as `invoke_agent` or `execute_tool`, where it is one.

    Raises:
        TypeError: It was put on a class.
    """
    if function is None:
        return functools.partial(_traced, name=name, operation=operation)
    return _traced(function, name=name, operation=operation)


def _traced(function: Any, *, name: str | None, operation: str) -> Any:
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_traced(function.__func__, name=name, operation=operation))
    if isinstance(function, type):
        raise TypeError(f"autotrace.trace is for functions and methods, not the class {function.__qualname__}")
    called = getattr(function, "__qualname__", type(function).__qualname__).rpartition("<locals>.")[2]
    call = _TracedCall(function, name or called, operation)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return await call(args, kwargs)

        return coroutine
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from call(args, kwargs))

        return generator
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def async_generator(*args: Any, **kwargs: Any) -> Any:
            source = call(args, kwargs)
            resume, value = source.asend, None
            try:
                while True:
                    try:
                        item = await resume(value)
                    except StopAsyncIteration:
                        return
                    try:
                        value = yield item
                        resume = source.asend
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 (thrown in by the caller, handed on)
                        resume, value = source.athrow, error
            finally:
                await source.aclose()

        return async_generator

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    return plain


class _TracedCall:
    """Calls a function of the user's and records the call. Sets itself up with the first one."""

    def __init__(self, function: Callable[..., Any], name: str, operation: str) -> None:
        self._function = function
        self._name = name
        self._operation = operation
        self._traced: TracedFunction | None = None
        self._positional: tuple[str, ...] = ()
        self._rest = "args"

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        traced = self._ready()
        if traced is None:
            return self._function(*args, **kwargs)
        # A functools.partial has no name, which a coroutine takes over from its function.
        function = self._function if hasattr(self._function, "__name__") else self._through
        return traced(function, None, args, kwargs)

    def __getstate__(self) -> tuple[Callable[..., Any], str, str]:
        """What it was made of: a function pickled by value goes without what its first call set up here."""
        return self._function, self._name, self._operation

    def __setstate__(self, state: tuple[Callable[..., Any], str, str]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def _through(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def _ready(self) -> TracedFunction | None:
        """What records the call; None when tracing is off, or cannot be set up."""
        from .activation import active
        from .recording.guard import guard

        try:
            recorder = active().recorder()
            if recorder is None:
                return None
            traced = self._traced or self._set_up(recorder)
            traced.recorder = recorder
            return traced
        except Exception as error:  # noqa: BLE001 (our own)
            guard.report("autotrace.trace", error)
            return None

    def _set_up(self, recorder: Recorder) -> TracedFunction:
        from .recording.calls import TracedFunction
        from .recording.mapping import Mappers

        try:
            parameters = list(inspect.signature(self._function).parameters.values())
        except (TypeError, ValueError):  # of a built-in function that does not tell
            parameters = []
        self._positional = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
        self._rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "args")
        mappers = Mappers(
            self._operation, self._request, lambda result: {"output_value": result}, list, limit=KEPT_PIECES
        )
        self._traced = TracedFunction(f"autotrace.trace: {self._name}", mappers, recorder, self._function)
        return self._traced

    def _request(self, call: Call) -> RequestValues:
        names = self._positional
        given: dict[str, Any] = dict(zip(names, call.args, strict=False))
        if names[:1] in (("self",), ("cls",)):
            given.pop(names[0], None)
        if len(call.args) > len(names):
            given[self._rest] = call.args[len(names) :]
        return {"name": self._name, "input_value": {**given, **call.kwargs}}
