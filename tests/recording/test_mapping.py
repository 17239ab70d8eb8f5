"""What a plugin's functions are told about the call."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import autotrace
from autotrace import Call

from ..conftest import Collected, SdkCollected


def test_a_call_knows_where_its_span_goes(spans: Collected, acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin is told whether the span goes to the program's own provider, beside those of other tools."""
    import autotrace_acme

    told: list[bool] = []
    ask = autotrace_acme.request

    def request(call: Call) -> Any:
        told.append(call.is_shared)
        return ask(call)

    monkeypatch.setattr(autotrace_acme, "request", request)
    autotrace.activation.active().reset()
    autotrace.autolog(tracer_provider=spans.provider)
    acme.Client().complete("hello")
    assert told == [isinstance(spans, SdkCollected)]


@pytest.mark.parametrize(
    ("provider", "is_shared", "expected"),
    [
        (None, False, False),
        (None, True, False),
        (trace.NoOpTracerProvider(), False, False),
        (trace.ProxyTracerProvider(), False, False),
        (TracerProvider(shutdown_on_exit=False), False, True),
        (TracerProvider(shutdown_on_exit=False), True, False),
    ],
)
def test_who_needs_a_framework_s_own_spans(
    provider: Any, is_shared: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A framework's own spans are of use where the program has a provider, and ours are not in it."""
    monkeypatch.delenv("OTEL_PYTHON_TRACER_PROVIDER", raising=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    assert Call(None, (), {}, is_shared=is_shared).needs_own_spans is expected
