"""What a plugin's functions are told about the call."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import autotrace
from autotrace import Call
from autotrace.recording.guard import guard

from ..conftest import Collected


def test_a_call_knows_where_its_span_goes(spans: Collected, acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin is told whether the span goes to the program's own provider, beside those of other tools."""
    import autotrace_acme

    told: list[bool] = []
    ask = autotrace_acme.request

    def request(call: Call) -> Any:
        told.append(call.tracer_provider is spans.provider)
        return ask(call)

    monkeypatch.setattr(autotrace_acme, "request", request)
    autotrace.activation.active().reset()
    autotrace.autolog(tracer_provider=spans.provider)
    acme.Client().complete("hello")
    assert told == [True]


@pytest.mark.parametrize(
    ("provider", "is_ours", "expected"),
    [
        (None, False, False),
        (trace.NoOpTracerProvider(), False, False),
        (trace.ProxyTracerProvider(), False, False),
        (TracerProvider(shutdown_on_exit=False), False, True),
        (TracerProvider(shutdown_on_exit=False), True, False),
    ],
)
def test_who_needs_a_framework_s_own_spans(
    provider: Any, is_ours: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A framework's own spans are of use where the program has a provider, and ours do not come from it."""
    monkeypatch.delenv("OTEL_PYTHON_TRACER_PROVIDER", raising=False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    ours = provider if is_ours else TracerProvider(shutdown_on_exit=False)
    assert Call(None, (), {}, tracer_provider=ours).needs_own_spans is expected


def test_an_amendment_that_fails(
    acme: Any, spans: Collected, fakes_on_path: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an amendment cannot be made the call is as it was, and its span has what the request says."""
    import autotrace_acme

    def fail(call: Call) -> Any:
        raise LookupError("no")

    (whole,) = autotrace_acme.instrumentations()
    patches = iter([dataclasses.replace(patch, amend=fail) for patch in whole.patches])
    monkeypatch.setattr(autotrace_acme, "_chat", lambda target, module="acme.client": next(patches))
    autotrace.activation.active().reset()
    autotrace.autolog(tracer_provider=spans.provider)
    assert acme.Client().complete("hello").text == "HELLO"
    assert spans.one().attributes["gen_ai.request.model"] == "acme-1"
    (place,) = guard.failures
    assert place.endswith("Client.complete: amendment")
    guard.reset()


def test_a_provider_that_the_environment_names_in_vain(
    acme: Any, spans: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where OpenTelemetry cannot load the provider that the environment names, calls are traced all the same."""
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "nothing_of_this_name")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    acme.Client().complete("hello")
    assert spans.one().name == "chat acme-1"
    assert set(guard.failures) <= {"the app's sampler"}
    guard.reset()


def test_a_mapper_that_takes_arguments_away(acme: Any, spans: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arguments that a mapper sees are not its own: the framework gets what the program gave."""
    import autotrace_acme

    monkeypatch.setattr(autotrace_acme, "request", lambda call: {"model": call.kwargs.pop("model")})
    autotrace.activation.active().reset()
    autotrace.autolog(tracer_provider=spans.provider)
    assert acme.Client().complete(prompt="hello", model="acme-7").text == "HELLO"
    (place,) = guard.failures
    assert place.endswith("Client.complete: request mapper")
    assert spans.one().name == "chat"
    guard.reset()
