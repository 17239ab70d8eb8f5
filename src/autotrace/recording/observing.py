"""Functions of a framework that are called beside a traced call: what they do is an event of it, or its end."""

from __future__ import annotations

import operator
from collections.abc import Callable, Coroutine, Mapping
from types import CoroutineType
from typing import Any, cast

from . import usage
from .current import current_context
from .encoding import scalar
from .guard import guard
from .mapping import Call, parameter_names
from .streams import Pieces, watched


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
        call = usage.owner(current_context())
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
