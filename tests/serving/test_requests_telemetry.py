"""A program with OpenTelemetry of its own: the spans that it makes of its requests are the same with us and without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

import autotrace
from autotrace.testing import Spans

from ..conftest import Interpreter
from .servers import CALLER, HEADER, AsgiServer, WsgiServer, body, scope

Shape = list[tuple[Any, ...]]


class Program:
    """A program with a tracer provider of its own.

    Attributes:
        tracer: Makes its own spans.
        provider: Where they come from.
        trace_ids: What it was told of its trace by `current_trace_id`.
    """

    def __init__(self) -> None:
        self._exporter, self.provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("app")
        self.trace_ids: list[str | None] = []

    def work(self, *steps: str) -> None:
        """Its own steps, and ours beside them."""
        for step in steps:
            with self.tracer.start_as_current_span(step):
                assert trace.get_current_span().is_recording()
            self.trace_ids.append(autotrace.current_trace_id())
            with autotrace.span("ours"):
                pass

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def taken(self) -> tuple[ReadableSpan, ...]:
        """What it has made so far; forgotten then."""
        found = self.spans
        self._exporter.clear()
        return found


def fastapi_app(program: Program) -> Any:
    app = FastAPI()

    @app.post("/chats/{id}")
    def chat(id: str) -> Any:  # noqa: A002
        program.work("query", "rank")
        return {"answer": "because"}

    @app.post("/streams/{id}")
    async def stream(id: str) -> Any:  # noqa: A002
        def pieces() -> Any:
            program.work("query")
            yield "be"
            program.work("rank")
            yield "cause"

        return StreamingResponse(pieces())

    @app.post("/errors/{id}")
    def error(id: str) -> Any:  # noqa: A002
        program.work("query")
        raise LookupError("no such model")

    return app


def by_fastapi(program: Program) -> Any:
    app = fastapi_app(program)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=program.provider)
    return app


def by_starlette(program: Program) -> Any:
    """Starlette's own middleware."""

    async def chat(_: Any) -> Any:
        program.work("query", "rank")
        return JSONResponse({"answer": "because"})

    async def error(_: Any) -> Any:
        program.work("query")
        raise LookupError("no such model")

    routes = [Route(f"/{name}/{{id}}", one, methods=["POST"]) for name, one in (("chats", chat), ("errors", error))]
    return Starlette(
        routes=[*routes, Route("/streams/{id}", chat, methods=["POST"])],
        middleware=[Middleware(OpenTelemetryMiddleware, tracer_provider=program.provider)],
    )


def by_flask(program: Program) -> Any:
    app = Flask("app")

    @app.post("/chats/<id>")
    def chat(id: str) -> Any:  # noqa: A002
        program.work("query", "rank")
        return {"answer": "because"}

    @app.post("/streams/<id>")
    def stream(id: str) -> Any:  # noqa: A002
        def pieces() -> Any:
            program.work("query")
            yield "be"
            program.work("rank")
            yield "cause"

        return app.response_class(pieces())

    @app.post("/errors/<id>")
    def error(id: str) -> Any:  # noqa: A002
        program.work("query")
        raise LookupError("no such model")

    FlaskInstrumentor().instrument_app(app, tracer_provider=program.provider)
    return app


def ask(app: Any, path: str, headers: dict[str, str]) -> str | None:
    """One request; the trace that the response tells."""
    if isinstance(app, Flask):
        more = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
        wsgi = WsgiServer(path, content=b"{}", **more)
        wsgi.serve(app)
        return wsgi.header(HEADER)
    server = AsgiServer(body(b"{}"))
    try:
        asyncio.run(server.serve(app, scope(path, headers=headers.items())))
    except LookupError:
        pass
    return server.headers.get(HEADER)


def shape(spans: tuple[ReadableSpan, ...]) -> Shape:
    """All of it that does not differ from run to run."""
    names = {span.context.span_id: span.name for span in spans if span.context}
    traces = {span.context.trace_id for span in spans if span.context}
    told: Shape = [("traces", len(traces), f"{0xAB:02x}" * 16 in {f"{one:032x}" for one in traces})]
    for span in spans:
        parent = None
        if span.parent is not None:
            parent = names.get(span.parent.span_id, f"{span.parent.span_id:016x}")
        events = [(event.name, sorted(event.attributes or {})) for event in span.events]
        told.append((span.name, span.kind, parent, dict(span.attributes or {}), span.status.status_code, events))
    return told


@pytest.mark.parametrize("headers", [{}, {"traceparent": CALLER}], ids=["a new trace", "a caller's trace"])
@pytest.mark.parametrize("path", ["/chats/7", "/streams/7", "/errors/7"])
@pytest.mark.parametrize("made", [by_fastapi, by_starlette, by_flask])
def test_its_spans_are_the_same(
    traced: Spans, made: Callable[[Program], Any], path: str, headers: dict[str, str]
) -> None:
    """Names, parents, traces, attributes, status and events; our root lies beneath the program's own, in its trace."""
    program = Program()
    app = made(program)
    told = ask(app, path, headers)
    theirs, ours, trace_ids = program.taken(), traced.all(), set(program.trace_ids)
    traced.off()
    ask(app, path, headers)
    assert shape(theirs) == shape(program.taken())
    root, *inner = ours
    server_span = next(span for span in theirs if span.kind is trace.SpanKind.SERVER)
    assert {span.trace_id for span in ours} == {server_span.context.trace_id}
    assert {span.parent_id for span in inner} == {root.span_id}
    assert root.name.startswith(f"POST /{path.split('/')[1]}/")
    if headers:
        assert root.parent_id == 0xCDCDCDCDCDCDCDCD
    elif (made, path) == (by_flask, "/streams/7"):
        assert root.parent_id is None  # theirs has ended by the time that something is traced
    else:
        assert root.parent_id == server_span.context.span_id
    assert trace_ids == {f"{root.trace_id:032x}"}
    if path != "/errors/7":
        assert told == f"{root.trace_id:032x}"


def test_through_its_own_provider(traced: Spans) -> None:
    """Where spans of ours go through the program's provider, they lie among its own, in one trace."""
    program = Program()
    app = by_fastapi(program)
    traced.on(tracer_provider=program.provider)
    told = ask(app, "/chats/7", {})
    spans = {span.name: span for span in program.taken() if span.kind is not trace.SpanKind.INTERNAL}
    roots = [span for span in spans.values() if span.name == "POST /chats/{id}"]
    assert roots
    assert told is None or int(told, 16) == roots[0].context.trace_id


def test_a_span_around_a_request(traced: Spans) -> None:
    """A program's own span around a call of its application, in a test say, stays what its spans lie in."""
    program = Program()
    app = by_fastapi(program)

    def around() -> Shape:
        with program.tracer.start_as_current_span("test"):
            ask(app, "/chats/7", {})
        return shape(program.taken())

    with_us = around()
    traced.off()
    assert with_us == around()


BUILT_IN = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
provider, exporter = TracerProvider(), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
IMPORT
from fastapi import FastAPI
from fastapi.testclient import TestClient
app = FastAPI()

@app.post("/chats/{id}")
def chat(id: str, question: str):
    WORK
    with trace.get_tracer("app").start_as_current_span("query"):
        pass
    return {"answer": "because"}

with TestClient(app) as client:
    told = client.post("/chats/7", params={"question": "why?"}).headers.get("x-autotrace-trace-id")
spans = exporter.get_finished_spans()
names = {span.context.span_id: span.name for span in spans}
print(json.dumps([told and [f"{span.context.trace_id:032x}" == told for span in spans],
                  [[span.name, span.kind.name, span.parent and names.get(span.parent.span_id, "?"),
                    dict(span.attributes)] for span in spans]]))
"""


def test_what_fastapi_makes_by_itself(python: Interpreter) -> None:
    """FastAPI makes spans where the program has set a provider: the same ones, in one trace with ours."""
    ours = BUILT_IN.replace("IMPORT", "import autotrace, autotrace.auto")
    told, with_us = python.json(ours.replace("WORK", "with autotrace.span('ours'): pass"))
    none, without = python.json(BUILT_IN.replace("IMPORT", "").replace("WORK", "pass"))
    assert with_us == without
    assert "SERVER" in {kind for _, kind, *_ in with_us}
    assert none is None
    assert told == [True] * len(with_us)
