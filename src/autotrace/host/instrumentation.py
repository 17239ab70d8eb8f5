"""What a plugin returns, as data: which functions of its framework are calls, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from opentelemetry.trace import TracerProvider

from ..recording.delegated import Translated, untranslated
from ..recording.mapping import Amendment, Call
from ..recording.messages import RequestValues, ResponseValues
from ..recording.runs import Ended, Run
from ..serving.work import HttpRequest, HttpResponse, Work

__all__ = [
    "Amendment",
    "Application",
    "Boundary",
    "Call",
    "Delegate",
    "Ended",
    "Event",
    "HttpRequest",
    "HttpResponse",
    "Instrumentation",
    "Patch",
    "Run",
    "RunContext",
    "RunEnd",
    "RunStart",
    "Sender",
    "StreamClass",
    "Task",
    "TaskEnd",
    "Work",
]


@dataclass(frozen=True)
class Patch:
    """One function of the framework whose calls become spans.

    Example:
        >>> Patch("acme.client", "Client.complete", operation="chat", request=lambda call: {"model": "m"}).target
        'Client.complete'

    Attributes:
        module: Where it lives. Patched when that module is imported; other names of a function in its package too.
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
        subclasses: Also in every subclass of the class that has a method of that name of its own, now or later.
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
    subclasses: bool = False


@dataclass(frozen=True)
class StreamClass:
    """A class of the framework whose instances a call returns to be iterated.

    The iterator that an instance holds is followed in its place. A class that holds none, but makes its pieces in
    `__next__` itself, cannot be followed.

    Example:
        >>> StreamClass("acme.streams", "Stream", iterator="_chunks").close
        ('close',)

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

    Example:
        >>> Event("acme", "Client._wait", "retry", lambda call: {"attempt": call.argument("attempt")}).name
        'retry'

    Attributes:
        module: Where it lives.
        target: Its name there.
        name: The event's name.
        describe: From a call to the event's attributes; None: no event.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    name: str
    describe: Callable[[Call], Mapping[str, Any] | None]
    optional: bool = False


@dataclass(frozen=True)
class RunStart:
    """One function that a framework calls when steps of its own (runs) have begun.

    Example:
        >>> RunStart("acme.events", "Bus.started", lambda call, result, find: Run(call.argument("id"))).make_current
        False

    Attributes:
        module: Where it lives.
        target: Its name there.
        describe: From the call, what it returned, and a function that finds an open run by its id, to the runs that
            have begun: one, several, or None.
        make_current: The run is current from here to its end. Only where the framework calls both in the same thread
            or task; a Boundary is safer where there is one. What is current then says where a run lies, whatever
            parent it names; that parent is found only where it is current.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    describe: Callable[[Call, Any, Callable[[Hashable], Run | None]], Run | Iterable[Run] | None]
    make_current: bool = False
    optional: bool = False


@dataclass(frozen=True)
class RunEnd:
    """One function that a framework calls when a run has ended, well or not.

    Example:
        >>> RunEnd("acme.events", "Bus.failed", lambda call: Ended(call.argument("id"), error=call.argument("error")))
        ...     # doctest: +ELLIPSIS
        RunEnd(module='acme.events', target='Bus.failed', ...

    Attributes:
        module: Where it lives.
        target: Its name there.
        describe: From the call to the run's end; None: of no interest.
        response: From the pieces of what the run gave back, folded, to values (see Ended.stream).
        fold: From all pieces to what `response` takes.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    describe: Callable[[Call], Ended | None]
    response: Callable[[Any], ResponseValues | None] | None = None
    fold: Callable[[list[Any]], Any] | None = None
    optional: bool = False


@dataclass(frozen=True)
class RunContext:
    """One function by which a framework prepares a copied context for a run's work: the run's span is current there.

    Example:
        >>> RunContext("acme.tasks", "_prepare", run=lambda call: call.argument("task").run_id).target
        '_prepare'

    Attributes:
        module: Where it lives.
        target: Its name there.
        run: From a call to the run's id; None: of no interest.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    run: Callable[[Call], Hashable]
    optional: bool = False


@dataclass(frozen=True)
class Boundary:
    """One function that does a run's work: the run's span is current inside, and nothing of it outside.

    Example:
        >>> Boundary("acme.models", "Model._generate", run=lambda call: call.argument("manager").run_id).waits
        False

    Attributes:
        module: Where it lives.
        target: Its name there.
        run: From a call to the id of the run whose work it does.
        waits: It does the work of the run that begins inside it.
        values: From a call to what it tells of the run that begins inside it (RequestValues).
        is_family: When the generator that it returns is left, all runs that began inside end.
        failed: From the run's id and the exception with which a coroutine that does its work failed to the run's end:
            where the framework may be cancelled before it reports that.
        digest: From what comes out of such a generator to what `partial` needs of it, None for nothing.
        partial: From that to what the run that began inside is told, should the generator be left.
        optional: Its absence in this version of the framework is no fault.
        subclasses: Also in every subclass of the class that has a method of that name of its own, now or later.
    """

    module: str
    target: str
    run: Callable[[Call], Hashable] | None = None
    waits: bool = False
    values: Callable[[Call], Mapping[str, Any] | None] | None = None
    is_family: bool = False
    failed: Callable[[Hashable, BaseException], Ended] | None = None
    digest: Callable[[Any], Any] | None = None
    partial: Callable[[Sequence[Any]], ResponseValues | None] | None = None
    optional: bool = False
    subclasses: bool = False


@dataclass(frozen=True)
class Application:
    """What a server calls for each request: the request is the root of a trace, if something traced happens inside.

    Example:
        >>> Application("acme.web", "App.__call__", "asgi", route=lambda scope: scope.get("path_template")).protocol
        'asgi'

    Attributes:
        module: Where it lives.
        target: Its name there: the method that the server calls.
        protocol: `asgi` or `wsgi`.
        route: From the request's scope or environment to the pattern of its path, such as `/users/{id}`, once that is
            known; None: it is not.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    protocol: Literal["asgi", "wsgi"]
    route: Callable[[Mapping[str, Any]], str | None] | None = None
    optional: bool = False


@dataclass(frozen=True)
class Task:
    """One function whose call is a unit of work: a trace of its own, if something traced happens inside.

    Example:
        >>> Task("acme.worker", "Worker.run", lambda call: Work(f"run {call.argument('job').name}")).makes
        False

    Attributes:
        module: Where it lives.
        target: Its name there.
        describe: From a call to what the work is; None: none of ours.
        response: From what came back to values; to the response to the Work's request; or to the work's end (Ended),
            where it tells of a failure without raising it, or of an outcome. Not asked where a TaskEnd has told before.
        makes: The function makes the one that does the work: what it returns is called for each; or, of a named tuple
            that it returns, what stands under this name. `describe` is given the call of that; its `instance` is the
            Call that made it.
        takes: The parameter by which the function is given the one that does the work; `describe` is given the call of
            that, as above.
        flushes: The process may be frozen when the work is done: what was recorded is delivered before.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    describe: Callable[[Call], Work | None]
    response: Callable[[Any], ResponseValues | HttpResponse | Ended | None] | None = None
    makes: bool | str = False
    takes: str = ""
    flushes: bool = False
    optional: bool = False


@dataclass(frozen=True)
class TaskEnd:
    """One function that a framework calls within a unit of work when that is done, before anybody is told of it.

    Where the framework stores the result before the function of the Task returns: who has the result, has a trace.

    Example:
        >>> def stored(call):
        ...     return Ended(call.argument("job_id"), {"output_value": call.argument("result")})
        >>> TaskEnd("acme.worker", "Results.store", stored).target
        'Results.store'

    Attributes:
        module: Where it lives.
        target: Its name there.
        describe: From the call to the work's end, whose `id` is the `request_id` of the Work; None: of no interest.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    describe: Callable[[Call], Ended | None]
    optional: bool = False


@dataclass(frozen=True)
class Sender:
    """One function that sends something to another process of the program's own, which is told where it belongs.

    Example:
        >>> def put(call, headers):
        ...     call.argument("request").headers.update(headers)
        >>> Sender("acme.http", "Client.send", put, host=lambda call: call.argument("request").host).optional
        False

    Attributes:
        module: Where it lives.
        target: Its name there.
        put: From a call and headers (`traceparent`, ...) to the call that carries them; or, where it has put them into
            what the call was given, to a function that takes them out again when the call is over, or None.
        host: From a call to the host that it goes to, `name` or `name:port`: nothing is sent to one that the setting
            `propagate_to` does not name. None: to workers of the program's own, always.
        optional: Its absence in this version of the framework is no fault.
    """

    module: str
    target: str
    put: Callable[[Call, Mapping[str, str]], Amendment | Callable[[], object] | None]
    host: Callable[[Call], str | None] | None = None
    optional: bool = False


class Instrumentor(Protocol):
    """What traces a framework by OpenTelemetry's rules. May have `is_instrumented_by_opentelemetry`, too."""

    def instrument(self, *, tracer_provider: TracerProvider) -> object:
        """Traces the framework from now on, with spans of `tracer_provider`."""

    def uninstrument(self) -> object:
        """Restores the framework's functions."""


@dataclass(frozen=True)
class Delegate:
    """Another instrumentor, by OpenTelemetry's rules, that traces the framework in place of patches.

    Example:
        >>> Delegate("acme", load=lambda: None, vendor="openinference").module
        'acme'

    Attributes:
        module: The framework's module: when that has been imported, the instrumentor is loaded.
        load: Imports the instrumentor and returns it.
        translate: From a span's name and attributes to its values, and to the attributes that may be content beside
            them. Called when the span begins, with what is known then, and when it has ended. `usage` counts on a
            model call alone, once in a trace.
        vendor: What the setting `instrumentor` calls it, where several delegates trace one framework: one of them is
            used, by default the first.
        distribution: The instrumentor's distribution, as `autotrace plugins` shows it.
        requires: The framework's distribution and the supported range, e.g. `acme>=2,<4`.
        skipped: Why it is not to be used; empty for one that is.
    """

    module: str
    load: Callable[[], Instrumentor]
    translate: Callable[[str, Mapping[str, Any]], Translated] = untranslated
    vendor: str = ""
    distribution: str = ""
    requires: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class Instrumentation:
    """What a plugin offers for one framework.

    Example:
        >>> patch = Patch("acme.client", "Client.complete", operation="chat", request=lambda call: {"model": "m"})
        >>> Instrumentation("acme", provider="acme", patches=(patch,), settings={"detail": ("low", "high")}).name
        'acme'

    Attributes:
        name: What users toggle: `autotrace.autolog("acme", disable=True)`.
        provider: `gen_ai.provider.name`, where the framework is one provider's SDK.
        patches: Functions whose calls become spans.
        streams: Classes of what those calls return to be iterated.
        events: Functions whose calls become events.
        runs: Functions by which the framework reports its own steps, or does their work.
        entries: What is called from outside: applications, functions whose calls are units of work, and ends of those.
        senders: Functions that send something to another process of the program's own.
        delegates: Other instrumentors that trace the framework; one of them is used.
        is_layered: Its model calls are made of one another: only the outermost is a call.
        is_optional: Off until the user switches it on by name.
        settings: The plugin's own settings and the values that each may have; the first is the default. An empty
            tuple admits any text.
    """

    name: str
    provider: str = ""
    patches: tuple[Patch, ...] = ()
    streams: tuple[StreamClass, ...] = ()
    events: tuple[Event, ...] = ()
    runs: tuple[RunStart | RunEnd | RunContext | Boundary, ...] = ()
    entries: tuple[Application | Task | TaskEnd, ...] = ()
    senders: tuple[Sender, ...] = ()
    delegates: tuple[Delegate, ...] = ()
    is_layered: bool = False
    is_optional: bool = False
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
