"""Recorded replies of Anthropic's API, played on loopback to the real SDK, sync and async.

A test is written once, as a coroutine; what is awaited is awaited only where it is awaitable. A sync test runs without
an event loop.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import operator
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import pytest
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import autotrace
from autotrace.activation import active
from autotrace.recording import recorder
from autotrace.recording.guard import guard
from autotrace.testing.replay import ReplayServer

RECORDINGS = Path(__file__).parent / "recordings"
QUESTION = "Where does the heron nest?"
ANSWER = "The heron nests in the old alder by the weir."
#: The least that a message wants.
ASK: Mapping[str, Any] = {
    "model": "claude-opus-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": QUESTION}],
}


class Sdk:
    """The Anthropic SDK, sync or async.

    Attributes:
        server: The server that the client talks to, once `play` has started it.
        client: A client of it that never retries.
    """

    server: ReplayServer
    client: Any

    def __init__(self, is_async: bool, stack: ExitStack) -> None:
        self.is_async = is_async
        self._stack = stack
        self._clients: list[Any] = []

    def play(self, *recordings: str) -> Any:
        """Plays recordings; a client of the server."""
        paths = [RECORDINGS / f"{name}.json" for name in recordings]
        self.server = self._stack.enter_context(ReplayServer(*paths))
        self.client = self.new()
        return self.client

    def new(self, kind: str = "Anthropic", **options: Any) -> Any:
        """Another client; `kind` is its sync class's name."""
        options = {"base_url": self.server.url, "max_retries": 0, **options}
        if kind == "Anthropic":
            options = {"api_key": "sk-ant-test", **options}
        made = getattr(anthropic, ("Async" if self.is_async else "") + kind)(**options)
        self._clients.append(made)
        return made

    def method(self, name: str) -> Callable[..., Any]:
        """A method of the client by its dotted name; the test is skipped where this version has none."""
        try:
            return operator.attrgetter(name)(self.client)  # type: ignore[no-any-return]
        except AttributeError:
            pytest.skip(f"anthropic {anthropic.__version__} has no {name}")

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """Calls a method by its dotted name, with the least that it wants."""
        return await self.wait(self.method(name)(**{**ASK, **arguments}))

    async def wait(self, value: Any) -> Any:
        """`value`, awaited where it is awaitable."""
        return await value if inspect.isawaitable(value) else value

    async def all(self, stream: Any) -> list[Any]:
        """All pieces of a stream."""
        return [piece async for piece in stream] if self.is_async else list(stream)

    async def next(self, stream: Any) -> Any:
        """The next piece of a stream."""
        return await stream.__anext__() if self.is_async else next(stream)

    @asynccontextmanager
    async def entered(self, manager: Any) -> AsyncIterator[Any]:
        """`with manager` or `async with manager`."""
        if self.is_async:
            async with manager as value:
                yield value
        else:
            with manager as value:
                yield value

    async def finish(self) -> None:
        """Closes every client."""
        for client in self._clients:
            await self.wait(client.close())


@dataclass(frozen=True)
class Recorded:
    """A span that has ended."""

    span: ReadableSpan

    def __getitem__(self, name: str) -> Any:
        """The attribute `name`, or `gen_ai.` and `name`; None where there is none."""
        attributes = self.span.attributes or {}
        return attributes.get(name, attributes.get("gen_ai." + name))

    @property
    def input(self) -> list[dict[str, Any]]:
        """The messages that were sent."""
        return json.loads(self["input.messages"])  # type: ignore[no-any-return]

    @property
    def output(self) -> dict[str, Any]:
        """The message that came back."""
        (message,) = json.loads(self["output.messages"])
        return message  # type: ignore[no-any-return]

    @property
    def text(self) -> str | None:
        """The text that came back, where it is nothing else."""
        (part,) = self.output["parts"]
        return part["content"] if part["type"] == "text" else None

    @property
    def status(self) -> str:
        """`ok`, `error` or `unset`."""
        return self.span.status.status_code.name.lower()

    @property
    def usage(self) -> dict[str, int]:
        """The tokens, by the conventions' names."""
        prefix, attributes = "gen_ai.usage.", self.span.attributes or {}
        return {name.removeprefix(prefix): attributes[name] for name in attributes if name.startswith(prefix)}  # type: ignore[misc]


class Spans:
    """The spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def on(self, **options: Any) -> None:
        """Switches tracing on (again)."""
        autotrace.autolog(tracer_provider=self.provider, **{"strict": True, "disable": False, **options})

    def all(self) -> list[Recorded]:
        """Every span, in the order of ending."""
        return [Recorded(span) for span in self._exporter.get_finished_spans()]

    def one(self) -> Recorded:
        """The one span that there is."""
        (span,) = self.all()
        return span


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a coroutine test: in an event loop where the SDK is async, by hand where it is not."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    sdk: Sdk = arguments["sdk"]

    async def whole() -> None:
        try:
            await pyfuncitem.obj(**arguments)
            assert not get_current(), "something is still current"
        finally:
            await sdk.finish()

    if sdk.is_async:
        asyncio.run(whole())
    else:
        with pytest.raises(StopIteration):  # a sync test is never suspended
            whole().send(None)
    return True


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """The SDK, sync and async."""
    with ExitStack() as stack:
        yield Sdk(request.param == "async", stack)


@pytest.fixture
def spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Tracing, switched on; afterwards nothing of it is open, and it has had no error of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    active().reset()
    spans = Spans()
    spans.on()
    yield spans
    if recorder._open:
        gc.collect()
    left_open, failures = dict(recorder._open), set(guard.failures)
    active().reset()
    spans.provider.shutdown()
    assert not left_open, "operations are still open"
    assert failures == set()
