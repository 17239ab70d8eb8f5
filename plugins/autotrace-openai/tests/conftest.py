"""The laws are tested against the real SDK and a scripted, metering server on loopback.

A test is written once, as a coroutine, and runs sync and async: `sdk` is the SDK in either form, and what is awaited
is awaited only where it is awaitable. A sync test runs without an event loop.

After every test: each class of the SDK is what it was, bit for bit; no span is current; no operation is open;
OpenTelemetry logged nothing about context; autotrace had no error of its own (unless the test is about one).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import logging
import operator
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import autotrace
from autotrace.activation import active
from autotrace.recording import recorder
from autotrace.recording.guard import guard
from autotrace.store.reader import Reader
from autotrace.testing.openai_server import Billed, OpenAIServer

KEY = "sk-test0123456789abcdef"
#: What the tests ask; looked for wherever it must not be.
QUESTION = "Where does the heron nest?"
HELLO = [{"role": "user", "content": QUESTION}]


@dataclass(frozen=True)
class Api:
    """One way to ask a model.

    Attributes:
        method: The SDK's method.
        arguments: What it is given.
        operation: `gen_ai.operation.name` of its span.
        streams: Whether it takes `stream=True`.
    """

    method: str
    arguments: Mapping[str, Any]
    operation: str
    streams: bool = True


APIS = {
    "chat": Api("chat.completions.create", {"model": "gpt-4o", "messages": HELLO}, "chat"),
    "responses": Api("responses.create", {"model": "gpt-4o", "input": QUESTION}, "chat"),
    "completions": Api(
        "completions.create", {"model": "gpt-3.5-turbo-instruct", "prompt": QUESTION}, "text_completion"
    ),
    "embeddings": Api(
        "embeddings.create", {"model": "text-embedding-3-small", "input": QUESTION}, "embeddings", streams=False
    ),
}


#: The HTTP library of this version of the SDK: httpx, or httpx2 from 3.0.
http: Any = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])


#: Never used, for all is plain HTTP on loopback; made once, for it takes longer to make than a call takes.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _BrokenBody(http.SyncByteStream, http.AsyncByteStream):  # type: ignore[misc]
    """A body that raises after its first bytes."""

    def __init__(self, source: Any, error: BaseException) -> None:
        self._source = source
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield next(iter(self._source))
        raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield await anext(aiter(self._source))
        raise self._error

    def close(self) -> None:
        self._source.close()

    async def aclose(self) -> None:
        await self._source.aclose()


class _Transport(http.HTTPTransport):  # type: ignore[misc]
    """Sends every request to the server, whatever host it names, and raises what it is told to."""

    def __init__(self, server: OpenAIServer, error: BaseException | None, body_error: BaseException | None) -> None:
        super(type(self), self).__init__(verify=TLS)
        self._port = int(server.azure_endpoint.rpartition(":")[2])
        self._error = error
        self._body_error = body_error

    def _there(self, request: Any) -> Any:
        if self._error is not None:
            raise self._error
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return request

    def _back(self, response: Any) -> Any:
        if self._body_error is not None:
            response.stream = _BrokenBody(response.stream, self._body_error)
        return response

    def handle_request(self, request: Any) -> Any:
        return self._back(super().handle_request(self._there(request)))


class _AsyncTransport(http.AsyncHTTPTransport):  # type: ignore[misc]
    """The same for async clients."""

    __init__ = _Transport.__init__
    _there = _Transport._there
    _back = _Transport._back

    async def handle_async_request(self, request: Any) -> Any:
        return self._back(await super().handle_async_request(self._there(request)))


class Sdk:
    """The OpenAI SDK, sync or async.

    Attributes:
        client: A client of the server that never retries.
    """

    def __init__(self, server: OpenAIServer, is_async: bool) -> None:
        self.http = http
        self.server = server
        self.is_async = is_async
        self.stream_class: type = openai.AsyncStream if is_async else openai.Stream
        self._clients: list[Any] = []
        self.client = self.new()

    def new(self, kind: str = "OpenAI", transport: Any = None, **options: Any) -> Any:
        """Another client; `kind` is its sync class's name."""
        make: Any = openai.DefaultAsyncHttpxClient if self.is_async else openai.DefaultHttpxClient
        http_client = make(verify=TLS) if transport is None else make(transport=transport)
        if kind == "OpenAI":
            options = {"base_url": self.server.url, **options}
        options = {"api_key": KEY, "max_retries": 0, **options}
        client = getattr(openai, ("Async" if self.is_async else "") + kind)(http_client=http_client, **options)
        self._clients.append(client)
        return client

    def elsewhere(
        self,
        base_url: str = "https://api.openai.com/v1",
        *,
        error: BaseException | None = None,
        body_error: BaseException | None = None,
        **options: Any,
    ) -> Any:
        """A client of another host, whose requests reach the server all the same.

        Args:
            base_url: The host.
            error: Raised in place of sending.
            body_error: Raised after the first bytes of a reply.
        """
        kind = _AsyncTransport if self.is_async else _Transport
        transport = kind(self.server, error, body_error)
        return self.new(transport=transport, base_url=base_url, **options)

    def method(self, name: str, client: Any = None) -> Callable[..., Any]:
        """A method of the client by its dotted name; the test is skipped where this version has none."""
        try:
            return operator.attrgetter(name)(client or self.client)  # type: ignore[no-any-return]
        except AttributeError:
            pytest.skip(f"openai {openai.__version__} has no {name}")

    async def create(self, api: Api, client: Any = None, **more: Any) -> Any:
        """Calls an API."""
        return await self.wait(self.method(api.method, client)(**{**api.arguments, **more}))

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """Calls a method by its dotted name."""
        return await self.wait(self.method(name)(**arguments))

    async def wait(self, value: Any) -> Any:
        """`value`, awaited where it is awaitable."""
        return await value if inspect.isawaitable(value) else value

    async def next(self, stream: Any) -> Any:
        """The next piece of a stream. Raises StopAsyncIteration at its end: no coroutine may raise the other."""
        if self.is_async:
            return await stream.__anext__()
        try:
            return next(stream)
        except StopIteration:
            raise StopAsyncIteration from None

    async def all(self, stream: Any) -> list[Any]:
        """All pieces of a stream."""
        return [piece async for piece in stream] if self.is_async else list(stream)

    async def close(self, stream: Any) -> None:
        """Closes a stream."""
        await self.wait(stream.close())

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
    """A span that has ended, whichever road it took."""

    name: str
    kind: str
    status: str
    message: str | None
    attributes: Mapping[str, Any]
    events: list[tuple[str, Mapping[str, Any]]]
    trace_id: str
    span_id: str
    parent_id: str | None
    seconds: float
    scope: str | None = None
    everything: str = field(default="", repr=False)

    def __getitem__(self, name: str) -> Any:
        """The attribute `name`, or `gen_ai.` and `name`; None where there is none."""
        return self.attributes.get(name, self.attributes.get("gen_ai." + name))

    @property
    def input(self) -> list[dict[str, Any]]:
        """The messages that were sent."""
        return json.loads(self["input.messages"])  # type: ignore[no-any-return]

    @property
    def output(self) -> list[dict[str, Any]]:
        """The messages that came back."""
        return json.loads(self["output.messages"])  # type: ignore[no-any-return]

    @property
    def outcome(self) -> str | None:
        """`closed`, `abandoned`, `cancelled`; None for a call that succeeded or failed."""
        return self["autotrace.outcome"]  # type: ignore[no-any-return]

    @property
    def billed(self) -> Billed:
        """The tokens on the span, as the server counts them."""
        names = {
            "input_tokens": "input_tokens",
            "output_tokens": "output_tokens",
            "cached_tokens": "cache_read.input_tokens",
            "cache_write_tokens": "cache_write.input_tokens",
            "input_audio_tokens": "audio.input_tokens",
            "reasoning_tokens": "reasoning.output_tokens",
            "output_audio_tokens": "audio.output_tokens",
        }
        found = {name: self.attributes.get(f"gen_ai.usage.{key}", 0) for name, key in names.items()}
        return Billed(int(any(found.values())), **found)


class Spans:
    """The spans that have ended.

    Args:
        road: `sdk`: the program's own OpenTelemetry provider; `lean`: our tracer, the journal and the store.
        home: Where the journal and the store lie.
    """

    def __init__(self, road: str, home: Path) -> None:
        self.road = road
        self._home = home
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.expected_failures: set[str] = set()

    def on(self, **options: Any) -> None:
        """Switches tracing on (again)."""
        if self.road == "sdk":
            autotrace.autolog(tracer_provider=self.provider, **{"strict": True, "disable": False, **options})
        else:
            autotrace.autolog(**{"home": self._home, "strict": True, "disable": False, **options})

    def off(self) -> None:
        """Switches tracing off: the SDK is as if autotrace were not there."""
        autotrace.autolog(disable=True)

    def expect_failures(self, *places: str) -> None:
        """Says that autotrace has failed in these places, and nowhere else."""
        self.expected_failures = set(guard.failures)
        assert [any(place in failure for failure in guard.failures) for place in places] == [True] * len(places)
        assert all(any(place in failure for place in places) for failure in guard.failures)

    def all(self) -> list[Recorded]:
        """Every span, in the order of starting."""
        if self.road == "sdk":
            return [_from_sdk(span) for span in sorted(self._exporter.get_finished_spans(), key=_start)]
        assert autotrace.flush(10)
        store = self._home / "traces.db"
        if not store.exists():
            return []
        with Reader(store) as reader:
            traces = [reader.trace(summary.trace_id) for summary in reversed(reader.traces(10_000))]
        return [_from_store(span, trace) for trace in traces if trace for span in trace.spans if span.end_ns]

    def one(self) -> Recorded:
        """The one span that there is."""
        (span,) = self.all()
        return span

    def last(self) -> Recorded:
        """The span that started last."""
        return self.all()[-1]

    def clear(self) -> None:
        """Forgets the spans so far."""
        assert self.road == "sdk"
        self._exporter.clear()

    @property
    def billed(self) -> Billed:
        """The tokens on all spans."""
        return sum((span.billed for span in self.all()), Billed())


def _start(span: ReadableSpan) -> int:
    return span.start_time or 0


def _from_sdk(span: ReadableSpan) -> Recorded:
    attributes = {key: list(v) if isinstance(v, tuple) else v for key, v in (span.attributes or {}).items()}
    return Recorded(
        span.name,
        span.kind.name.lower(),
        span.status.status_code.name.lower(),
        span.status.description,
        attributes,
        [(event.name, dict(event.attributes or {})) for event in span.events],
        f"{span.context.trace_id:032x}",
        f"{span.context.span_id:016x}",
        f"{span.parent.span_id:016x}" if span.parent else None,
        ((span.end_time or 0) - (span.start_time or 0)) / 1e9,
        span.instrumentation_scope.name if span.instrumentation_scope else None,
        span.to_json(),
    )


def _from_store(span: Any, trace: Any) -> Recorded:
    payload = trace.payload(span)
    return Recorded(
        span.name,
        payload.kind,
        # The store tells cancelled and closed from unset; a span's own status knows neither.
        span.status if span.status in ("ok", "error") else "unset",
        payload.message,
        payload.attributes,
        [(event["name"], event["attributes"]) for event in payload.events],
        span.trace_id,
        span.span_id,
        span.parent_id,
        (span.end_ns - span.start_ns) / 1e9,
        payload.scope,
        json.dumps(span.as_json(payload, None)),
    )


class _Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marks."""
    config.addinivalue_line("markers", "both_roads: through the program's own provider and through our own tracer")
    config.addinivalue_line("markers", "apis(*names): the APIs that the test calls, instead of all")
    config.addinivalue_line("markers", "streams: only the APIs that stream")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spreads tests over the APIs and, where marked, over both roads of a span."""
    if "api" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("apis")
        wanted = mark.args if mark else APIS
        if metafunc.definition.get_closest_marker("streams"):
            wanted = [name for name in wanted if APIS[name].streams]
        metafunc.parametrize("api", list(wanted), indirect=True)
    if "spans" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_roads"):
        metafunc.parametrize("spans", ["sdk", "lean"], indirect=True)


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
        try:
            whole().send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("a sync test was suspended")
    return True


@pytest.fixture(scope="session")
def running_server() -> Iterator[OpenAIServer]:
    """The one server."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(running_server: OpenAIServer) -> OpenAIServer:
    """The server, without memory of earlier tests."""
    running_server.reset()
    return running_server


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest, server: OpenAIServer) -> Sdk:
    """The SDK, sync and async."""
    return Sdk(server, request.param == "async")


@pytest.fixture
def api(request: pytest.FixtureRequest, sdk: Sdk) -> Api:
    """An API that this version of the SDK has."""
    found = APIS[request.param]
    sdk.method(found.method)
    return found


def _classes() -> list[type]:
    """The SDK's classes that a patch might touch. Those of pydantic change by themselves."""
    modules = ["_base_client", "_client", "_streaming", "_response", "_legacy_response", "lib.azure", "resources"]
    names = [f"openai.{name}" for name in modules] + [
        name for name in sys.modules if name.startswith("openai.resources")
    ]
    found = {
        value for name in names for value in vars(importlib.import_module(name)).values() if isinstance(value, type)
    }
    return [kind for kind in found if kind.__module__.startswith("openai") and not hasattr(kind, "model_fields")]


@pytest.fixture(scope="session")
def untouched() -> dict[type, dict[str, Any]]:
    """The `__dict__` of the SDK's classes before autotrace was switched on."""
    active().reset()
    return {kind: dict(vars(kind)) for kind in _classes()}


@pytest.fixture(autouse=True)
def nothing_logged() -> Iterator[_Log]:
    """L08: no line of OpenTelemetry's in the whole suite, "Failed to detach context" least of all."""
    log = _Log()
    # asyncio's logger tells of exceptions that nobody retrieved.
    loggers = [logging.getLogger(name) for name in ("opentelemetry", "opentelemetry.context", "asyncio")]
    for logger in loggers:
        logger.addHandler(log)
    yield log
    for logger in loggers:
        logger.removeHandler(log)
    assert log.lines == []


@pytest.fixture
def spans(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    untouched: dict[type, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Spans]:
    """Tracing, switched on; afterwards nothing of it is left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    spans = Spans(getattr(request, "param", "sdk"), tmp_path / "home")
    spans.on()
    yield spans
    if recorder._open:
        gc.collect()
    left_open, failures = dict(recorder._open), set(guard.failures)
    active().reset()
    spans.provider.shutdown()
    assert not left_open, "operations are still open"
    assert failures == spans.expected_failures
    assert not get_current(), "something is still current"
    changed = [kind for kind, before in untouched.items() if not _same(before, vars(kind))]
    assert changed == [], "classes of the SDK are not what they were"


def _same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    # copyreg remembers on a class what its first copy has found.
    names = [name for name in after if name != "__slotnames__"]
    return [name for name in before if name != "__slotnames__"] == names and all(
        after[name] is before[name] for name in names
    )
