"""autotrace: every call that a Python program makes to language models, as a span.

`import autotrace.auto` switches it on. The names here are the whole public API; importing this package imports
nothing heavy, each name is loaded when it is first used.
"""

from __future__ import annotations

from ._version import __version__

#: As type checkers know it; `typing` takes milliseconds, and an interpreter's start may import this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import read, stainless
    from .activation import autolog, flush
    from .decorator import trace
    from .delivery.destinations import Destination, Record, RetryLater
    from .errors import AutotraceError, ConfigError, FeedbackError, PluginError
    from .feedback import log_expectation, log_feedback
    from .host.hookspecs import hookimpl
    from .host.instrumentation import (
        Amendment,
        Application,
        Boundary,
        Call,
        Delegate,
        Ended,
        Event,
        HttpRequest,
        HttpResponse,
        Instrumentation,
        Patch,
        Run,
        RunContext,
        RunEnd,
        RunStart,
        Sender,
        StreamClass,
        Task,
        TaskEnd,
        Work,
    )
    from .recording.messages import Document, Message, Part, RequestValues, ResponseValues, ToolCall, Usage
    from .spans import Span, context, current_trace_id, span, suppress, update_trace

__all__ = [
    "Amendment",
    "Application",
    "AutotraceError",
    "Boundary",
    "Call",
    "ConfigError",
    "Delegate",
    "Destination",
    "Document",
    "Ended",
    "Event",
    "FeedbackError",
    "HttpRequest",
    "HttpResponse",
    "Instrumentation",
    "Message",
    "Part",
    "Patch",
    "PluginError",
    "Record",
    "RequestValues",
    "ResponseValues",
    "RetryLater",
    "Run",
    "RunContext",
    "RunEnd",
    "RunStart",
    "Sender",
    "Span",
    "StreamClass",
    "Task",
    "TaskEnd",
    "ToolCall",
    "Usage",
    "Work",
    "__version__",
    "autolog",
    "context",
    "current_trace_id",
    "flush",
    "hookimpl",
    "log_expectation",
    "log_feedback",
    "read",
    "span",
    "stainless",
    "suppress",
    "trace",
    "update_trace",
]

_HOMES = {
    "activation": ("autolog", "flush"),
    "decorator": ("trace",),
    "delivery.destinations": ("Destination", "Record", "RetryLater"),
    "errors": ("AutotraceError", "ConfigError", "FeedbackError", "PluginError"),
    "feedback": ("log_expectation", "log_feedback"),
    "host.hookspecs": ("hookimpl",),
    "host.instrumentation": (
        *("Amendment", "Application", "Boundary", "Call", "Delegate", "Ended", "Event", "HttpRequest", "HttpResponse"),
        *("Instrumentation", "Patch"),
        *("Run", "RunContext", "RunEnd", "RunStart", "Sender", "StreamClass", "Task", "TaskEnd", "Work"),
    ),
    "recording.messages": ("Document", "Message", "Part", "RequestValues", "ResponseValues", "ToolCall", "Usage"),
    "spans": ("Span", "context", "current_trace_id", "span", "suppress", "update_trace"),
}


#: Public names that are modules.
_MODULES = ("read", "stainless")


if not TYPE_CHECKING:  # a checker would take any name for one that exists

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        for module, names in _HOMES.items():
            if name in names:
                value = getattr(import_module(f"{__name__}.{module}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
