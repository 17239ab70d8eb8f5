"""Requests to applications made with Quart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, request, stream_with_context, websocket
from quart.utils import run_sync

import autotrace
from autotrace.testing import ApplicationContract, Spans


class TestQuart(ApplicationContract):
    framework = "quart"
    protocol = "asgi"
    route = "/answers/<name>"
    answers_errors = True

    def application(self, answer: Any, pieces: Any) -> Any:
        app = Quart("app")

        @app.post("/answers/<name>")
        async def answers(name: str) -> Response:
            return Response(await run_sync(answer)(await request.get_data()), mimetype="application/json")

        @app.post("/streams/<name>")
        async def streams(name: str) -> Response:
            body = await request.get_data()

            async def within() -> AsyncIterator[bytes]:
                for piece in pieces(body):
                    yield piece
                    await asyncio.sleep(0)

            return Response(stream_with_context(within)(), mimetype="text/plain")

        return app

    def async_application(self, answer: Any, pieces: Any) -> Any:
        app = Quart("app")

        @app.post("/answers/<name>")
        async def answers(name: str) -> Response:
            return Response(await answer(await request.get_data()), mimetype="application/json")

        @app.post("/streams/<name>")
        async def streams(name: str) -> Response:
            body = await request.get_data()
            return Response(stream_with_context(lambda: pieces(body))(), mimetype="text/plain")

        return app


def think() -> None:
    """Something that is traced."""
    with autotrace.span("think"):
        pass


def asked(app: Quart, path: str) -> Any:
    """What a client gets."""

    async def main() -> Any:
        return await app.test_client().get(path)

    return asyncio.run(main())


def test_a_stream_without_its_context(traced: Spans) -> None:
    """Quart knows no rule then: the path names the request, without what stands for one of many."""
    app = Quart("app")

    @app.get("/streams/<id>")
    async def streams(id: str) -> Response:  # noqa: A002
        async def pieces() -> AsyncIterator[bytes]:
            think()
            yield b"one"

        return Response(pieces(), mimetype="text/plain")

    asked(app, "/streams/77")
    assert traced.outline() == "GET /streams/{id}\n  think"


def test_background_tasks(traced: Spans) -> None:
    """They belong to the request that left them."""
    app = Quart("app")

    async def later() -> None:
        think()

    @app.get("/")
    async def endpoint() -> Any:
        app.add_background_task(later)
        return {}

    async def main() -> None:
        async with app.test_app() as tested:
            await tested.test_client().get("/")

    asyncio.run(main())
    assert traced.outline() == "GET /\n  think"


def test_a_web_socket(traced: Spans) -> None:
    """Quart receives in one task and works in another: each message is a request of its own all the same."""
    app = Quart("app")

    @app.websocket("/chats/<id>")
    async def chat(id: str) -> None:  # noqa: A002
        while True:
            text = await websocket.receive()
            think()
            await websocket.send(text.upper())

    async def main() -> None:
        async with app.test_client().websocket("/chats/7") as socket:
            for text in ("why?", "where?"):
                await socket.send(text)
                assert await socket.receive() == text.upper()

    asyncio.run(main())
    roots = [span for span in traced.all() if span.parent_id is None]
    assert [(one["input.value"], one["output.value"]) for one in roots] == [("why?", "WHY?"), ("where?", "WHERE?")]
    assert traced.outline() == "\n".join(["WEBSOCKET /chats/<id>\n  think"] * 2)
