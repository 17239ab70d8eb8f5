"""Requests to applications made with Flask."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request, send_file
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import autotrace
from autotrace.testing import ApplicationContract, Spans


class TestFlask(ApplicationContract):
    framework = "flask"
    protocol = "wsgi"
    route = "/answers/<name>"
    answers_errors = True

    def application(self, answer: Any, pieces: Any) -> Any:
        app = Flask("app")

        @app.post("/answers/<name>")
        def answers(name: str) -> Response:
            return Response(answer(request.get_data()), mimetype="application/json")

        @app.post("/streams/<name>")
        def streams(name: str) -> Response:
            return Response(pieces(request.get_data()), mimetype="text/plain")

        return app


def think(name: str = "think") -> None:
    """Something that is traced."""
    with autotrace.span(name):
        pass


def test_blueprints_and_hooks(traced: Spans) -> None:
    """What is done before and after a request, and when its context goes, is part of it."""
    app, blueprint = Flask("app"), Blueprint("chats", "chats", url_prefix="/chats")
    app.before_request(lambda: think("before"))
    app.teardown_request(lambda _: think("teardown"))

    @blueprint.get("/<int:id>")
    def chat(id: int) -> Any:  # noqa: A002
        think()
        return {"answer": "because"}

    app.register_blueprint(blueprint)
    assert app.test_client().get("/chats/7").json == {"answer": "because"}
    assert traced.outline() == "GET /chats/<int:id>\n  before\n  think\n  teardown"


def test_coroutine_functions(traced: Spans) -> None:
    """Flask runs them in a loop of its own."""
    app = Flask("app")

    @app.get("/")
    async def endpoint() -> Any:
        think()
        return {"answer": "because"}

    assert app.test_client().get("/").json == {"answer": "because"}
    assert traced.outline() == "GET /\n  think"


def test_threads(traced: Spans) -> None:
    """What a thread does belongs to the request that began it."""
    app = Flask("app")

    @app.get("/")
    def endpoint() -> Any:
        thread = Thread(target=think)
        thread.start()
        thread.join()
        return {}

    app.test_client().get("/")
    assert traced.outline() == "GET /\n  think"


def test_applications_beside_one_another(traced: Spans) -> None:
    """Werkzeug's dispatcher, and middleware around an application or in it."""
    app, other = Flask("app"), Flask("other")

    @other.get("/chat")
    def chat() -> Any:
        think()
        return {}

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/other": other})  # type: ignore[method-assign]
    assert app.test_client().get("/other/chat").status_code == 200
    assert traced.outline() == "GET /other/chat\n  think"


def test_an_error(traced: Spans) -> None:
    """Flask answers it, and tells nobody which it was; one that it does not answer is known."""
    app = Flask("app")

    @app.get("/")
    def endpoint() -> Any:
        think()
        raise LookupError("no such model")

    assert app.test_client().get("/").status_code == 500
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LookupError):
        app.test_client().get("/")
    assert [(span.status, span["error.type"]) for span in traced.all() if span.parent_id is None] == [
        ("error", "500"),
        ("error", "LookupError"),
    ]


def test_a_file(traced: Spans, tmp_path: Path) -> None:
    """What is sent is no answer of ours."""
    app = Flask("app")
    (tmp_path / "file.txt").write_text("content")

    @app.get("/")
    def endpoint() -> Any:
        return send_file(tmp_path / "file.txt")

    with app.test_client().get("/") as response:
        assert (response.data, response.headers.get("x-autotrace-trace-id")) == (b"content", None)
    assert traced.all() == []
