"""Where a run's context is current: around the framework's own functions that do a run's work.

As in `calls.py` the framework is called once, as the program asked, and what comes back decides: a value, a coroutine,
a generator. A context is current only while one of these runs, never across a `yield`. Nothing is recorded here.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Hashable, Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from opentelemetry.context import Context

from .current import current_context, enter
from .families import FAMILY, Digest, Family, Partial, Waiting, surrounding
from .guard import guard
from .mapping import Call, parameter_names
from .passages import BarePassage, Passage, awaited, called, relay, relay_async
from .runs import WAITING, Ended, Runs
from .streams import named


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
        passage = Passage(self, Call(instance, args, kwargs, self._parameters, self._settings))
        if self._is_coroutine_function:
            return named(called(wrapped, args, kwargs, passage), wrapped)
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
            return self._relayed(result, passage, relay)
        if isinstance(result, AsyncGeneratorType):
            return self._relayed(result, passage, relay_async)
        if isinstance(result, CoroutineType):
            return named(awaited(result, passage), result)
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
        passage = BarePassage(self, Call(instance, args, kwargs, self._parameters, self._settings))
        return self._relayed(result, passage, relay if is_plain else relay_async)

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

    def _relayed(self, source: Any, passage: Passage, stand_in: Callable[[Any, Passage], Any]) -> Any:
        family = passage.family = Family(self._digest, self._partial) if self.is_family else None
        relayed = named(stand_in(source, passage), source)
        if family is not None and isinstance(relayed, AsyncGeneratorType):
            # The interpreter calls this before the generator is handed to the event loop to be closed some time.
            family.stream = weakref.ref(relayed, family.end)
        return relayed
