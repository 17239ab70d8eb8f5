"""What the host puts around a function that sends something to another process of the program's own.

`traceparent` goes along, by W3C Trace Context, and whose trace it is. Never to a host that the settings do not name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext

from ..recording.current import current_context
from ..recording.guard import guard
from ..recording.held import held_in
from ..recording.labels import in_force
from ..recording.mapping import Amendment, Call, parameter_names
from ..recording.recorder import Recorder
from ..recording.suppression import is_suppressed
from ..recording.tracer import OWN_SPAN, SPAN_KEY
from .service import Service

#: Whose trace it is, for workers of the program's own.
SESSION, USER = "autotrace-session", "autotrace-user"


class SendingFunction:
    """What the host puts around such a function.

    Args:
        label: Names it in reports.
        recorder: The framework's recorder.
        service: The settings that concern requests, as they are now.
        function: The original, for its signature only.
        put: From a call and headers to the call that carries them, or to what takes them out again.
        host: From a call to the host that it goes to; None: to workers of the program's own.
    """

    def __init__(
        self,
        label: str,
        recorder: Recorder,
        service: Callable[[], Service],
        function: Any,
        put: Callable[[Call, Mapping[str, str]], Amendment | Callable[[], object] | None],
        host: Callable[[Call], str | None] | None = None,
    ) -> None:
        self.label = label
        self.enabled = True
        self._recorder = recorder
        self._service = service
        self._put = put
        self._host = host
        self._parameters = parameter_names(function)

    def __call__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Calls `wrapped`, once, with the headers that tell where it belongs."""
        if not self.enabled or (self._host is not None and not self._service().propagates):
            return wrapped(*args, **kwargs)
        carrying = None
        try:
            carrying = self._carrying(Call(instance, args, dict(kwargs), self._parameters))
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.label}: propagation", error)
        if carrying is None:
            return wrapped(*args, **kwargs)
        if isinstance(carrying, Amendment):
            return wrapped(*carrying.args, **carrying.kwargs)
        try:
            return wrapped(*args, **kwargs)
        finally:
            with guard(f"{self.label}: propagation"):
                carrying()

    def _carrying(self, call: Call) -> Amendment | Callable[[], object] | None:
        context = current_context()
        if is_suppressed(context, self._recorder.name, self._recorder.is_shared):
            return None
        if self._host is not None:
            host = self._host(call)
            if not host or not self._service().is_own_host(host):
                return None
        headers = headers_of(context, is_part=self._host is not None)
        return self._put(call, headers) if headers else None


def headers_of(context: Context, is_part: bool) -> dict[str, str]:
    """What tells another process where its work belongs: empty outside of a trace.

    Args:
        context: The sender's.
        is_part: The work is to be part of the sender's trace, whose root is recorded for it. Else it is a trace of its
            own, which refers to the sender's and is told whose that is: no reason to record it.
    """
    if is_part:
        held = held_in(context)
        if held is not None and not held.is_over:
            context = held.within(context)
        return _traceparent(_ids_of(context.get(SPAN_KEY)))
    held = held_in(context)
    own = _ids_of(context.get(OWN_SPAN)) or (held.reference() if held is not None else None)
    headers = _traceparent(own or _ids_of(context.get(SPAN_KEY)))
    labels = held.whose(context) if held is not None else in_force(context)
    if labels is not None and labels.session:
        headers[SESSION] = str(labels.session)
    if labels is not None and labels.user:
        headers[USER] = str(labels.user)
    return headers


def _ids_of(span: object) -> SpanContext | None:
    found = span.get_span_context() if isinstance(span, Span) else None
    return found if found is not None and found.is_valid else None


def _traceparent(ids: SpanContext | None) -> dict[str, str]:
    if ids is None:
        return {}
    return {"traceparent": f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"}
