"""The SDK makes OpenTelemetry spans by itself, from 2.0 on, and sends their context: only where somebody wants them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import autotrace

from .conftest import ASK

STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
OUTPUT_TOKENS, FIRST_CHUNK = "gen_ai.usage.output_tokens", "gen_ai.response.time_to_first_chunk"


class Program:
    """An OpenTelemetry provider of the program's own, and the spans that have ended in it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def names(self) -> list[str]:
        """Their names."""
        return [span.name for span in self._exporter.get_finished_spans()]

    def tokens(self) -> list[Any]:
        """The output tokens on each."""
        return [(span.attributes or {}).get(OUTPUT_TOKENS) for span in self._exporter.get_finished_spans()]

    def take(self) -> list[Any]:
        """What they say, but for times; and forgets them."""
        found = [
            (span.name, span.kind, {**(span.attributes or {}), FIRST_CHUNK: None}, span.status.status_code)
            for span in self._exporter.get_finished_spans()
        ]
        self._exporter.clear()
        return found


@pytest.fixture(autouse=True)
def nothing_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider is OpenTelemetry's global one, whatever other tests have done."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)


@pytest.fixture
def program() -> Iterator[Program]:
    """A provider that is not set up."""
    made = Program()
    yield made
    made.provider.shutdown()


@pytest.fixture
def set_up(program: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program's own provider, set up as OpenTelemetry's global one, for this test."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", program.provider)
    assert trace.get_tracer_provider() is program.provider
    return program


@pytest.fixture
def _traces_itself() -> None:
    """Skips where the SDK makes no spans."""
    if not hasattr(anthropic.Anthropic, "open_telemetry"):
        pytest.skip(f"anthropic {anthropic.__version__} makes no spans by itself")


traces_itself = pytest.mark.usefixtures("_traces_itself")


async def ask(sdk: Any, client: Any, stream: bool) -> None:
    """Makes one call to its end."""
    reply = await sdk.wait(client.messages.create(**ASK, stream=stream))
    if stream:
        await sdk.all(reply)


@STREAMS
async def test_no_header_of_ours(sdk: Any, spans: Any, stream: bool) -> None:
    """Where the program has set up no OpenTelemetry, nothing of our spans is sent to the API."""
    client = sdk.play("stream" if stream else "message")
    await ask(sdk, client, stream)
    assert [name for name in sdk.server.requests[-1].headers if name.startswith("trace")] == []
    assert spans.one().usage.output_tokens == 43


async def test_no_header_of_ours_by_the_stream_helper(sdk: Any, spans: Any) -> None:
    """The same, whichever way the call is made."""
    sdk.play("stream")
    async with sdk.entered(sdk.client.messages.stream(**ASK)) as entered:
        await sdk.all(entered)
    assert "traceparent" not in sdk.server.requests[-1].headers
    assert spans.one().usage.output_tokens == 43


@STREAMS
async def test_one_span_in_the_program_s_provider(sdk: Any, spans: Any, set_up: Program, stream: bool) -> None:
    """L17, L18: where our spans go to the program's provider, it holds each call, and its tokens, once."""
    client = sdk.play("stream" if stream else "message")
    spans.on(tracer_provider=set_up.provider)
    await ask(sdk, client, stream)
    assert set_up.names() == ["chat claude-opus-5"]
    assert set_up.tokens() == [43]


@traces_itself
@STREAMS
async def test_the_program_s_own_trace_is_complete(sdk: Any, spans: Any, set_up: Program, stream: bool) -> None:
    """Where the program has a provider of its own and our spans do not go there, the SDK's are as without us."""
    client = sdk.play("stream" if stream else "message")
    spans.off()
    await ask(sdk, client, stream)
    untraced = set_up.take()
    assert [name for name, *_ in untraced] == ["anthropic.messages.create"]
    spans.on()
    await ask(sdk, client, stream)
    assert set_up.take() == untraced
    assert "traceparent" in sdk.server.requests[-1].headers
    assert spans.one().usage.output_tokens == 43


@traces_itself
@pytest.mark.parametrize("ours", ["private", "shared"])
@pytest.mark.parametrize("is_set_up", [False, True], ids=["none", "global"])
async def test_a_client_with_a_provider_of_its_own(
    sdk: Any, spans: Any, program: Program, monkeypatch: pytest.MonkeyPatch, ours: str, is_set_up: bool
) -> None:
    """A client that was given a tracer provider goes on using it, wherever our spans go."""
    sdk.play("message")
    if is_set_up:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", program.provider)
    if ours == "shared":
        spans.on(tracer_provider=program.provider)
    own = Program()
    await ask(sdk, sdk.new(open_telemetry={"tracer_provider": own.provider}), stream=False)
    assert own.names() == ["anthropic.messages.create"]
    found = program.names() if ours == "shared" else [span.name for span in spans.all()]
    assert found == ["chat claude-opus-5"]
    own.provider.shutdown()


@traces_itself
async def test_the_conversation_of_a_client(sdk: Any, spans: Any) -> None:
    """The conversation that a client was given for its spans is the session of ours, and a program's own wins."""
    sdk.play("message")
    client = sdk.new(open_telemetry={"conversation_id": "conv-1"})
    await ask(sdk, client, stream=False)
    await ask(sdk, client.with_options(open_telemetry={"conversation_id": "conv-2"}), stream=False)
    with autotrace.context(session="own"):
        await ask(sdk, client, stream=False)
    assert [span["conversation.id"] for span in spans.all()] == ["conv-1", "conv-2", "own"]
