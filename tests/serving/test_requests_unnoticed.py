"""The program does not notice: same messages, same objects, same exceptions, whatever their shape."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
import pickle
from collections.abc import Iterator
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry.trace import get_current_span

from autotrace.recording.guard import guard
from autotrace.testing import Spans

from .servers import CALLER, HEADER, AsgiServer, Message, answer, body, scope, serve, think, think_and_answer


def test_messages_and_awaitables(web: ModuleType, traced: Spans) -> None:
    """What is received is the server's, what is sent the application's, to the object; so is what `send` returns."""
    incoming = body(b"{", b"}")
    given, sent, results = list(incoming), [], []

    class Awaited:
        def __await__(self) -> Iterator[Any]:
            results.append(self)
            yield from ()

    def send(message: Message) -> Awaited:
        sent.append(message)
        return Awaited()

    chunks: list[Message] = [
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": memoryview(b"b"), "more_body": True},
        {"type": "http.response.body", "more_body": True},
        {"type": "http.response.body", "body": bytearray(b"c"), "more_body": False},
    ]

    async def app(scope: Any, receive: Any, send: Any) -> str:
        assert (await receive()) is given[0]
        think()
        assert (await receive()) is given[1]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for message in chunks:
            made = send(message)
            assert type(made) is Awaited
            await made
        return "done"

    server = AsgiServer(incoming)
    assert asyncio.run(web.Asgi(app)(scope(), server.receive, send)) == "done"
    assert all(one is made for one, made in zip(sent[1:], chunks, strict=True))
    assert len(results) == 5
    assert traced.outline() == "POST /chat\n  think"


def test_the_scope(web: ModuleType, traced: Spans) -> None:
    """It is the server's own, and nothing is added."""
    known = scope(headers=[("x-session-id", "s")], state={"a": 1}, extensions={"http.response.pathsend": {}})
    before = copy.deepcopy(known)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope is known
        think()
        await answer(send, b"{}")

    serve(web, app, known)
    assert known == before


def test_the_applications_message_is_left_alone(web: ModuleType, traced: Spans) -> None:
    """The header is added to a copy: an application may send the same message to every client."""
    start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    before = copy.deepcopy(start)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await send(start)
        await send({"type": "http.response.body", "body": b"{}"})

    for _ in range(2):
        assert HEADER in serve(web, app).headers
    assert start == before


@pytest.mark.parametrize("leads", [True, False])
def test_headers_that_can_be_read_once(web: ModuleType, traced: Spans, leads: bool) -> None:
    """ASGI asks for an iterable; the server gets all of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if leads:
            think()
        headers = iter([(b"content-type", b"text/plain"), (b"content-length", b"2")])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    found = serve(web, app).headers
    assert found.pop(HEADER, None) == (f"{traced.all()[0].trace_id:032x}" if leads else None)
    assert found == {"content-type": "text/plain", "content-length": "2"}


def test_context_variables(web: ModuleType, traced: Spans) -> None:
    """What an application sets is there for the server, as without us; nothing of ours is."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        variable.set("set")
        await answer(send, b"{}")

    async def main() -> None:
        before = context_api.get_current()
        await AsgiServer().serve(web.Asgi(app))
        assert variable.get() == "set"
        assert context_api.get_current() is before

    asyncio.run(main())


def test_no_span_is_current_for_the_program(web: ModuleType, traced: Spans) -> None:
    """The program's own OpenTelemetry finds nothing around its request, recorded or not."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(get_current_span().get_span_context().is_valid)
        think()
        seen.append(get_current_span().get_span_context().is_valid)
        await answer(send, b"{}")

    serve(web, app)
    assert seen == [False, False]


def test_what_an_application_is(web: ModuleType, traced: Spans) -> None:
    """Servers look at it: coroutine function, signature, names; it can be copied and pickled."""
    app = web.Asgi(think_and_answer)
    assert inspect.iscoroutinefunction(app.__call__)
    assert asyncio.iscoroutinefunction(app.__call__)
    assert list(inspect.signature(app.__call__).parameters) == ["scope", "receive", "send"]
    assert (app.__call__.__name__, app.__call__.__doc__) == ("__call__", "Serves one request.")
    for made in (pickle.loads(pickle.dumps(app)), copy.copy(app), copy.deepcopy(app)):
        asyncio.run(AsgiServer().serve(made))
    assert traced.outline() == "\n".join(["POST /chat\n  think"] * 3)


def test_what_calling_it_gives(web: ModuleType, traced: Spans) -> None:
    """A coroutine, which does nothing before it is awaited."""
    called = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope)

    server = AsgiServer()
    made = web.Asgi(app)(scope(), server.receive, server.send)
    assert inspect.iscoroutine(made)
    assert called == []
    asyncio.run(made)
    assert len(called) == 1
    made = web.Asgi(app)(send=server.send, receive=server.receive, scope=scope())
    asyncio.run(made)
    assert len(called) == 2


def test_called_in_another_way(web: ModuleType, traced: Spans) -> None:
    """uvicorn tries whether an application is a factory; others may make mistakes: the error is the one of without."""
    for kind in (web.Asgi, web.Wsgi):
        for arguments in ((), (1,), (1, 2, 3, 4)):
            with pytest.raises(TypeError, match="argument"):
                kind(think_and_answer)(*arguments)
        with pytest.raises(TypeError, match="argument"):
            kind(think_and_answer)(other=1)


def test_patched_and_restored(web: ModuleType, traced: Spans) -> None:
    """Switched off the class is what it was, and an application that is there already is not traced."""
    wrapped = dict(vars(web.Asgi))["__call__"]
    app = web.Asgi(think_and_answer)
    bound = app.__call__
    traced.off()
    assert type(vars(web.Asgi)["__call__"]) is type(think_and_answer)
    assert vars(web.Asgi)["__call__"] is wrapped.__wrapped__
    server = AsgiServer()
    asyncio.run(bound(scope(), server.receive, server.send))
    assert traced.all() == []
    traced.on()
    asyncio.run(AsgiServer().serve(app))
    assert traced.outline() == "POST /chat\n  think"


@pytest.mark.parametrize(
    "known",
    [
        {"type": "http"},
        {"type": "http", "path": 7, "method": None, "headers": []},
        {**scope(), "headers": None},
        {**scope(), "headers": [("content-type", "application/json"), ("traceparent", CALLER)]},
        {**scope(), "headers": [[b"x-session-id", None], [b"\xff\xfe", b"\xff"], [b"a"]]},
        {**scope(), "query_string": "q=1"},
        {**scope(), "query_string": None, "root_path": None},
        {"type": "lifespan"},
        {"type": "acme"},
        {},
        {**scope(), "acme.route": 7},
    ],
    ids=str,
)
def test_scopes_of_odd_shapes(web: ModuleType, traced: Spans, known: Message) -> None:
    """The application gets them as they are, and answers; nothing of ours comes in between."""
    traced.on(strict=False)
    called = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope)
        await receive()
        think()
        await answer(send, b"{}", b"{}")

    serve(web, app, known)
    assert called[0] is known
    assert len(traced.all()) in (1, 2)
    guard.failures.clear()


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": "200", "headers": None},
        {"type": "http.response.start", "status": 200, "headers": [("content-type", "text/plain")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", None), (b"a",), 7]},
        {"type": "http.response.start", "status": HTTPStatus.OK, "headers": {b"a": b"b"}.items()},
        {"type": "http.response.start", "status": None},
        {"type": "http.response.body", "body": None},
        {"type": "http.response.body", "body": "text", "more_body": None},
        {"type": 7},
        {},
    ],
    ids=str,
)
def test_messages_of_odd_shapes(web: ModuleType, traced: Spans, message: Message) -> None:
    """What an application sends out of shape is for the server to refuse."""
    traced.on(strict=False)
    before = copy.copy(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await send(message)
        await answer(send, b"{}")

    server = serve(web, app)
    assert message == before
    sent = server.sent[0]
    assert {**sent, "headers": None} == {**message, "headers": None} or sent is message
    assert len(server.sent) == 3
    assert len(traced.all()) == 2
    guard.failures.clear()


def test_a_status_that_is_a_name(web: ModuleType, traced: Spans) -> None:
    """A number is recorded, whatever kind of number it is."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}", status=HTTPStatus.BAD_GATEWAY)

    serve(web, app)
    root = traced.named("POST /chat")
    assert (root["http.response.status_code"], root["error.type"]) == (502, "502")
    assert type(root["http.response.status_code"]) is int


def test_an_application_that_sends_nothing(web: ModuleType, traced: Spans) -> None:
    """There is no answer to be complete."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()

    serve(web, app)
    assert traced.outline() == "POST /chat (closed)\n  think"
