"""The plugin against the real SDK and recorded replies, played on loopback.

A test is written once and runs sync and async: `play` gives the SDK in either form. After every test nothing of
autotrace's has failed, every request was answered by a recording, and OpenTelemetry and asyncio logged nothing.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import logging
import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import autotrace
from autotrace.activation import active
from autotrace.recording.guard import guard
from autotrace.testing.replay import ReplayServer

RECORDINGS = Path(__file__).parent / "recordings"
MODEL = "gemini-2.5-flash"
#: What the tests ask; looked for wherever it must not be.
QUESTION = "Where does the heron nest?"


class Sdk:
    """The SDK's client, sync or async, of the Gemini API or of Vertex AI.

    Attributes:
        server: What answers.
        is_async: Whether methods of `client.aio` are called.
    """

    def __init__(self, server: ReplayServer, is_async: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.is_async = is_async
        self._loop = loop
        self._client = self._made(api_version="v1beta", api_key="k" * 39)

    def to_vertex(self) -> None:
        """From now on Vertex AI is asked."""
        self.finish()
        self._client = self._made(
            "v1beta1", vertexai=True, project="acme", location="us-central1", credentials=Credentials("token")
        )

    def _made(self, api_version: str, **options: Any) -> Any:
        http = types.HttpOptions(base_url=self.server.url, api_version=api_version)
        client = genai.Client(http_options=http, **options)
        return client.aio if self.is_async else client

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Calls a method of the client by its dotted name, and waits for what it returns."""
        return self.wait(operator.attrgetter(name)(self._client)(**arguments))

    def ask(self, contents: Any = QUESTION, /, model: str = MODEL, **config: Any) -> Any:
        """`generate_content`."""
        return self.call("models.generate_content", model=model, contents=contents, config=config or None)

    def stream(self, contents: Any = QUESTION, /, **config: Any) -> Any:
        """`generate_content_stream`."""
        return self.call("models.generate_content_stream", model=MODEL, contents=contents, config=config or None)

    def wait(self, value: Any) -> Any:
        """`value`, awaited where it is awaitable."""

        async def waited() -> Any:
            return await value

        return self._loop.run_until_complete(waited()) if inspect.isawaitable(value) else value

    def next(self, stream: Any) -> Any:
        """The next piece of a stream."""
        return self.wait(stream.__anext__()) if self.is_async else next(stream)

    def all(self, stream: Any) -> list[Any]:
        """All pieces of a stream."""

        async def every() -> list[Any]:
            return [piece async for piece in stream]

        return self.wait(every()) if self.is_async else list(stream)

    def close(self, stream: Any) -> None:
        """Closes a stream."""
        self.wait(stream.aclose() if self.is_async else stream.close())

    def rest(self) -> None:
        """Lets the event loop do what it has been given to do: close one within another what was left."""

        async def rested() -> None:
            idle = 0
            while idle < 3:
                gc.collect()
                await asyncio.sleep(0)
                idle = idle + 1 if len(asyncio.all_tasks()) == 1 else 0

        self.wait(rested())

    def finish(self) -> None:
        """Closes the client; in older versions of the SDK what it has no method to close."""
        if hasattr(genai.Client, "close"):
            self.wait(self._client.aclose() if self.is_async else self._client.close())
        else:
            self.wait(self._client._api_client._async_httpx_client.aclose())
            self._client._api_client._httpx_client.close()


class Recorded(NamedTuple):
    """A span that has ended."""

    name: str
    status: str
    attributes: Mapping[str, Any]
    everything: str

    def __getitem__(self, name: Any) -> Any:
        """The attribute `name`, or `gen_ai.` and `name`; None where there is none."""
        return self.attributes.get(name, self.attributes.get(f"gen_ai.{name}"))

    @property
    def input(self) -> list[dict[str, Any]]:
        """The messages that were sent."""
        return json.loads(self["input.messages"])  # type: ignore[no-any-return]

    @property
    def output(self) -> list[dict[str, Any]]:
        """The messages that came back."""
        return json.loads(self["output.messages"])  # type: ignore[no-any-return]

    @property
    def usage(self) -> dict[str, int]:
        """The tokens, by the conventions' names; cache writes once."""
        start = "gen_ai.usage."
        return {key[len(start) :]: count for key, count in self.attributes.items() if key.startswith(start)}


class Spans:
    """The spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def on(self, **options: Any) -> None:
        """Switches tracing on."""
        autotrace.autolog(tracer_provider=self.provider, **{"strict": True, "disable": False, **options})

    def off(self) -> None:
        """Switches tracing off."""
        autotrace.autolog(disable=True)

    def all(self) -> list[Recorded]:
        """Every span, in the order of starting."""
        return [_recorded(span) for span in sorted(self._exporter.get_finished_spans(), key=_start)]

    def one(self) -> Recorded:
        """The one span that there is."""
        (span,) = self.all()
        return span


def _start(span: ReadableSpan) -> int:
    return span.start_time or 0


def _recorded(span: ReadableSpan) -> Recorded:
    attributes = {key: list(v) if isinstance(v, tuple) else v for key, v in (span.attributes or {}).items()}
    return Recorded(span.name, span.status.status_code.name.lower(), attributes, span.to_json())


class _Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def nothing_logged() -> Iterator[None]:
    """L08: nothing about contexts, and no exception that nobody retrieved."""
    log = _Log()
    loggers = [logging.getLogger(name) for name in ("opentelemetry", "asyncio", "autotrace")]
    for logger in loggers:
        logger.addHandler(log)
    yield
    for logger in loggers:
        logger.removeHandler(log)
    assert log.lines == []


@pytest.fixture
def spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Tracing, switched on; afterwards nothing of it is left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    spans = Spans()
    spans.on()
    yield spans
    failures = dict(guard.failures)
    active().reset()
    spans.provider.shutdown()
    assert failures == {}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture(params=["sync", "async"])
def play(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Iterator[Callable[[str], Sdk]]:
    """The SDK with a server that plays a recording."""
    playing: list[Sdk] = []

    def play(recording: str) -> Sdk:
        server = ReplayServer(RECORDINGS / f"{recording}.json").start()
        playing.append(Sdk(server, request.param == "async", loop))
        return playing[-1]

    yield play
    for sdk in playing:
        unmatched = sdk.server.unmatched
        sdk.finish()
        sdk.server.stop()
        assert unmatched == []
