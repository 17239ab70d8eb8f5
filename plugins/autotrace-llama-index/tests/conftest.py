"""LlamaIndex itself, its OpenAI clients, and a metering server on loopback.

After every test: no span is current, no operation is open, no run is known, each class of LlamaIndex is what it was,
bit for bit; OpenTelemetry and asyncio logged nothing; autotrace had no error of its own (unless the test is about one).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import ssl
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
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
    warnings.simplefilter("ignore")  # LlamaIndex's own, of pydantic's fields
    # Tables that it would load from the network.
    logging.getLogger("nltk").setLevel(logging.CRITICAL)
    pytest.importorskip("llama_index.llms.openai", reason="llama-index-llms-openai is not installed")
    pytest.importorskip("llama_index.embeddings.openai", reason="llama-index-embeddings-openai is not installed")
    import llama_index.core
    import llama_index.core.agent
    import llama_index.core.chat_engine
    import llama_index.core.workflow
    import openai
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.tools import FunctionTool
    from llama_index.embeddings.openai import OpenAIEmbedding
    from llama_index.llms.openai import OpenAI

VERSION = tuple(int(part) for part in llama_index.core.__version__.split(".")[:2])
#: Whether workflows are the agents of this version.
HAS_WORKFLOW_AGENTS = VERSION >= (0, 12)
#: Whether workflows are handed to a runtime, which ends with its event loop in good order.
HAS_RUNTIMES = hasattr(llama_index.core.workflow.Workflow, "runtime")
#: Where the dispatcher lives in this version.
DISPATCHER = sys.modules.get("llama_index_instrumentation.dispatcher") or importlib.import_module(
    "llama_index.core.instrumentation.dispatcher"
)
#: The HTTP library of this version of the SDK: httpx, or httpx2 from 3.0.
http: Any = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

KEY = "sk-test0123456789abcdef"
#: What the tests ask; looked for wherever it must not be.
QUESTION = "Where does the heron nest?"
HERON = "The heron nests in the reeds by the lake."
OWL = "The owl sleeps in a hollow tree."

#: What a query engine over a vector index does.
RAG = """\
  retrieval VectorIndexRetriever
    embeddings text-embedding-3-small
  chat gpt-4o"""


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
        autotrace.autolog("openai", stream_usage="always", disable=False)

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

    def settle(self) -> None:
        """Waits for what ends in the background."""
        until(lambda: not open_runs() and bool(self.roots()))

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
    names = ("gen_ai.input.messages", "gen_ai.tool.call.arguments", "input.value")
    return next((str(span.attributes[name]) for name in names if name in span.attributes), "")


def output_text(span: Any) -> str:
    """What a span says of its output."""
    names = ("gen_ai.output.messages", "gen_ai.tool.call.result", "output.value")
    return next((str(span.attributes[name]) for name in names if name in span.attributes), "")


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
        self.lines.append(f"{record.name}: {record.getMessage()}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """LlamaIndex uses what pydantic has deprecated, and leaves the database of a chat's memory open."""
    ignored = (
        "ignore::pydantic.PydanticDeprecatedSince20",
        "ignore::pydantic.PydanticDeprecatedSince211",
        "ignore:.*aiosqlite.* was deleted before being closed:ResourceWarning",
        "ignore:unclosed database:ResourceWarning",
        "ignore:is_running called from within a step:DeprecationWarning",
        "ignore:ServiceManager is deprecated:DeprecationWarning",
    )
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for one in ignored:
                item.add_marker(pytest.mark.filterwarnings(one))


@pytest.fixture(autouse=True)
def nothing_logged() -> Iterator[_Log]:
    """L08: no line of OpenTelemetry's in the whole suite, nor of asyncio's about what nobody has awaited."""
    log = _Log()
    loggers = [logging.getLogger(name) for name in ("opentelemetry", "asyncio", "autotrace")]
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
    """LlamaIndex's classes, those of its integrations among them. What pydantic notes on them changes by itself."""
    modules = [module for name, module in list(sys.modules.items()) if _is_theirs(name)]
    found = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return [kind for kind in found.values() if _is_theirs(kind.__module__)]


def _is_theirs(name: str) -> bool:
    return name.partition(".")[0] in ("llama_index", "llama_index_instrumentation", "workflows")


def _held() -> dict[type, dict[str, Any]]:
    return {kind: {name: value for name, value in vars(kind).items() if not _is_note(name)} for kind in _classes()}


def _is_note(name: str) -> bool:
    """Whether Python or pydantic writes it on a class itself, while the class is used."""
    return name.startswith(("__pydantic", "__annot")) or name in ("__slotnames__", "__abstractmethods__", "_abc_impl")


@pytest.fixture(scope="session")
def untouched() -> dict[type, dict[str, Any]]:
    """The classes before autotrace was switched on."""
    active().reset()
    return _held()


@pytest.fixture
def spans(untouched: dict[type, dict[str, Any]], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
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
    assert [kind for kind, before in untouched.items() if not _same(before, now[kind])] == []


def _same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return before.keys() == after.keys() and all(after[name] is before[name] for name in before)


def open_runs() -> int:
    """How many runs of LlamaIndex are known."""
    found = [traced for plugin in active().host.discover() for traced in plugin.frameworks]
    return sum(len(traced._runs or ()) for traced in found if traced.instrumentation.name == "llama_index")


#: Made once, for it takes longer to make than a call takes.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"Sunny in {city}."


class Kit:
    """What the tests make things of: models of the server, which never retry and keep no connection.

    Attributes:
        server: The server.
        options: What every client is made with.
    """

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        # A connection of a loop that is gone would be found by the garbage collector.
        limits = http.Limits(max_keepalive_connections=0)
        self._http = http.Client(limits=limits, verify=TLS)
        self._async_http = http.AsyncClient(limits=limits, verify=TLS)
        self.options = {"api_base": server.url, "api_key": KEY, "max_retries": 0}
        self.options.update(http_client=self._http, async_http_client=self._async_http)
        self.llm = self.model()

    def model(self, model: str = "gpt-4o", **options: Any) -> Any:
        """A model."""
        return OpenAI(model=model, **{**self.options, **options})

    def embeddings(self) -> Any:
        """A model that embeds texts."""
        return OpenAIEmbedding(model="text-embedding-3-small", **self.options)

    def index(self, *texts: str) -> Any:
        """An index of documents; nothing of its making is traced or billed."""
        with autotrace.suppress():
            found = VectorStoreIndex.from_documents(
                [
                    Document(text=text, id_=f"doc-{number}", metadata={"page": number})
                    for number, text in enumerate(texts)
                ],
                embed_model=self.embeddings(),
                transformations=[SentenceSplitter()],
            )
        self.server.reset()
        return found

    def engine(self, **options: Any) -> Any:
        """A query engine over two documents."""
        return self.index(HERON, OWL).as_query_engine(llm=self.llm, **options)

    def chat_engine(self, mode: str) -> Any:
        """A chat engine over two documents."""
        return self.index(HERON, OWL).as_chat_engine(chat_mode=mode, llm=self.llm)

    def tool(self, function: Any = weather, **options: Any) -> Any:
        """A tool."""
        return FunctionTool.from_defaults(function, **options)

    def agent(self, *tools: Any, streaming: bool = False, **options: Any) -> Any:
        """An agent that calls tools."""
        from llama_index.core.agent.workflow import FunctionAgent

        named = {"name": "Weather", "description": "Knows the weather.", **options}
        return FunctionAgent(tools=list(tools) or [self.tool()], llm=self.llm, streaming=streaming, **named)

    def close(self) -> None:
        """Closes what they share."""
        self._http.close()
        asyncio.run(self._async_http.aclose())
        gc.collect()


@pytest.fixture
def kit(server: OpenAIServer) -> Iterator[Kit]:
    """Things of LlamaIndex's."""
    asyncio.set_event_loop(None)  # else LlamaIndex makes one where there is none, and leaves it open
    found = Kit(server)
    yield found
    found.close()
