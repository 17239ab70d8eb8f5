"""Requests to applications made with Litestar."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.exceptions import HTTPException
from litestar.params import FromPath, RawBody
from litestar.response import Stream
from litestar.testing import TestClient

import autotrace
from autotrace.testing import ApplicationContract, Spans


class TestLitestar(ApplicationContract):
    framework = "litestar"
    protocol = "asgi"
    route = "/answers/{name}"
    answers_errors = True

    def application(self, answer: Any, pieces: Any) -> Any:
        @post("/answers/{name:str}", status_code=200, sync_to_thread=True)
        def answers(name: FromPath[str], body: RawBody) -> Response[bytes]:
            return Response(answer(body), media_type="application/json")

        @post("/streams/{name:str}", status_code=200, sync_to_thread=True)
        def streams(name: FromPath[str], body: RawBody) -> Stream:
            return Stream(pieces(body), media_type="text/plain")

        return Litestar([answers, streams])

    def async_application(self, answer: Any, pieces: Any) -> Any:
        @post("/answers/{name:str}", status_code=200)
        async def answers(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
            return Response(await answer(await request.body()), media_type="application/json")

        @post("/streams/{name:str}", status_code=200)
        async def streams(name: FromPath[str], request: Request[Any, Any, Any]) -> Stream:
            return Stream(pieces(await request.body()), media_type="text/plain")

        return Litestar([answers, streams])


def think() -> None:
    """Something that is traced."""
    with autotrace.span("think"):
        pass


def test_a_web_socket(traced: Spans) -> None:
    """Each message is a request of its own."""

    @websocket("/chats/{id:int}")
    async def chat(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        async for text in socket.iter_data():
            think()
            await socket.send_text(str(text).upper())

    with TestClient(Litestar([chat])) as client, client.websocket_connect("/chats/7") as socket:
        for text in ("why?", "where?"):
            socket.send_text(text)
            assert socket.receive_text() == text.upper()
    roots = [span for span in traced.all() if span.parent_id is None]
    assert [(one["input.value"], one["output.value"]) for one in roots] == [("why?", "WHY?"), ("where?", "WHERE?")]
    assert {root.name for root in roots} == {"WEBSOCKET /chats/{id}"}


def test_a_refusal_and_an_error(traced: Spans) -> None:
    """Litestar answers both; one is an error, with the exception that it was."""

    @get("/{status:int}", sync_to_thread=False)
    def endpoint(status: FromPath[int]) -> Any:
        think()
        raise HTTPException("no question", status_code=status) if status < 500 else LookupError("no such model")

    with TestClient(Litestar([endpoint]), raise_server_exceptions=False) as client:
        assert [client.get(f"/{status}").status_code for status in (422, 500)] == [422, 500]
    assert traced.outline() == "GET /{status}\n  think\nGET /{status} !\n  think"
    assert [span["error.type"] for span in traced.all() if span.parent_id is None] == [None, "LookupError"]
