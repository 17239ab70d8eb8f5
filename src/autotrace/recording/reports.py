"""How a framework's reports reach its runs: functions that it calls when a step has begun and has ended.

They are only listened to: each calls the framework's own function once, as the framework asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Protocol

from .current import current_context
from .guard import guard
from .mapping import Call, parameter_names
from .runs import Ended, Run, Runs

Begun = Callable[[Call, Any, Callable[[Hashable], Run | None]], Run | Iterable[Run] | None]
Follow = Callable[[Any, Any], None]


class RunFunction(Protocol):
    """What the host puts around a function that has to do with runs."""

    enabled: bool


class StartFunction:
    """What the host puts around a function by whose call a framework says that runs have begun.

    Args:
        label: Names it in reports.
        runs: The framework's runs.
        describe: From the call, its result and the runs known so far to the runs that have begun.
        function: The original, for its signature only.
        settings: The plugin's own settings.
        make_current: Whether the runs are current from here to their end.
    """

    def __init__(
        self, label: str, runs: Runs, describe: Begun, function: Any, settings: Mapping[str, Any], make_current: bool
    ) -> None:
        self.enabled = True
        self._make_current = make_current
        self._find = runs.around if make_current else runs.find
        self._label = label
        self._runs = runs
        self._describe = describe
        self._settings = settings
        self._parameters = parameter_names(function)
        self._is_coroutine_function = inspect.iscoroutinefunction(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `wrapped`, then begins the runs."""
        if not self.enabled:
            return wrapped(*args, **kwargs)
        if self._is_coroutine_function:
            return self._awaited(wrapped, instance, args, kwargs)
        result = wrapped(*args, **kwargs)
        self._begin(instance, args, kwargs, result)
        return result

    async def _awaited(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = await wrapped(*args, **kwargs)
        self._begin(instance, args, kwargs, result)
        return result

    def _begin(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        runs = self._runs
        try:
            if runs.are_suppressed(current_context()):
                return
            begun = self._describe(Call(instance, args, kwargs, self._parameters, self._settings), result, self._find)
            if begun is not None:
                for run in (begun,) if isinstance(begun, Run) else begun:
                    runs.start(run, self._make_current)
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self._label}: start of a run", error)


class EndFunction:
    """What the host puts around a function by whose call a framework says that a run has ended.

    Args:
        label: Names it in reports.
        runs: The framework's runs.
        describe: From the call to the run's end.
        function: The original, for its signature only.
        settings: The plugin's own settings.
        follow: Lets an operation end with the stream that its run gave back.
    """

    def __init__(
        self,
        label: str,
        runs: Runs,
        describe: Callable[[Call], Ended | None],
        function: Any,
        settings: Mapping[str, Any],
        follow: Follow,
    ) -> None:
        self.enabled = True
        self._label = label
        self._runs = runs
        self._describe = describe
        self._settings = settings
        self._follow = follow
        self._parameters = parameter_names(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Ends the run, then calls `wrapped`: what the framework does to tell others is not the run's time."""
        if self.enabled:
            try:
                ended = self._describe(Call(instance, args, kwargs, self._parameters, self._settings))
                if ended is not None:
                    self._end(ended)
            except Exception as error:  # noqa: BLE001 (a plugin's function)
                guard.report(f"{self._label}: end of a run", error)
        return wrapped(*args, **kwargs)

    def _end(self, ended: Ended) -> None:
        operation = self._runs.end(ended)
        if operation is not None:
            try:
                self._follow(operation, ended.stream)
            except Exception:
                operation.finish()
                raise
