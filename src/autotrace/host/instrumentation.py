"""What a plugin returns, as data: which functions of its framework are calls, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..recording.mapping import Amendment, Call
from ..recording.messages import RequestValues, ResponseValues

__all__ = ["Amendment", "Call", "Event", "Instrumentation", "Patch", "StreamClass"]


@dataclass(frozen=True)
class Patch:
    """One function of the framework whose calls become spans.

    Example:
        >>> Patch("acme.client", "Client.complete", operation="chat", request=lambda call: {"model": "m"}).target
        'Client.complete'

    Attributes:
        module: Where it lives. Patched when that module is imported.
        target: Its name there: `function`, or `Class.method`.
        request: From a call to what is known before it is made; None: not ours, no span.
        operation: `gen_ai.operation.name`, unless `request` says otherwise.
        response: From what came back to values.
        fold: From all pieces of a stream to what `response` takes.
        digest: From a piece of a stream that passes to what `fold` needs of it, None for nothing; so that a long
            stream is not kept whole. The first piece is always kept as it is.
        amend: Asks for a change of the call that the user will not see (see Amendment).
        body: The HTTP response in what came back, where the user reads its body himself; None otherwise.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    request: Callable[[Call], RequestValues | None]
    operation: str = ""
    response: Callable[[Any], ResponseValues | None] | None = None
    fold: Callable[[list[Any]], Any] | None = None
    digest: Callable[[Any], Any] | None = None
    amend: Callable[[Call], Amendment | None] | None = None
    body: Callable[[Any], Any] | None = None
    optional: bool = False


@dataclass(frozen=True)
class StreamClass:
    """A class of the framework whose instances a call returns to be iterated.

    Attributes:
        module: Where it lives.
        name: Its name there.
        iterator: The attribute in which an instance holds its iterator.
        close: The methods that end it before it is exhausted.
    """

    module: str
    name: str
    iterator: str = "_iterator"
    close: tuple[str, ...] = ("close",)


@dataclass(frozen=True)
class Event:
    """One function of the framework whose calls are events of the span they happen in, such as a retry.

    Attributes:
        module: Where it lives.
        target: Its name there.
        name: The event's name.
        describe: From a call to the event's attributes; None: no event.
    """

    module: str
    target: str
    name: str
    describe: Callable[[Call], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Instrumentation:
    """What a plugin offers for one framework.

    Attributes:
        name: What users toggle: `autotrace.autolog("acme", disable=True)`.
        provider: `gen_ai.provider.name`, where the framework is one provider's SDK.
        patches: Functions whose calls become spans.
        streams: Classes of what those calls return to be iterated.
        events: Functions whose calls become events.
        settings: The plugin's own settings and the values that each may have; the first is the default. An empty
            tuple admits any text.
    """

    name: str
    provider: str = ""
    patches: tuple[Patch, ...] = ()
    streams: tuple[StreamClass, ...] = ()
    events: tuple[Event, ...] = ()
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
