"""Requests to applications made with Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import autotrace
from autotrace.testing import ApplicationContract, Spans


class TestStarlette(ApplicationContract):
    framework = "starlette"
    protocol = "asgi"

    def application(self, answer: Any, pieces: Any) -> Any:
        async def answers(request: Request) -> Response:
            body = await request.body()
            return Response(await run_in_threadpool(answer, body), media_type="application/json")

        async def streams(request: Request) -> Response:
            return StreamingResponse(pieces(await request.body()), media_type="text/plain")

        return self.of(answers, streams)

    def async_application(self, answer: Any, pieces: Any) -> Any:
        async def answers(request: Request) -> Response:
            return Response(await answer(await request.body()), media_type="application/json")

        async def streams(request: Request) -> Response:
            return StreamingResponse(pieces(await request.body()), media_type="text/plain")

        return self.of(answers, streams)

    def of(self, answers: Any, streams: Any) -> Any:
        """The application."""
        routes = [
            Route("/answers/{name}", answers, methods=["POST"]),
            Route("/streams/{name}", streams, methods=["POST"]),
        ]
        return Starlette(routes=routes)


def think(name: str = "think") -> None:
    """Something that is traced."""
    with autotrace.span(name):
        pass


async def answer(request: Request) -> Response:
    think()
    return JSONResponse({"answer": "because"})


def get(app: Any, path: str) -> Any:
    """What a client in this process gets."""
    with TestClient(app, raise_server_exceptions=False) as client:
        return client.get(path)


def test_mounted_applications(traced: Spans) -> None:
    """An application within another one is one request, named by the whole of its route."""
    inner = Starlette(routes=[Route("/chats/{id}", answer)])
    app = Starlette(routes=[Mount("/api/v1", inner)])
    assert get(app, "/api/v1/chats/7").json() == {"answer": "because"}
    (root, _) = traced.all()
    assert traced.outline() == "GET /api/v1/chats/{id}\n  think"
    assert root["url.path"] == "/api/v1/chats/7"


def test_work_before_a_mounted_application_has_found_its_route(traced: Spans) -> None:
    """It is named by the route all the same, or by the path; what it is mounted at stands there once."""

    class Guard(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            think("before")
            response: Response = await call_next(request)
            return response

    inner = Starlette(routes=[Route("/chats/{id}", answer)], middleware=[Middleware(Guard)])
    app = Starlette(routes=[Mount("/api", inner)])
    assert get(app, "/api/chats/7").status_code == 200
    assert get(app, "/api/nothing").status_code == 404
    assert traced.outline() == "GET /api/chats/{id}\n  before\n  think\nGET /api/nothing\n  before"


def test_behind_a_proxy(traced: Spans) -> None:
    """What the proxy has taken off the path is part of it."""
    app = Starlette(routes=[Route("/chats/{id}", answer)])
    with TestClient(app, root_path="/prefix") as client:
        assert client.get("/chats/7").status_code == 200
    assert traced.outline() == "GET /prefix/chats/{id}\n  think"


def test_middleware(traced: Spans) -> None:
    """What middleware does, before the route is found and around the answer, is part of the request."""

    class Guard(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            think("before")
            response: Response = await call_next(request)
            think("after")
            return response

    app = Starlette(routes=[Route("/chats/{id}", answer)], middleware=[Middleware(Guard)])
    assert get(app, "/chats/7").headers["x-autotrace-trace-id"] == "0" * 31 + "1"
    assert traced.outline() == "GET /chats/{id}\n  before\n  think\n  after"


def test_background_tasks(traced: Spans) -> None:
    """What a request leaves to be done later belongs to it: coroutine functions, and functions in threads."""

    async def later() -> None:
        think("later")

    async def endpoint(request: Request) -> Response:
        tasks = BackgroundTasks([BackgroundTask(think, "in a thread"), BackgroundTask(later)])
        return JSONResponse({}, background=tasks)

    get(Starlette(routes=[Route("/", endpoint)]), "/")
    root, *inner = traced.all()
    assert traced.outline() == "GET /\n  in a thread\n  later"
    assert root.end_s < min(span.start_s for span in inner)


def test_a_lifespan(traced: Spans) -> None:
    """What is done at the start is no request's, nor is what a task does that began there."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        think("at the start")
        task = asyncio.create_task(asyncio.to_thread(think, "beside"))
        yield
        await task

    get(Starlette(routes=[Route("/", answer)], lifespan=lifespan), "/")
    assert sorted(traced.outline().splitlines()) == sorted(["at the start", "beside", "GET /", "  think"])


@pytest.mark.parametrize("handled", [True, False])
def test_an_exception(traced: Spans, handled: bool) -> None:
    """Answered by the framework or by the application, the root tells of it."""

    async def endpoint(request: Request) -> Response:
        think()
        raise LookupError("no such model")

    async def handler(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "no such model"}, status_code=503)

    handlers: Any = {LookupError: handler} if handled else {}
    response = get(Starlette(routes=[Route("/", endpoint)], exception_handlers=handlers), "/")
    root = traced.named("GET /")
    assert response.status_code == root["http.response.status_code"] == (503 if handled else 500)
    assert (root.status, root["error.type"], root.message) == ("error", "LookupError", "no such model")


def test_a_refusal(traced: Spans) -> None:
    """What a client did wrong is no error, and tells why."""

    async def endpoint(request: Request) -> Response:
        think()
        raise HTTPException(422, "no question")

    assert get(Starlette(routes=[Route("/", endpoint)]), "/").status_code == 422
    root = traced.named("GET /")
    assert (root.status, root["output.value"]) == ("ok", "no question")


def test_server_sent_events(traced: Spans) -> None:
    """The pieces of an answer are put together."""

    async def events() -> AsyncIterator[str]:
        for word in ("be", "cause"):
            think()
            yield f'data: {{"token": "{word}"}}\n\n'
        yield "data: [DONE]\n\n"

    async def endpoint(request: Request) -> Response:
        return StreamingResponse(events(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/", endpoint)])
    assert get(app, "/").text.count("data:") == 3
    assert traced.outline() == "GET /\n  think\n  think"
    assert traced.named("GET /")["output.value"] == "because"


def test_a_compressed_answer(traced: Spans) -> None:
    """It is read as what it says."""

    async def endpoint(request: Request) -> Response:
        think()
        return JSONResponse({"answer": "because " * 200})

    app = Starlette(routes=[Route("/", endpoint)], middleware=[Middleware(GZipMiddleware)])
    assert get(app, "/").headers["content-encoding"] == "gzip"
    assert traced.named("GET /")["output.value"] == "because " * 200


def test_files_and_pages(traced: Spans, tmp_path: Path) -> None:
    """What is no answer leaves no trace and gets no header; a page is no output."""
    (tmp_path / "page.html").write_text("<p>because</p>")

    async def page(request: Request) -> Response:
        think()
        return HTMLResponse("<p>because</p>")

    app = Starlette(routes=[Mount("/static", StaticFiles(directory=tmp_path)), Route("/", page)])
    assert "x-autotrace-trace-id" not in get(app, "/static/page.html").headers
    assert traced.all() == []
    get(app, "/")
    assert traced.named("GET /")["output.value"] is None


def test_a_web_socket(traced: Spans) -> None:
    """Each message is a request of its own, named by the socket's route."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            think()
            await socket.send_json({"answer": text.upper()})

    app = Starlette(routes=[WebSocketRoute("/chats/{id}", endpoint)])
    with TestClient(app) as client, client.websocket_connect("/chats/7") as socket:
        for text in ("why?", "where?"):
            socket.send_text(text)
            assert socket.receive_json() == {"answer": text.upper()}
    assert traced.outline() == "\n".join(["WEBSOCKET /chats/{id}\n  think"] * 2)
    roots = [span for span in traced.all() if span.parent_id is None]
    assert [(one["input.value"], one["output.value"]) for one in roots] == [("why?", "WHY?"), ("where?", "WHERE?")]


def test_a_client_in_the_application(traced: Spans) -> None:
    """A request that the application makes to another one in this process is a step of its own request."""
    other = Starlette(routes=[Route("/", answer)])

    async def endpoint(request: Request) -> Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://other") as client:
            return JSONResponse((await client.get("/")).json())

    get(Starlette(routes=[Route("/", endpoint)]), "/")
    assert traced.outline() == "GET /\n  think"


def test_an_application_of_before(traced: Spans) -> None:
    """One that was made, and has served, before tracing was switched on is traced."""
    app = Starlette(routes=[Route("/", answer)])
    traced.off()
    get(app, "/")
    traced.on()
    get(app, "/")
    assert traced.outline() == "GET /\n  think"
