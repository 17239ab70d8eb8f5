"""What a plugin's pure functions are given and what they are: the border between its code and ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace

from .messages import RequestValues, ResponseValues
from .streams import Fold


@dataclass(slots=True)
class Call:
    """One call of a patched function, as a mapper sees it. Not to be changed.

    Example:
        >>> call = Call(None, ("gpt-5",), {"prompt": "hi"}, ("model", "prompt"))
        >>> call.argument("model"), call.argument("prompt"), call.argument("temperature", 1.0)
        ('gpt-5', 'hi', 1.0)

    Attributes:
        instance: What the method was called on; None for a plain function.
        args: Positional arguments, without the instance.
        kwargs: Keyword arguments.
        parameters: The function's parameter names in order, without self.
        settings: The plugin's own settings.
        tracer_provider: Where its span comes from.
    """

    instance: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    parameters: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    tracer_provider: Any = None

    @property
    def needs_own_spans(self) -> bool:
        """Whether the program has use for spans that the framework makes by itself.

        Not so where it has set up no OpenTelemetry of its own, so that they would go nowhere, nor where they would
        stand beside ours in one trace, with the same tokens.

        Example:
            >>> Call(None, (), {}, tracer_provider=trace.get_tracer_provider()).needs_own_spans
            False
        """
        provider = trace.get_tracer_provider()
        is_none = isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)
        return not is_none and provider is not self.tracer_provider

    def argument(self, name: str, default: Any = None) -> Any:
        """The argument called `name`, however it was passed; `default` when it was not.

        Example:
            >>> Call(None, ("gpt-5",), {"prompt": "hi"}, ("model", "prompt")).argument("model")
            'gpt-5'
        """
        if name in self.kwargs:
            return self.kwargs[name]
        try:
            return self.args[self.parameters.index(name)]
        except (ValueError, IndexError):
            return default


@dataclass(frozen=True)
class Amendment:
    """What a plugin asks the host to change about a call, unseen by the user.

    Example:
        >>> Amendment((), {"report_usage": True}, hides=lambda piece: piece == "usage").kwargs
        {'report_usage': True}

    Attributes:
        args: Positional arguments in place of the user's.
        kwargs: Keyword arguments in place of the user's.
        hides: Says which pieces of the stream exist only because of the amendment; the user does not get them.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    hides: Callable[[Any], bool] | None = None


@dataclass(frozen=True)
class Mappers:
    """The pure functions of a patch (see `Patch`, which documents them)."""

    operation: str
    request: Callable[[Call], RequestValues | None]
    response: Callable[[Any], ResponseValues | None] | None = None
    fold: Fold | None = None
    amend: Callable[[Call], Amendment | None] | None = None
    body: Callable[[Any], Any] | None = None
    limit: int | None = None
    digest: Callable[[Any], Any] | None = None


def parameter_names(function: Any) -> tuple[str, ...]:
    """Names of the parameters that can be passed by position, without self; empty when they cannot be known."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ()
    names = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    return names[1:] if names[:1] in (("self",), ("cls",)) else names
