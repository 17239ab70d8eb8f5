"""What the root of a request tells, and whom the response tells of it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

import autotrace
from autotrace.serving.exchange import remote_span
from autotrace.testing import Spans

from .servers import CALLER, HEADER, answer, body, scope, serve, think


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
    ("state", "kept"),
    [
        ("acme=1, 7x@acme=two ,", "acme=1,7x@acme=two"),
        ("x" * 5000, ""),
        ("acme=1,Not=good", ""),
        (",".join(f"a{number}=1" for number in range(33)), ""),
    ],
    ids=["good", "long", "odd", "many"],
)
def test_the_state_of_another_vendor(caplog: pytest.LogCaptureFixture, state: str, kept: str) -> None:
    """What is no such thing is left out, and what a client sends is in no log."""
    caller = remote_span(CALLER, state)
    assert caller is not None
    assert (f"{caller.trace_id:032x}", caller.trace_state.to_header()) == ("ab" * 16, kept)
    assert caplog.text == ""


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
