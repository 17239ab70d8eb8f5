"""Requests by ASGI: a root where something traced happens inside, and a program that does not notice."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
import pickle
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry.trace import get_current_span

import autotrace
from autotrace.recording.guard import guard
from autotrace.testing import Spans

from .servers import AsgiServer, Message, answer, body, scope

HEADER = "x-autotrace-trace-id"
CALLER = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


def think() -> None:
    """Something that is traced."""
    with autotrace.span("think"):
        pass


def serve(web: ModuleType, handler: Callable[..., Awaitable[Any]], known: Message | None = None, **more: Any) -> Any:
    """Serves one request with an application that is this function; the server."""
    server = AsgiServer(**more)
    asyncio.run(server.serve(web.Asgi(handler), known))
    return server


# -- where there is a root


def test_a_request_that_leads_to_traced_work(web: ModuleType, traced: Spans) -> None:
    """It is the root: kind server, named by its route, with its status; what it led to lies inside."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b'{"answer": "because"}')

    serve(web, app, scope(path="/users/7", **{"acme.route": "/users/{id}"}))
    assert traced.outline() == "POST /users/{id}\n  think"
    root = traced.named("POST /users/{id}")
    assert (root.kind, root.status, root.parent_id) == ("server", "ok", None)
    assert root["http.response.status_code"] == 200
    assert root["http.request.method"] == "POST"
    assert root["http.route"] == "/users/{id}"
    assert root["url.path"] == "/users/7"


def test_a_request_that_leads_to_none(web: ModuleType, traced: Spans) -> None:
    """It leaves nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await answer(send, b"{}")

    server = serve(web, app, incoming=body(b'{"question": "why?"}'))
    assert traced.all() == []
    assert HEADER not in server.headers


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/users/7/chats/12", "POST /users/{id}/chats/{id}"),
        ("/runs/0190f1a2-7b3c-7def-8123-456789abcdef", "POST /runs/{id}"),
        ("/runs/deadbeefdeadbeef/x", "POST /runs/{id}/x"),
        ("/v1/chat", "POST /v1/chat"),
        ("/", "POST /"),
    ],
)
def test_a_path_whose_pattern_nobody_tells(web: ModuleType, traced: Spans, path: str, name: str) -> None:
    """What stands for one of many is left out of the name, so that names can be counted."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}")

    serve(web, app, scope(path=path))
    assert traced.outline() == f"{name}\n  think"


def test_a_route_that_is_known_late(web: ModuleType, traced: Spans) -> None:
    """What is traced before the application has found the route, in a middleware say, does not cost the name."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        scope["acme.route"] = "/users/{id}/{name}"
        await answer(send, b"{}")

    serve(web, app, scope(path="/users/7/alice"))
    assert traced.outline() == "POST /users/{id}/{name}\n  think"
    assert traced.named("POST /users/{id}/{name}")["http.route"] == "/users/{id}/{name}"


def test_work_in_the_midst_of_a_stream(web: ModuleType, traced: Spans) -> None:
    """A root that is only needed when the answer has begun has begun with the request, and lasts to the last byte."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        think()
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        think()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    server = serve(web, app)
    root, first, last = traced.all()
    assert traced.outline() == "POST /chat\n  think\n  think"
    assert root.start_s < first.start_s
    assert root.end_s > last.end_s
    assert server.headers[HEADER] == f"{root.trace_id:032x}"


def test_work_after_the_answer(web: ModuleType, traced: Spans) -> None:
    """A background task belongs to its request, whose root ended with the answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"{}")
        think()

    serve(web, app)
    root, inner = traced.all()
    assert traced.outline() == "POST /chat\n  think"
    assert (root.status, root.end_s < inner.start_s) == ("ok", True)


def test_work_in_a_task(web: ModuleType, traced: Spans) -> None:
    """What `asyncio.create_task` begins belongs to the request, also after it."""
    tasks = []

    async def late() -> None:
        await asyncio.sleep(0)
        think()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.create_task(late()))
        await answer(send, b"{}")

    async def main() -> None:
        await AsgiServer().serve(web.Asgi(app))
        await tasks[0]

    asyncio.run(main())
    assert traced.outline() == "POST /chat\n  think"


def test_work_in_threads(web: ModuleType, traced: Spans) -> None:
    """So does what happens in a thread pool, and in a thread that outlives the request."""
    may_go_on = threading.Event()

    def late() -> None:
        may_go_on.wait(10)
        think()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(think)
        with ThreadPoolExecutor(1) as pool:
            await asyncio.wrap_future(pool.submit(think))
        threads.append(threading.Thread(target=late))
        threads[0].start()
        await answer(send, b"{}")

    threads: list[threading.Thread] = []
    serve(web, app)
    may_go_on.set()
    threads[0].join()
    assert traced.outline() == "POST /chat\n  think\n  think\n  think"


def test_only_a_thread_that_outlives_the_request(web: ModuleType, traced: Spans) -> None:
    """The root is recorded late, with the times of the request."""
    may_go_on = threading.Event()

    def late() -> None:
        may_go_on.wait(10)
        think()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        threads.append(threading.Thread(target=late))
        threads[0].start()
        await answer(send, b"{}")

    threads: list[threading.Thread] = []
    serve(web, app)
    assert traced.all() == []
    may_go_on.set()
    threads[0].join()
    root, inner = traced.all()
    assert traced.outline() == "POST /chat\n  think"
    assert root.end_s < inner.start_s
    assert root["http.response.status_code"] == 200


def test_applications_in_applications(web: ModuleType, traced: Spans) -> None:
    """A mounted application, or one that another one wraps, is no second request."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}")

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        with autotrace.span("guard"):
            pass
        await web.Asgi(inner)({**scope, "path": "/inner"}, receive, send)

    serve(web, web.Asgi(middleware))
    assert traced.outline() == "POST /chat\n  guard\n  think"


def test_a_request_to_an_application_in_the_same_process(web: ModuleType, traced: Spans) -> None:
    """One that a request makes itself is a step of that one."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await AsgiServer().serve(web.Asgi(inner), scope_of("/inner"))
        await answer(send, b"{}")

    scope_of = scope
    serve(web, app)
    assert traced.outline() == "POST /chat\n  think"


def test_requests_at_once(web: ModuleType, traced: Spans) -> None:
    """Each has a trace of its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            with autotrace.span(scope["path"]):
                await asyncio.sleep(0)
        await answer(send, b"{}")

    async def main() -> None:
        application = web.Asgi(app)
        await asyncio.gather(*(AsgiServer().serve(application, scope(path=f"/{name}")) for name in "abcdefgh"))

    asyncio.run(main())
    assert sorted(traced.outline().splitlines()) == sorted(
        line for name in "abcdefgh" for line in (f"POST /{name}", *[f"  /{name}"] * 3)
    )
    assert len({span.trace_id for span in traced.all()}) == 8
    assert all(span.trace_id == root.trace_id for root in traced.all() for span in traced.all()
               if span.parent_id == root.span_id)  # fmt: skip


def test_a_request_inside_of_other_work(web: ModuleType, traced: Spans) -> None:
    """A test client in a traced function: the request is a step of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}")

    with autotrace.span("test"):
        serve(web, app)
    assert traced.outline() == "test\n  POST /chat\n    think"


# -- how it ends


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


# -- whose it is


@pytest.mark.parametrize("flags", ["01", "00"])
def test_a_caller_that_names_its_trace(web: ModuleType, traced: Spans, flags: str) -> None:
    """The root is the child of the caller's span, sampled or not: whether we record is for the settings."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert autotrace.current_trace_id() == "ab" * 16
        think()
        assert autotrace.current_trace_id() == "ab" * 16
        await answer(send, b"{}")

    server = serve(web, app, scope(headers=[("traceparent", CALLER[:-2] + flags), ("tracestate", "acme=1")]))
    root, inner = traced.all()
    assert (f"{root.trace_id:032x}", f"{root.parent_id:016x}") == ("ab" * 16, "cd" * 8)
    assert (inner.trace_id, inner.parent_id) == (root.trace_id, root.span_id)
    assert server.headers[HEADER] == "ab" * 16


@pytest.mark.parametrize(
    "value", ["", "nonsense", "00-" + "0" * 32 + "-" + "cd" * 8 + "-01", CALLER[:-3], "ff" + CALLER[2:], "\xff" * 55]
)
def test_a_caller_that_names_none(web: ModuleType, traced: Spans, value: str) -> None:
    """What makes no sense counts for nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}")

    serve(web, app, scope(headers=[("traceparent", value)]))
    assert traced.outline() == "POST /chat\n  think"
    assert traced.named("POST /chat").parent_id is None


def test_the_program_asks_for_the_trace(web: ModuleType, traced: Spans) -> None:
    """Before and after the first traced call it is the same, which is then the root's."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(autotrace.current_trace_id())
        think()
        seen.append(autotrace.current_trace_id())
        await answer(send, b"{}")
        seen.append(autotrace.current_trace_id())

    server = serve(web, app)
    root, inner = traced.all()
    assert seen == [f"{root.trace_id:032x}"] * 3
    assert inner.trace_id == root.trace_id
    assert server.headers[HEADER] == seen[0]
    assert autotrace.current_trace_id() is None


def test_the_program_says_whose_it_is(web: ModuleType, traced: Spans) -> None:
    """Before the first traced call or after, what it says counts more than the headers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/before":
            autotrace.update_trace(session="own", tags={"plan": "pro"}, name="support")
        think()
        if scope["path"] == "/after":
            autotrace.update_trace(session="own", tags={"plan": "pro"}, name="support")
        await answer(send, b"{}")

    for path in ("/before", "/after"):
        serve(web, app, scope(path=path, headers=[("x-session-id", "theirs"), ("x-user-id", "alice")]))
        root = traced.named(f"POST {path}")
        assert (root["session.id"], root["user.id"]) == ("own", "alice")
        assert (root["autotrace.tags"], root["autotrace.trace.name"]) == ('{"plan":"pro"}', "support")
    assert [span["session.id"] for span in traced.all()] == ["own", "own", "own", "theirs"]


def test_the_program_says_whose_a_stretch_is(web: ModuleType, traced: Spans) -> None:
    """`autotrace.context` around the first traced call says it of the trace, as where there is no server."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with autotrace.context(session="own"):
            think()
        await answer(send, b"{}")

    serve(web, app, scope(headers=[("x-user-id", "alice")]))
    assert [(span["session.id"], span["user.id"]) for span in traced.all()] == [("own", "alice")] * 2


def test_headers_say_whose_it_is(web: ModuleType, traced: Spans) -> None:
    """Session, user and request id stand on the root; session and user on all that it led to."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}")

    serve(web, app, scope(headers=[("X-Session-Id", "chat-7"), ("x-user-id", "alice"), ("x-request-id", "r-1")]))
    assert [(span["session.id"], span["user.id"]) for span in traced.all()] == [("chat-7", "alice")] * 2
    assert [span["autotrace.request.id"] for span in traced.all()] == ["r-1", None]


def test_feedback_inside(web: ModuleType, traced: Spans) -> None:
    """A verdict without a trace's id is on the request's trace, recorded by then or not."""
    logged: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        logged.append(autotrace.log_feedback(True))
        think()
        logged.append(autotrace.log_feedback(False))
        await answer(send, b"{}")

    traced.on(destination="store")  # verdicts need a place to go
    serve(web, app)
    assert len(set(logged)) == 1  # one user, one trace: the same verdict, changed


# -- what is asked and answered


def test_question_and_answer(web: ModuleType, traced: Spans) -> None:
    """The request's body is the input, in however many pieces it comes; the response's is the output."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        think()
        await answer(send, b'{"answer": "because"}')

    serve(web, app, incoming=body(b'{"question"', b': "wh', b'y?"}'))
    root = traced.named("POST /chat")
    assert (root["input.value"], root["output.value"]) == ("why?", "because")


def test_content_that_is_switched_off(web: ModuleType, traced: Spans) -> None:
    """Nothing of question and answer is anywhere, nor of an error; whose it is stays."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        think()
        if scope["path"] == "/fail":
            raise LookupError("secret")
        await answer(send, b'{"answer": "secret"}', status=int(scope["path"][1:]))

    traced.on(capture_content="off")
    for path in ("/200", "/500", "/fail"):
        asked = scope(path=path, query_string=b"q=secret", headers=[("x-session-id", "chat-7")])
        try:
            serve(web, app, asked, incoming=body(b'{"question": "secret"}'))
        except LookupError:
            pass
    assert len(traced.all()) == 6
    assert not [span for span in traced.all() if "secret" in span.everything]
    assert {span["session.id"] for span in traced.all()} == {"chat-7"}


# -- the header


def test_a_plain_answer(web: ModuleType, traced: Spans) -> None:
    """Only an answer that traced work led to tells the trace; one that is still to be made, always."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/work":
            think()
        await answer(send, *[b"{}"] * (2 if scope["path"] == "/stream" else 1))

    told = {path: HEADER in serve(web, app, scope(path=path)).headers for path in ("/work", "/plain", "/stream")}
    assert told == {"/work": True, "/plain": False, "/stream": True}


@pytest.mark.parametrize("status", [101, 204, 304])
def test_an_answer_without_a_body(web: ModuleType, traced: Spans, status: int) -> None:
    """There is nothing yet to be made."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    assert HEADER not in serve(web, app).headers


def test_no_header_is_wanted(web: ModuleType, traced: Spans) -> None:
    """The setting switches it off, also while the application is served."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}", b"{}")

    assert HEADER in serve(web, app).headers
    traced.on(trace_header=False)
    assert HEADER not in serve(web, app).headers


def test_pages_of_another_origin(web: ModuleType, traced: Spans) -> None:
    """A page of an origin that may send feedback may read the header; no other may."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}", headers=[(b"access-control-expose-headers", b"x-own")])

    traced.on(feedback_origins=["https://chat.example.org"])
    for origin, expected in (("https://chat.example.org", [b"x-own", HEADER.encode()]), ("https://x.org", [b"x-own"])):
        server = serve(web, app, scope(headers=[("origin", origin)]))
        found = server.sent[0]["headers"]
        assert [value for name, value in found if name == b"access-control-expose-headers"] == expected


def test_an_application_that_tells_it_itself(web: ModuleType, traced: Spans) -> None:
    """Its own header stays, alone."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        think()
        await answer(send, b"{}", headers=[(b"X-Autotrace-Trace-Id", b"mine")])

    server = serve(web, app)
    assert [value for name, value in server.sent[0]["headers"] if name.lower() == HEADER.encode()] == [b"mine"]


# -- the program does not notice


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


async def think_and_answer(scope: Any, receive: Any, send: Any) -> None:
    """An application that can be pickled."""
    think()
    await answer(send, b"{}")


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


# -- switched off


def test_switched_off_by_name(web: ModuleType, traced: Spans) -> None:
    """The framework's requests are no roots then; what they lead to is traced by itself."""
    autotrace.autolog("acme_web", disable=True)
    asyncio.run(AsgiServer().serve(web.Asgi(think_and_answer)))
    assert traced.outline() == "think"
    autotrace.autolog("acme_web", disable=False)
    asyncio.run(AsgiServer().serve(web.Asgi(think_and_answer)))
    assert traced.outline() == "think\nPOST /chat\n  think"


@pytest.mark.parametrize(
    ("names", "outline"), [((), ""), (("acme_web",), "think"), (("other",), "POST /chat\n  think")]
)
def test_suppressed_around(web: ModuleType, traced: Spans, names: tuple[str, ...], outline: str) -> None:
    """Around a request, `suppress` counts for all that it leads to."""
    with autotrace.suppress(*names):
        asyncio.run(AsgiServer().serve(web.Asgi(think_and_answer)))
    assert traced.outline() == outline


def test_suppressed_inside(web: ModuleType, traced: Spans) -> None:
    """What is suppressed inside records no root."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with autotrace.suppress():
            think()
        await answer(send, b"{}")

    assert HEADER not in serve(web, app).headers
    assert traced.all() == []


# -- what is out of shape


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
