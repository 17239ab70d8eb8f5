"""How the root of a request ends: status, error, cancelled, disconnected."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
import weakref
from types import ModuleType
from typing import Any

import pytest

from autotrace.testing import Spans

from .servers import AsgiServer, Message, answer, serve, think


@pytest.mark.parametrize(("status", "shown"), [(400, ""), (404, ""), (422, ""), (499, ""), (500, " !"), (503, " !")])
def test_statuses(web: ModuleType, traced: Spans, status: int, shown: str) -> None:
    """Errors are those of the server: what a client did wrong is answered well."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}", status=status)

    serve(web, app)
    root = traced.named("POST /chat")
    assert traced.outline() == f"POST /chat{shown}\n  think"
    assert root["http.response.status_code"] == status
    assert root["error.type"] == (str(status) if status >= 500 else None)


def test_a_stream_that_says_that_it_failed(web: ModuleType, traced: Spans) -> None:
    """An answer that began well and ends with an error is a failure, with what was said until then."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        body = b'data: {"token": "Hel"}\n\n', b'data: {"error": "overloaded"}\n\n'
        await answer(send, *body, headers=[(b"content-type", b"text/event-stream")])

    serve(web, app)
    root = traced.named("POST /chat")
    assert (root.status, root.message, root["error.type"], root["output.value"]) == (
        "error", "overloaded", "error", "Hel"
    )  # fmt: skip


def test_an_error_that_the_application_answers(web: ModuleType, traced: Spans) -> None:
    """A 500 that is sent for an exception tells of that one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        try:
            raise LookupError("no such model")
        except LookupError:
            await answer(send, b"{}", status=500)

    serve(web, app)
    root = traced.named("POST /chat")
    assert (root.status, root.message, root["error.type"]) == ("error", "no such model", "LookupError")


@pytest.mark.parametrize("status", [200, 500])
def test_an_error_that_was_there_before(web: ModuleType, traced: Spans, status: int) -> None:
    """What the server was handling when it called the application is not the application's."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}", status=status)

    async def main() -> None:
        try:
            raise OSError("the server's")
        except OSError:
            await AsgiServer().serve(web.Asgi(app))

    asyncio.run(main())
    assert traced.named("POST /chat")["error.type"] == ("500" if status == 500 else None)


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "in the midst of it"])
def test_an_exception(web: ModuleType, traced: Spans, begun: bool) -> None:
    """It reaches the server as it is, with the frames that it had; the root ends with it."""
    error = LookupError("no such model")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
        raise error

    def frames() -> list[str]:
        server = AsgiServer()
        with pytest.raises(LookupError) as raised:
            asyncio.run(server.serve(web.Asgi(app)))
        assert raised.value is error
        found = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        error.__traceback__ = None
        return found

    traced_frames = frames()
    traced.off()
    assert [name for name in traced_frames if name != "served"] == frames()
    root = traced.named("POST /chat")
    assert (root.status, root["error.type"], root.message) == ("error", "LookupError", "no such model")


def test_a_cancelled_request(web: ModuleType, traced: Spans) -> None:
    """The server gives up on it: no error, and the cancellation passes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(AsgiServer().serve(web.Asgi(app)), 0.01)

    asyncio.run(main())
    assert traced.outline() == "POST /chat (cancelled)\n  think"


def test_a_timeout_in_the_application(web: ModuleType, traced: Spans) -> None:
    """One that the application answers itself is the status that it answers with."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:
            await answer(send, b"{}", status=504)

    serve(web, app)
    root = traced.named("POST /chat")
    assert (root.status, root["http.response.status_code"]) == ("error", 504)
    assert str(root["error.type"]).endswith("TimeoutError")


def test_a_client_that_has_left_before_the_answer(web: ModuleType, traced: Spans) -> None:
    """The application was told, and answers all the same: to nobody."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        await answer(send, b"{}")

    serve(web, app)
    assert traced.outline() == "POST /chat (disconnected)\n  think"


def test_a_client_that_leaves_in_the_midst_of_the_answer(web: ModuleType, traced: Spans) -> None:
    """The application is told, and stops."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        think()
        if (await receive())["type"] == "http.disconnect":
            return

    serve(web, app)
    assert traced.outline() == "POST /chat (disconnected)\n  think"


def test_a_client_that_leaves_after_the_answer(web: ModuleType, traced: Spans) -> None:
    """It has got what it asked for."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await receive()
        await answer(send, b"{}")
        assert (await receive())["type"] == "http.disconnect"

    serve(web, app)
    assert traced.outline() == "POST /chat\n  think"


@pytest.mark.parametrize("kind", [OSError, ConnectionResetError, BrokenPipeError])
def test_a_server_that_raises_for_a_client_that_left(web: ModuleType, traced: Spans, kind: type[OSError]) -> None:
    """By ASGI 2.4 `send` raises an OSError then: it passes to the application, and is no error of it."""
    seen = []

    def gone(message: Message) -> None:
        if message.get("body") == b"two":
            raise kind("gone")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        try:
            await send({"type": "http.response.body", "body": b"two", "more_body": True})
        except OSError as error:
            seen.append(error)
            raise

    with pytest.raises(kind) as raised:
        serve(web, app, on_send=gone)
    assert seen == [raised.value]
    assert traced.outline() == "POST /chat (disconnected)\n  think"


def test_an_answer_that_is_never_completed(web: ModuleType, traced: Spans) -> None:
    """The application returns in the midst of it: the answer was closed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})

    serve(web, app)
    assert traced.outline() == "POST /chat (closed)\n  think"


@pytest.mark.parametrize(
    "last",
    [
        [{"type": "http.response.pathsend", "path": "/tmp/answer"}],
        [{"type": "http.response.zerocopysend", "file": 3}],
        [{"type": "http.response.zerocopysend", "file": 3, "more_body": True},
         {"type": "http.response.body", "body": b""}],
        [{"type": "http.response.body", "body": b""},
         {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False}],
    ],
    ids=["pathsend", "zerocopysend", "zerocopysend and a body", "trailers"],
)  # fmt: skip
def test_other_ways_to_send_a_body(web: ModuleType, traced: Spans, last: list[Message]) -> None:
    """An answer is complete by whatever message completes it; the messages are the application's own."""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")], "trailers": True}
    early: list[Message] = [
        {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]},
        {"type": "http.response.push", "path": "/style.css", "headers": []},
        {"type": "http.response.debug", "info": {"template": "x"}},
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (*early, start, *last):
            await send(message)
        think()

    server = serve(web, app)
    assert all(sent is made for sent, made in zip(server.sent, [*early, start, *last], strict=True))
    root, inner = traced.all()
    assert (root.status, root.outcome, root.end_s < inner.start_s) == ("ok", None, True)


class NoModelError(Exception):
    """One that can be missed."""


def test_an_exception_before_a_late_recording(web: ModuleType, traced: Spans) -> None:
    """Something traced happens after a request has failed: the root tells of that, and kept none of its frames."""
    may_go_on, threads = threading.Event(), []

    def late() -> None:
        may_go_on.wait(10)
        think()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        threads.append(threading.Thread(target=late))
        threads[0].start()
        raise NoModelError("no such model")

    with pytest.raises(NoModelError) as raised:
        serve(web, app)
    reference = weakref.ref(raised.value)
    del raised
    gc.collect()
    assert reference() is None
    may_go_on.set()
    threads[0].join()
    root = traced.named("POST /chat")
    assert (root.status, root.message) == ("error", "no such model")
    assert str(root["error.type"]).endswith(".NoModelError")
