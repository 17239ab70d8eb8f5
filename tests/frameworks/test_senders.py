"""What requests tell other services of a trace: those that the settings name, and nobody else."""

from __future__ import annotations

import asyncio
import importlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import autotrace
from autotrace.serving.hosts import own_hosts
from autotrace.testing import Spans


class Service:
    """A server on a port of its own that keeps the headers of what it is asked; `/to/URL` redirects there."""

    def __init__(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                service.seen.append({name.lower(): value for name, value in self.headers.items()})
                service.raw.append([name.lower() for name in self.headers.keys()])  # noqa: SIM118 (one for each line)
                place = self.path.partition("/to/")[2]
                self.send_response(307 if place else 200)
                if place:
                    self.send_header("Location", place)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_GET

            def do_CONNECT(self) -> None:
                service.seen.append({name.lower(): value for name, value in self.headers.items()})
                self.send_error(502)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Stays silent."""

        self.seen: list[dict[str, str]] = []
        self.raw: list[list[str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def told(self) -> list[str | None]:
        """The traceparent of each request."""
        return [headers.get("traceparent") for headers in self.seen]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def own() -> Iterator[Service]:
    """A service that the settings name."""
    service = Service()
    yield service
    service.close()


@pytest.fixture
def foreign() -> Iterator[Service]:
    """One that they do not."""
    service = Service()
    yield service
    service.close()


async def by_aiohttp(url: str, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, data=b"{}") as response:
        await response.read()


async def by_async_httpx(module: Any, url: str, headers: dict[str, str]) -> None:
    client = module.AsyncClient(follow_redirects=True)
    async with client, client.stream("POST", url, headers=headers, content=b"{}") as response:
        await response.aread()


def by_httpx(module: Any, url: str, headers: dict[str, str]) -> None:
    module.post(url, headers=headers, content=b"{}", follow_redirects=True)


def by_session(url: str, headers: dict[str, str]) -> None:
    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("POST", url, headers=headers, data=b"{}"))
        before, own_headers = dict(prepared.headers), prepared.headers
        response = session.send(prepared, stream=True)
        assert response.content == b"{}"
        assert prepared.headers is own_headers
        assert dict(prepared.headers) == before
        for one in (response, *response.history):
            assert "traceparent" not in one.request.headers or "Traceparent" in headers


SENDERS: dict[str, Callable[[str, dict[str, str]], Any]] = {
    "httpx": lambda url, headers: by_httpx(httpx, url, headers),
    "httpx async": lambda url, headers: asyncio.run(by_async_httpx(httpx, url, headers)),
    "httpx2": lambda url, headers: by_httpx(httpx2, url, headers),
    "httpx2 async": lambda url, headers: asyncio.run(by_async_httpx(httpx2, url, headers)),
    "requests": lambda url, headers: requests.post(url, headers=headers, data=b"{}", timeout=10),
    "requests, prepared": by_session,
    "aiohttp": lambda url, headers: asyncio.run(by_aiohttp(url, headers)),
}
every_sender = pytest.mark.parametrize("name", SENDERS)


def sent(name: str, url: str, headers: dict[str, str] | None = None) -> None:
    """Asks `url` within a span."""
    with autotrace.span("ask"):
        SENDERS[name](url, headers or {})


def traceparent(span: Any) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-01"


@every_sender
def test_a_service_of_ones_own(traced: Spans, own: Service, foreign: Service, name: str) -> None:
    """It is told where it belongs, in one header; a service that is not named sees no header of ours."""
    traced.on(propagate_to=[own.host])
    sent(name, own.url)
    sent(name, foreign.url)
    assert own.told == [traceparent(traced.all()[0])]
    assert own.raw[0].count("traceparent") == 1
    assert foreign.told == [None]
    assert not [header for header in foreign.seen[0] if "trace" in header or "autotrace" in header]
    assert traced.outline() == "ask\nask"


@every_sender
def test_redirects(traced: Spans, own: Service, foreign: Service, name: str) -> None:
    """What is told to one host is not carried along to another one; what was not told to one is told to the next."""
    traced.on(propagate_to=[own.host])
    sent(name, f"{own.url}/to/{foreign.url}/")
    assert (own.told, foreign.told) == ([traceparent(traced.all()[0])], [None])
    traced.clear()
    sent(name, f"{foreign.url}/to/{own.url}/")
    assert (own.told[1], foreign.told[1]) == (traceparent(traced.all()[0]), None)


@every_sender
def test_what_the_program_tells_itself(traced: Spans, own: Service, name: str) -> None:
    """Its own header stays, alone."""
    traced.on(propagate_to=[own.host])
    mine = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"
    sent(name, own.url, {"Traceparent": mine, "X-Own": "1"})
    assert (own.told, own.raw[0].count("traceparent"), own.seen[0]["x-own"]) == ([mine], 1, "1")


@every_sender
def test_outside_of_a_trace(traced: Spans, own: Service, name: str) -> None:
    """There is nothing to tell; nor where tracing is suppressed or switched off."""
    traced.on(propagate_to=[own.host])
    SENDERS[name](own.url, {})
    with autotrace.span("ask"), autotrace.suppress():
        SENDERS[name](own.url, {})
    autotrace.autolog(name.partition(" ")[0].strip(","), disable=True)
    sent(name, own.url)
    assert own.told == [None] * 3


@every_sender
def test_no_service_is_named(traced: Spans, own: Service, name: str) -> None:
    """Nothing is patched; when one is named later it is told, and no longer when none is."""
    from autotrace.activation import active

    def patches() -> list[str]:
        of_clients = ("httpx.", "httpx2.", "requests.", "aiohttp.")
        found = [patch.label for patch in active().host.patches() if patch.is_in_place()]
        return [label for label in found if label.startswith(of_clients)]

    sent(name, own.url)
    assert patches() == []
    traced.on(propagate_to=[own.host])
    assert patches()
    sent(name, own.url)
    traced.on(propagate_to=[])
    assert patches() == []
    sent(name, own.url)
    assert own.told == [None, traceparent(traced.all()[1]), None]


@pytest.mark.parametrize("name", ["httpx", "requests", "aiohttp"])
def test_a_request_that_is_served(traced: Spans, own: Service, name: str) -> None:
    """Whoever is told refers to the trace, so its root is recorded."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    traced.on(propagate_to=[own.host])

    async def ask(_: Any) -> PlainTextResponse:
        await asyncio.to_thread(SENDERS[name], own.url, {})
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/", ask)])
    with TestClient(app) as client:
        client.get("/")
        traced.on(propagate_to=["elsewhere.example.org"])
        client.get("/")
    assert traced.outline() == "GET /"
    assert own.told == [traceparent(traced.one()), None]


@every_sender
def test_what_a_response_refers_to(traced: Spans, own: Service, name: str) -> None:
    """The program's own request is what it was, and what it sees of it."""
    traced.on(propagate_to=[own.host])
    with autotrace.span("ask"):
        if name.startswith("httpx") and "async" not in name:
            module: Any = httpx if name == "httpx" else httpx2
            with module.Client() as client:
                request = client.build_request("POST", own.url, content=b"{}")
                headers, raw = request.headers, list(request.headers.raw)
                response = client.send(request)
                assert response.request is request
                assert (request.headers is headers, request.headers.raw) == (True, raw)
        elif name == "requests":
            with pytest.raises(requests.ConnectionError) as raised:
                requests.get("http://127.0.0.1:9", timeout=1)
            traced.on(propagate_to=["127.0.0.1"])
            with pytest.raises(requests.ConnectionError) as raised:
                requests.get("http://127.0.0.1:9", timeout=1)
            assert raised.value.request is not None
            assert "traceparent" not in raised.value.request.headers
        else:
            SENDERS[name](own.url, {})


def test_a_request_in_many_threads(traced: Spans, own: Service) -> None:
    """One prepared request may be sent by several at once."""
    traced.on(propagate_to=[own.host])
    prepared = requests.Request("POST", own.url, data=b"{}").prepare()
    headers = prepared.headers

    def send() -> None:
        with requests.Session() as session:
            for _ in range(20):
                assert session.send(prepared).status_code == 200

    with autotrace.span("ask"):
        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(own.told) == {traceparent(traced.one())}
    assert "traceparent" not in prepared.headers
    assert {**headers} == {**prepared.headers}


def test_a_transport_of_the_programs_own(traced: Spans, own: Service) -> None:
    """It sees what it saw: we come beneath it; one that sends nothing itself is told nothing."""
    traced.on(propagate_to=[own.host, "mock.example.org"])
    seen = []

    class Transport(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(dict(request.headers))
            return super().handle_request(request)

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(dict(request.headers))
        return httpx.Response(200)

    with autotrace.span("ask"):
        with httpx.Client(transport=Transport()) as client:
            client.get(own.url)
        with httpx.Client(transport=httpx.MockTransport(answers)) as client:
            client.get("https://mock.example.org")
    assert not [headers for headers in seen if "traceparent" in headers]
    assert own.told == [traceparent(traced.one())]


def test_http_2(traced: Spans, tmp_path: Path) -> None:
    """Where the connection speaks HTTP/2, the header goes as there."""
    import ssl

    import trustme
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    authority, seen = trustme.CA(), []
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append((scope["http_version"], dict(scope["headers"]).get(b"traceparent", b"").decode()))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    async def main() -> None:
        config, done = Config(), asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        config.bind, config.errorlog = [f"fd://{listener.detach()}"], None
        config.certfile, config.keyfile = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
        traced.on(propagate_to=[host])
        server = asyncio.create_task(serve(app, config, shutdown_trigger=done.wait))
        async with httpx.AsyncClient(http2=True, verify=trusted) as client:
            with autotrace.span("ask"):
                await client.get(f"https://{host}/")
        done.set()
        await server

    asyncio.run(main())
    assert seen == [("2", traceparent(traced.one()))]


@pytest.mark.parametrize("name", ["httpx", "httpx2", "requests", "aiohttp"])
def test_a_proxy(traced: Spans, own: Service, foreign: Service, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A proxy that is asked for a tunnel to a service of one's own is told nothing; what it hands on, is."""
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, foreign.url)
    monkeypatch.delenv("no_proxy", raising=False)
    traced.on(propagate_to=["agents.example.org"])
    with autotrace.span("ask"):
        if name == "aiohttp":
            asyncio.run(through_aiohttp("http://agents.example.org/"))
            with pytest.raises(aiohttp.ClientHttpProxyError):
                asyncio.run(through_aiohttp("https://agents.example.org/"))
        else:
            SENDERS[name]("http://agents.example.org/", {})
            with pytest.raises(Exception, match=r"Tunnel|Bad Gateway"):
                SENDERS[name]("https://agents.example.org/", {})
    plain, tunnel = foreign.seen
    assert plain["traceparent"] == traceparent(traced.one())
    assert "traceparent" not in tunnel


async def through_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession(trust_env=True) as session, session.post(url, data=b"{}") as response:
        await response.read()


INSTRUMENTORS = {
    "httpx": ("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
    "httpx async": ("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
    "requests": ("opentelemetry.instrumentation.requests", "RequestsInstrumentor"),
    "aiohttp": ("opentelemetry.instrumentation.aiohttp_client", "AioHttpClientInstrumentor"),
}


@pytest.mark.parametrize("first", [True, False], ids=["theirs first", "ours first"])
@pytest.mark.parametrize("name", INSTRUMENTORS)
def test_beside_opentelemetrys_own(traced: Spans, own: Service, foreign: Service, name: str, first: bool) -> None:
    """Its instrumentations tell every host, by a span of their own: then a service is told by one header, by them.

    That is why we tell by ourselves: a program that wants its services told would tell its model's provider too.
    """
    module, kind = INSTRUMENTORS[name]
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor: Any = getattr(importlib.import_module(module), kind)()
    if not first:
        traced.on(propagate_to=[own.host])
    instrumentor.instrument(tracer_provider=provider)
    try:
        traced.on(propagate_to=[own.host])
        sent(name, own.url)
        sent(name, foreign.url)
        traced.off()
        SENDERS[name](foreign.url, {})
    finally:
        instrumentor.uninstrument()
    traced.on()  # what lay beneath theirs can be taken off now
    theirs = exporter.get_finished_spans()
    assert [*own.told, *foreign.told] == [
        f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}" for span in theirs
    ]
    assert [raw.count("traceparent") for raw in (*own.raw, *foreign.raw)] == [1, 1, 1]


def test_hosts() -> None:
    """What a host is named like, in the settings and in a request."""
    is_own = own_hosts(["Agents.example.org", "*.svc.cluster.local", "localhost:8001", "::1", "[::2]:8001", "10.0.0.1"])
    for host in (
        *("agents.example.org", "AGENTS.example.org:443", "agents.example.org.:80", "a.svc.cluster.local:80"),
        *("a.b.svc.cluster.local", "localhost:8001", "[::1]:80", "::1", "[::2]:8001", "10.0.0.1:8080"),
    ):
        assert is_own(host), host
    for host in (
        *("example.org", "x-agents.example.org", "agents.example.org.evil.org:443", "svc.cluster.local", "localhost"),
        *("localhost:8002", "evil.org:8001", "[::2]:8002", "[::3]:80", "", ":80", "10.0.0.10", "agents.example.org@x"),
    ):
        assert not is_own(host), host
