"""Other tools' instrumentations at work at the same time (law L18).

Theirs write to the program's provider, ours to our own store: each holds each token once. One tool a process:
`BESIDE=OpenInference pytest ...`; `tox -e foreign` runs all.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autotrace.recording.tracer import LeanTracerProvider
from autotrace.testing.openai_server import OpenAIServer

from . import conftest
from .conftest import Models, Spans, tokens
from .entries import ENTRIES

TOOLS = {
    "OpenInference": (
        "openinference.instrumentation.langchain:LangChainInstrumentor",
        "openinference.instrumentation.openai:OpenAIInstrumentor",
    ),
    "OpenLLMetry": (
        "opentelemetry.instrumentation.langchain:LangchainInstrumentor",
        "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
    ),
    "OpenTelemetry": (
        "opentelemetry.instrumentation.genai.langchain:LangChainInstrumentor",
        "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
    ),
}
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif("BESIDE" not in os.environ, reason="tox -e foreign sets BESIDE to a tool"),
]


class OwnSpans(Spans):
    """Spans of autotrace's own provider: the usual case, in which no other tool's spans lie beside ours."""

    def __init__(self) -> None:
        super().__init__()
        self._ended: list[Any] = []
        self.provider = LeanTracerProvider(self)  # type: ignore[assignment, arg-type]

    def started(self, span: Any) -> None:
        """A root has started."""

    def ended(self, span: Any) -> None:
        """A span has ended."""
        self._ended.append(span)

    def all(self) -> list[Any]:
        return [
            SimpleNamespace(
                name=span.name,
                context=span.get_span_context(),
                parent=span.parent,
                status=span.status,
                attributes=span.attributes,
            )
            for span in sorted(self._ended, key=lambda span: span.start_time)
        ]


@pytest.fixture(scope="module")
def theirs() -> InMemorySpanExporter:
    """The other tool, switched on for good: none of them can be switched off without a trace."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for path in TOOLS[os.environ["BESIDE"]]:
        module, _, name = path.partition(":")
        getattr(importlib.import_module(module), name)().instrument(tracer_provider=provider)
    return exporter


@pytest.fixture
def own(theirs: InMemorySpanExporter, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> OwnSpans:
    """Tracing into a provider of our own."""
    own = OwnSpans()
    own.on()
    monkeypatch.setattr(conftest, "_changed", lambda before, after: [])  # the other tool's wrappers are there
    return own


def _call(thing: Any, given: Any) -> None:
    thing.invoke(given)


def _stream(thing: Any, given: Any) -> None:
    list(thing.stream(given))


def _acall(thing: Any, given: Any) -> None:
    asyncio.run(thing.ainvoke(given))


@pytest.mark.parametrize("name", ["chain", "graph", "react agent", "retrieval"])
@pytest.mark.parametrize("form", [_call, _stream, _acall], ids=["invoke", "stream", "ainvoke"])
def test_beside_another_tool(
    own: OwnSpans,
    server: OpenAIServer,
    chat: Models,
    theirs: InMemorySpanExporter,
    name: str,
    form: Callable[[Any, Any], None],
    nothing_logged: Any,
) -> None:
    """Beside another tool our tree is what it is alone, with the tokens billed; it has its spans too (law L18)."""
    thing = ENTRIES[name].make(chat)
    server.reset()
    theirs.clear()
    form(thing, ENTRIES[name].given)
    ours = own.tree().split("\n")
    wanted = ENTRIES[name].tree.split("\n")
    assert sorted(ours) == sorted(wanted)
    assert own.billed == tokens(server.billed) != (0, 0)
    assert len(theirs.get_finished_spans()) > 0
    nothing_logged.lines.clear()  # theirs
