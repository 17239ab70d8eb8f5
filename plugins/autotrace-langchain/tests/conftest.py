"""LangChain and LangGraph themselves, their OpenAI client, and a metering server on loopback.

After every test: no span is current, no operation is open, no run is known, each class of LangChain is what it was, bit
for bit; OpenTelemetry and asyncio logged nothing; autotrace had no error of its own (unless the test is about one).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import logging
import ssl
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import autotrace
from autotrace.activation import active
from autotrace.recording import recorder
from autotrace.recording.guard import guard
from autotrace.testing.openai_server import Billed, OpenAIServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LangChain's own, of pydantic 1 and of its deprecations
    pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    import langchain_core.callbacks.manager
    import langchain_core.embeddings.embeddings
    import langchain_core.language_models.chat_models
    import langchain_core.language_models.llms
    import langchain_core.retrievers
    import langchain_core.runnables.base
    import langchain_core.runnables.config
    import langchain_openai
    import langgraph.pregel
    import openai

#: The HTTP library of this version of the SDK: httpx, or httpx2 from 3.0.
http: Any = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

KEY = "sk-test0123456789abcdef"
#: What the tests ask; looked for wherever it must not be.
QUESTION = "Where does the heron nest?"


class Spans:
    """The spans that have ended, and the tree that they make."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.expected_failures: set[str] = set()

    def on(self, **options: Any) -> None:
        """Switches tracing on, or changes its settings."""
        autotrace.autolog(tracer_provider=self.provider, **{"strict": True, "disable": False, **options})
        autotrace.autolog("openai", stream_usage="always")

    def all(self) -> list[Any]:
        """Every span, in the order of starting."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> Any:
        """The only span of that name."""
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, [span.name for span in self.all()]
        return found[0]

    def roots(self) -> list[Any]:
        """Spans without a parent."""
        return [span for span in self.all() if span.parent is None]

    def root(self) -> Any:
        """The one span without a parent."""
        (root,) = self.roots()
        return root

    def tree(self) -> str:
        """All spans, one a line, each indented beneath its parent; what is neither ok nor plain is said."""
        below: dict[int | None, list[Any]] = {}
        known = {span.context.span_id for span in self.all()}
        for span in self.all():
            parent = span.parent.span_id if span.parent else None
            below.setdefault(parent if parent in known else None, []).append(span)
        return "\n".join(self._lines(below, None, 0))

    def _lines(self, below: Mapping[int | None, list[Any]], parent: int | None, depth: int) -> Iterator[str]:
        for span in below.get(parent, ()):
            outcome = span.attributes.get("autotrace.outcome")
            status = {"OK": "", "ERROR": " !", "UNSET": f" ({outcome})"}[span.status.status_code.name]
            yield "  " * depth + span.name + status
            yield from self._lines(below, span.context.span_id, depth + 1)

    @property
    def billed(self) -> tuple[int, int]:
        """Tokens in and out over all spans."""
        spans = self.all()
        return (
            sum(span.attributes.get("gen_ai.usage.input_tokens", 0) for span in spans),
            sum(span.attributes.get("gen_ai.usage.output_tokens", 0) for span in spans),
        )

    def clear(self) -> None:
        """Forgets the spans so far."""
        self._exporter.clear()

    def text(self) -> str:
        """Everything that spans hold, as one text."""
        return "\n".join(span.to_json() for span in self.all())


def tokens(billed: Billed) -> tuple[int, int]:
    """What the server billed, in and out."""
    return billed.input_tokens, billed.output_tokens


def messages(span: Any, which: str) -> list[Any]:
    """Input or output messages of a span."""
    return json.loads(span.attributes[f"gen_ai.{which}.messages"])  # type: ignore[no-any-return]


def input_text(span: Any) -> str:
    """What a span says of its input."""
    return str(span.attributes.get("gen_ai.input.messages") or span.attributes.get("input.value") or "")


def output_text(span: Any) -> str:
    """What a span says of its output."""
    return str(span.attributes.get("gen_ai.output.messages") or span.attributes.get("output.value") or "")


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for what another thread does.

    Raises:
        AssertionError: It did not come.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.name}: {record.getMessage()}"
        # The HTTP library's and the SDK's own, without us too, when a loop ends with a reply half read.
        own = ("PoolByteStream", "Response.aiter", "AsyncStream.", "SSEDecoder", "aiter_bytes", "ByteStream")
        if not any(name in line for name in own):
            self.lines.append(line)


@pytest.fixture(autouse=True)
def nothing_logged() -> Iterator[_Log]:
    """L08: no line of OpenTelemetry's in the whole suite, nor one of LangChain's about a failing callback."""
    log = _Log()
    loggers = [logging.getLogger(name) for name in ("opentelemetry", "asyncio", "langchain_core")]
    for logger in loggers:
        logger.addHandler(log)
    yield log
    for logger in loggers:
        logger.removeHandler(log)
    assert log.lines == []


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


def _classes() -> list[type]:
    modules = (
        *(langchain_core.callbacks.manager, langchain_core.embeddings.embeddings, langchain_core.retrievers),
        *(langchain_core.language_models.chat_models, langchain_core.language_models.llms, langgraph.pregel),
        *(langchain_core.runnables.base, langchain_openai),
    )
    found = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    # Protocols note by themselves what was asked of them.
    return [
        kind
        for kind in found
        if kind.__module__.startswith(("langchain", "langgraph")) and not getattr(kind, "_is_protocol", False)
    ]


def _held() -> dict[Any, dict[str, Any]]:
    """What classes hold, and the module that autotrace patches a function of."""
    config = langchain_core.runnables.config
    found: dict[Any, dict[str, Any]] = {kind: dict(vars(kind)) for kind in _classes()}
    found[config] = {"_set_config_context": vars(config)["_set_config_context"]}
    return found


@pytest.fixture(scope="session")
def untouched() -> dict[Any, dict[str, Any]]:
    """The classes before autotrace was switched on."""
    active().reset()
    return _held()


#: What Python and pydantic note on classes by themselves.
_NOTES = {
    "__annotations__",
    "__slotnames__",
    "__abstractmethods__",
    "_abc_impl",
    "__non_callable_proto_members__",
    "__protocol_attrs__",
}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = {name for name in (*before, *after) if name not in _NOTES and not name.startswith("__pydantic")}
    return sorted(name for name in names if before.get(name) is not after.get(name))


@pytest.fixture
def spans(untouched: dict[Any, dict[str, Any]], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Tracing, switched on; afterwards nothing of it is left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    spans = Spans()
    spans.on()
    yield spans
    if recorder._open or open_runs():
        gc.collect()
    left_open, failures, runs = dict(recorder._open), set(guard.failures), open_runs()
    active().reset()
    assert not left_open, "operations are still open"
    assert runs == 0, "runs are still known"
    assert failures == spans.expected_failures
    assert not get_current(), "something is still current"
    now = _held()
    changed = {thing: _changed(before, now[thing]) for thing, before in untouched.items()}
    assert {thing: names for thing, names in changed.items() if names} == {}


def open_runs() -> int:
    """How many runs of LangChain are known."""
    for plugin in active().host.discover():
        for traced in plugin.frameworks:
            if traced.instrumentation.name == "langchain":
                return len(traced._runs or ())
    return 0


#: Made once, for it takes longer to make than a call takes.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Models:
    """Makes clients of the server, which never retry and keep no connection.

    Attributes:
        options: What every client is made with.
    """

    def __init__(self, url: str) -> None:
        # A connection of a loop that is gone would be found by the garbage collector.
        limits = http.Limits(max_keepalive_connections=0)
        self._http = http.Client(limits=limits, verify=TLS)
        self._async_http = http.AsyncClient(limits=limits, verify=TLS)
        self.options = {
            "base_url": url,
            "api_key": KEY,
            "max_retries": 0,
            "http_client": self._http,
            "http_async_client": self._async_http,
        }

    def __call__(self, model: str = "gpt-4o", **options: Any) -> Any:
        """A chat model."""
        return langchain_openai.ChatOpenAI(model=model, **{**self.options, **options})

    def text(self) -> Any:
        """A model that completes texts."""
        return langchain_openai.OpenAI(model="gpt-3.5-turbo-instruct", **self.options)

    def embeddings(self) -> Any:
        """A model that embeds texts."""
        options = {**self.options, "check_embedding_ctx_length": False}
        return langchain_openai.OpenAIEmbeddings(model="text-embedding-3-small", **options)

    def close(self) -> None:
        """Closes what they share."""
        self._http.close()
        with contextlib.suppress(RuntimeError):  # the loop of a connection that was left open is gone
            asyncio.run(self._async_http.aclose())
        gc.collect()


@pytest.fixture
def chat(server: OpenAIServer) -> Iterator[Models]:
    """Models of the server."""
    models = Models(server.url)
    yield models
    models.close()
