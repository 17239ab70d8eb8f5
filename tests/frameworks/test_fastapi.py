"""Requests to applications made with FastAPI, which is made of Starlette: once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

import autotrace
from autotrace.testing import ApplicationContract, Spans


class TestFastAPI(ApplicationContract):
    framework = "starlette"
    protocol = "asgi"

    def application(self, answer: Any, pieces: Any) -> Any:
        app = FastAPI()

        @app.post("/answers/{name}")
        def answers(name: str, question: dict[str, Any]) -> Response:
            import json

            return Response(answer(json.dumps(question)), media_type="application/json")

        @app.post("/streams/{name}")
        async def streams(name: str, request: Request) -> StreamingResponse:
            return StreamingResponse(pieces(await request.body()), media_type="text/plain")

        return app

    def async_application(self, answer: Any, pieces: Any) -> Any:
        app = FastAPI()

        @app.post("/answers/{name}")
        async def answers(name: str, request: Request) -> Response:
            return Response(await answer(await request.body()), media_type="application/json")

        @app.post("/streams/{name}")
        async def streams(name: str, request: Request) -> StreamingResponse:
            return StreamingResponse(pieces(await request.body()), media_type="text/plain")

        return app


def think(name: str = "think") -> None:
    """Something that is traced."""
    with autotrace.span(name):
        pass


def guarded() -> Iterator[str]:
    """A dependency."""
    think("before")
    yield "alice"
    think("after")


def test_what_an_endpoint_depends_on(traced: Spans) -> None:
    """Dependencies, sync and with a `yield`, routers and mounted applications are parts of one request."""

    router, between, inner, app = APIRouter(prefix="/chats"), APIRouter(), FastAPI(), FastAPI()

    @router.post("/{id}")
    def chat(id: int, question: Annotated[str, Body(embed=True)], user: Annotated[str, Depends(guarded)]) -> Any:  # noqa: A002
        think()
        return {"answer": f"{question} {user}"}

    between.include_router(router, prefix="/v1")
    inner.include_router(between, prefix="/beta")
    app.mount("/api", inner)
    with TestClient(app) as client:
        assert client.post("/api/beta/v1/chats/7", json={"question": "why?"}).json() == {"answer": "why? alice"}
    assert traced.outline() == "POST /api/beta/v1/chats/{id}\n  before\n  think\n  after"
    root = traced.named("POST /api/beta/v1/chats/{id}")
    assert (root["input.value"], root["output.value"]) == ("why?", "why? alice")


def test_a_question_that_is_none(traced: Spans) -> None:
    """What FastAPI refuses has led to nothing."""
    app = FastAPI()

    @app.post("/chats")
    def chat(question: Annotated[str, Body(embed=True)]) -> Any:
        think()

    with TestClient(app) as client:
        assert client.post("/chats", json={}).status_code == 422
    assert traced.all() == []


def test_background_tasks(traced: Spans) -> None:
    """They belong to the request that left them."""
    app = FastAPI()

    @app.get("/")
    def endpoint(tasks: BackgroundTasks) -> Any:
        tasks.add_task(think, "later")
        return {}

    with TestClient(app) as client:
        client.get("/")
    assert traced.outline() == "GET /\n  later"
