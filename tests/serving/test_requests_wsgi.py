"""Requests by WSGI: the same roots, in the steps in which the server asks for the answer."""

from __future__ import annotations

import contextvars
import copy
import inspect
import io
import pickle
import sys
import threading
import traceback
import wsgiref.util
import wsgiref.validate
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry.trace import get_current_span

import autotrace
from autotrace.recording.guard import guard
from autotrace.testing import Spans

from .servers import CALLER, HEADER, Counted, WsgiServer, think

JSON = ("Content-Type", "application/json")


def whole(environ: Any, start_response: Any) -> list[bytes]:
    """An application whose answer is there at once, and which can be pickled."""
    think()
    start_response("200 OK", [JSON, ("Content-Length", "21")])
    return [b'{"answer": "because"}']


def test_a_request_that_leads_to_traced_work(web: ModuleType, traced: Spans) -> None:
    """It is the root, with its question and its answer."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        assert environ["wsgi.input"].read(19) == b'{"question": "why?"}'[:19]
        assert environ["wsgi.input"].read() == b"}"
        return whole(environ, start_response)

    server = WsgiServer("/users/7", content=b'{"question": "why?"}', **{"acme.route": "/users/<id>"})
    server.environ["HTTP_X_SESSION_ID"], server.environ["HTTP_X_USER_ID"] = "chat-7", "alice"
    assert server.serve(web.Wsgi(app)) == b'{"answer": "because"}'
    assert traced.outline() == "POST /users/<id>\n  think"
    root, inner = traced.all()
    assert (root.kind, root.status, root["http.response.status_code"]) == ("server", "ok", 200)
    assert (root["http.route"], root["url.path"]) == ("/users/<id>", "/users/7")
    assert (root["input.value"], root["output.value"]) == ("why?", "because")
    assert {(span["session.id"], span["user.id"]) for span in (root, inner)} == {("chat-7", "alice")}
    assert server.header(HEADER) == f"{root.trace_id:032x}"


def test_a_request_that_leads_to_none(web: ModuleType, traced: Spans) -> None:
    """It leaves nothing."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [JSON, ("Content-Length", "2")])
        return [b"{}"]

    server = WsgiServer()
    assert server.serve(web.Wsgi(app)) == b"{}"
    assert traced.all() == []
    assert server.headers == [JSON, ("Content-Length", "2")]


def test_work_in_the_midst_of_a_stream(web: ModuleType, traced: Spans) -> None:
    """The request's context is current while the application makes a piece, and not while the server sends it."""
    seen = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [JSON])
        yield b"one"
        seen.append(autotrace.current_trace_id())
        think()
        yield b"two"
        think()

    server = WsgiServer()
    before = context_api.get_current()
    for _ in server.call(web.Wsgi(app)):
        assert autotrace.current_trace_id() is None
        assert context_api.get_current() is before
    root, first, last = traced.all()
    assert traced.outline() == "POST /chat\n  think\n  think"
    assert root.start_s < first.start_s
    assert root.end_s > last.end_s
    assert seen == [server.header(HEADER)] == [f"{root.trace_id:032x}"]


def test_work_in_threads(web: ModuleType, traced: Spans) -> None:
    """What a thread does belongs to the request that began it, also after its end."""
    may_go_on = threading.Event()

    def late() -> None:
        may_go_on.wait(10)
        think()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        threads.append(threading.Thread(target=late))
        threads[0].start()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    threads: list[threading.Thread] = []
    WsgiServer().serve(web.Wsgi(app))
    assert traced.all() == []
    may_go_on.set()
    threads[0].join()
    root, inner = traced.all()
    assert (traced.outline(), root.end_s < inner.start_s) == ("POST /chat\n  think", True)


def test_applications_in_applications(web: ModuleType, traced: Spans) -> None:
    """A mounted application is no second request, nor is one that is asked in the same process."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        WsgiServer("/other").serve(web.Wsgi(whole))
        return web.Wsgi(whole)({**environ, "SCRIPT_NAME": "/mounted"}, start_response)

    WsgiServer().serve(web.Wsgi(app))
    assert traced.outline() == "POST /chat\n  think\n  think"


def test_where_it_is_mounted(web: ModuleType, traced: Spans) -> None:
    """The path is the whole one."""
    WsgiServer("/chat", SCRIPT_NAME="/api").serve(web.Wsgi(whole))
    assert traced.outline() == "POST /api/chat\n  think"


@pytest.mark.parametrize(("status", "shown"), [(400, ""), (404, ""), (500, " !"), (503, " !")])
def test_statuses(web: ModuleType, traced: Spans, status: int, shown: str) -> None:
    """Errors are those of the server."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        think()
        start_response(f"{status} Whatever", [])
        return [b"{}"]

    WsgiServer().serve(web.Wsgi(app))
    assert traced.outline() == f"POST /chat{shown}\n  think"
    root = traced.named("POST /chat")
    assert (root["http.response.status_code"], root["error.type"]) == (status, str(status) if shown else None)


@pytest.mark.parametrize("by_name", [False, True])
def test_an_error_that_the_application_answers(web: ModuleType, traced: Spans, by_name: bool) -> None:
    """By PEP 3333 it hands the exception to the server: that is what the request failed with."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        think()
        try:
            raise LookupError("no such model")
        except LookupError:
            if by_name:
                start_response("500 Oh", [], exc_info=sys.exc_info())
            else:
                start_response("500 Oh", [], sys.exc_info())
        return [b"oh"]

    server = WsgiServer()
    server.serve(web.Wsgi(app))
    assert server.started[1][2][0] is LookupError
    root = traced.named("POST /chat")
    assert (root.status, root.message, root["error.type"]) == ("error", "no such model", "LookupError")


def test_a_status_that_was_changed(web: ModuleType, traced: Spans) -> None:
    """The last one counts."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("500 Oh", [])
        think()
        start_response("200 OK", [], (None, None, None))
        return [b"{}"]

    WsgiServer().serve(web.Wsgi(app))
    root = traced.named("POST /chat")
    assert (root.status, root["http.response.status_code"]) == ("ok", 200)


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "in the midst of it"])
def test_an_exception(web: ModuleType, traced: Spans, begun: bool) -> None:
    """It reaches the server as it is, with the frames that it had; the root ends with it."""
    error = LookupError("no such model")

    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise error

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        think()
        start_response("200 OK", [])
        if begun:
            return pieces()
        raise error

    def frames() -> list[str]:
        with pytest.raises(LookupError) as raised:
            WsgiServer().serve(web.Wsgi(app))
        assert raised.value is error
        shown = traceback.extract_tb(error.__traceback__)
        error.__traceback__ = None
        return [frame.name for frame in shown if "autotrace/serving/" not in frame.filename]

    traced_frames = frames()
    traced.off()
    assert traced_frames == frames()
    root = traced.named("POST /chat")
    assert (root.status, root["error.type"], root.message) == ("error", "LookupError", "no such model")


def test_a_client_that_leaves_in_the_midst_of_the_answer(web: ModuleType, traced: Spans) -> None:
    """The server closes the body before its end."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        think()
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    body: Any = WsgiServer().call(web.Wsgi(app))
    assert next(body) == b"one"
    body.close()
    body.close()
    assert traced.outline() == "POST /chat (disconnected)\n  think"


def test_a_body_that_nobody_asks_for(web: ModuleType, traced: Spans) -> None:
    """A server that closes it unread, and one that forgets it, leave no open root."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"

    def working(environ: Any, start_response: Any) -> Iterable[bytes]:
        think()
        return app(environ, start_response)

    body: Any = WsgiServer().call(web.Wsgi(working))
    body.close()
    assert traced.outline() == "POST /chat (disconnected)\n  think"
    traced.clear()
    body = WsgiServer().call(web.Wsgi(working))
    del body
    assert traced.outline() == "POST /chat (abandoned)\n  think"


def test_an_answer_whose_length_is_told(web: ModuleType, traced: Spans) -> None:
    """It is complete with its last byte, though the server never asks for the end."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        think()
        start_response("200 OK", [("Content-Length", "6")])
        yield b"one"
        yield b"two"
        think()

    body: Any = WsgiServer().call(web.Wsgi(app))
    assert [next(body), next(body)] == [b"one", b"two"]
    assert [span.name for span in traced.all()] == ["POST /chat", "think"]
    body.close()
    assert traced.outline() == "POST /chat\n  think"


# -- the program does not notice


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_body_that_is_whole(web: ModuleType, traced: Spans, kind: type, leads: bool) -> None:
    """The server gets the very object: it may look at its length."""
    made = kind([b"{", b"}"])

    def app(environ: Any, start_response: Any) -> Any:
        if leads:
            think()
        start_response("200 OK", [])
        return made

    assert WsgiServer().call(web.Wsgi(app)) is made


def test_a_body_that_comes_in_steps(web: ModuleType, traced: Spans) -> None:
    """Nothing is read ahead, as many steps are made as the server asks for, and it is closed once."""
    counted = Counted(b"one", b"two")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return counted

    body: Any = WsgiServer().call(web.Wsgi(app))
    assert (counted.iters, counted.steps) == (0, 0)
    steps = iter(body)
    assert (counted.iters, counted.steps) == (1, 0)
    assert next(steps) == b"one"
    assert counted.steps == 1
    assert list(steps) == [b"two"]
    assert (counted.iters, counted.steps, counted.closes) == (2, 3, 0)
    body.close()
    assert counted.closes == 1


def test_a_body_that_makes_an_iterator(web: ModuleType, traced: Spans) -> None:
    """A server that asks for its first piece by itself gets each piece once."""

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            think()
            yield b"one"
            yield b"two"

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body()

    steps = iter(WsgiServer().call(web.Wsgi(app)))
    assert next(steps) == b"one"
    assert list(steps) == [b"two"]
    assert traced.outline() == "POST /chat\n  think"


def test_a_body_that_says_how_long_it_is(web: ModuleType, traced: Spans) -> None:
    """A server may ask: of one piece the length is that of the answer."""

    class Sized:
        flavour = "own"

        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Iterator[bytes]:
            yield b"{}"

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Sized() if environ["PATH_INFO"] == "/sized" else iter([b"{}"])

    body: Any = WsgiServer("/sized").call(web.Wsgi(app))
    assert (len(body), list(body), list(body), body.flavour) == (1, [b"{}"], [b"{}"], "own")
    body = WsgiServer("/not").call(web.Wsgi(app))
    with pytest.raises(TypeError):
        len(body)


def test_a_body_that_cannot_be_iterated(web: ModuleType, traced: Spans) -> None:
    """The server gets the error that it would have got."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return None

    with pytest.raises(TypeError, match="NoneType"):
        iter(WsgiServer().call(web.Wsgi(app)))


def test_a_close_that_fails(web: ModuleType, traced: Spans) -> None:
    """So does it when the body cannot be closed."""

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            think()
            yield b"{}"

        def close(self) -> None:
            raise LookupError("closing")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body()

    with pytest.raises(LookupError, match="closing"):
        WsgiServer().serve(web.Wsgi(app))
    assert traced.outline() == "POST /chat\n  think"


class Sendfile:
    """What a server takes for a file that it may send by other means: a class, as gunicorn's."""

    def __init__(self, file: Any, size: int = 8192) -> None:
        self.file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.file)

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize(
    "wrapper", [Sendfile, wsgiref.util.FileWrapper, lambda file, size=0: file], ids=["own", "wsgiref", "function"]
)
def test_a_file(web: ModuleType, traced: Spans, wrapper: Callable[..., Any]) -> None:
    """What `wsgi.file_wrapper` makes reaches the server as it is; uWSGI's gives the very file."""
    made = []

    def app(environ: Any, start_response: Any) -> Any:
        think()
        start_response("200 OK", [])
        made.append(environ["wsgi.file_wrapper"](io.BytesIO(b"content")))
        return made[0]

    server = WsgiServer(**{"wsgi.file_wrapper": wrapper})
    assert server.call(web.Wsgi(app)) is made[0]
    assert traced.outline() == "POST /chat\n  think"


def test_what_is_written(web: ModuleType, traced: Spans) -> None:
    """The old way to answer: the callable is the server's own."""
    server = WsgiServer()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        think()
        write = start_response("200 OK", [])
        assert write == server.write
        write(b"one")
        return [b"two"]

    assert server.serve(web.Wsgi(app)) == b"onetwo"
    assert traced.outline() == "POST /chat\n  think"


def test_the_headers(web: ModuleType, traced: Spans) -> None:
    """Where none is added the server gets the application's list; else a new one, and that is left alone."""
    plain, told = [("Content-Length", "2")], [("X-Own", "1")]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/plain":
            start_response("200 OK", plain)
        else:
            think()
            start_response("200 OK", told)
        return [b"{}"]

    server = WsgiServer("/plain")
    server.serve(web.Wsgi(app))
    assert server.headers is plain
    for _ in range(2):
        server = WsgiServer("/told")
        server.serve(web.Wsgi(app))
        assert type(server.headers) is list
        assert [name for name, _ in server.headers] == ["X-Own", HEADER]
    assert told == [("X-Own", "1")]


@pytest.mark.parametrize("leads", [True, False])
def test_by_the_letter_of_the_protocol(web: ModuleType, traced: Spans, leads: bool) -> None:
    """wsgiref's validator finds no fault, on either side."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        assert environ["wsgi.input"].read(4) == b"ab\nc"
        assert environ["wsgi.input"].readline() == b"d\n"
        assert environ["wsgi.input"].readlines() == [b"e\n", b"f"]
        if leads:
            think()
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        yield b"two"

    checked = wsgiref.validate.validator(web.Wsgi(wsgiref.validate.validator(app)))
    server = WsgiServer(content=b"ab\ncd\ne\nf")
    body: Any = checked(server.environ, server.start_response)
    assert list(body) == [b"one", b"two"]
    body.close()
    assert traced.outline() == ("POST /chat\n  think" if leads else "")


def test_the_environment(web: ModuleType, traced: Spans) -> None:
    """It is the server's own; all that differs is that the body is read through ours."""
    server = WsgiServer(content=b"{}")
    before = dict(server.environ)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        assert environ is server.environ
        assert {key for key in environ if environ[key] is not before[key]} == {"wsgi.input"}
        return whole(environ, start_response)

    server.serve(web.Wsgi(app))
    assert list(server.environ) == list(before)


@pytest.mark.parametrize("content_type", ["application/json", "image/png"])
def test_how_a_body_is_read(web: ModuleType, traced: Spans, content_type: str) -> None:
    """In whatever way an application reads it, it gets what the server has; what that cannot do, ours cannot."""
    content = b'{"question":\n"why?"\n}'

    class Plain:
        """No more than PEP 3333 asks for."""

        def __init__(self) -> None:
            self.source = io.BytesIO(content)
            self.read, self.readline, self.readlines = self.source.read, self.source.readline, self.source.readlines

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.source)

    def by_buffer(file: Any) -> bytes:
        buffer = bytearray(64)
        return bytes(buffer[: file.readinto(buffer)])

    def in_a_block(file: Any) -> bytes:
        with file as opened:
            assert isinstance(file, io.BytesIO)
            read: bytes = opened.read()
            return read

    ways: list[Callable[[Any], bytes]] = [
        lambda file: file.read(),
        lambda file: file.read(5) + file.read(500),
        lambda file: b"".join(iter(file.readline, b"")),
        lambda file: file.readline(3) + file.read(),
        lambda file: b"".join(file.readlines()),
        lambda file: b"".join(file),
        lambda file: next(iter(file)) + file.read(),
        lambda file: next(file) + file.read(),
        lambda file: file.read1(),
        by_buffer,
        lambda file: file.getvalue() if not file.seek(0) else b"",
        lambda file: io.BufferedReader(file).read(),
        in_a_block,
    ]

    found: list[bytes] = []
    for is_plain, way in [*((False, way) for way in ways), *((True, way) for way in ways[:7])]:

        def app(environ: Any, start_response: Any, is_plain: bool = is_plain, way: Any = way) -> list[bytes]:
            file = environ["wsgi.input"]
            assert hasattr(file, "readinto") is hasattr(file, "read1") is not is_plain
            found.append(way(file))
            if is_plain:
                with pytest.raises(TypeError), file:
                    pass
            return whole(environ, start_response)

        server = WsgiServer(content=content, CONTENT_TYPE=content_type)
        server.environ["wsgi.input"] = Plain() if is_plain else io.BytesIO(content)
        server.serve(web.Wsgi(app))
    assert found == [content] * 20
    asked = [span["input.value"] for span in traced.all() if span.parent_id is None]
    if content_type == "image/png":
        assert asked == [None] * 20
    else:
        assert asked.count("why?") >= 19  # `getvalue` is no way of the protocol


def test_a_body_of_many_megabytes(web: ModuleType, traced: Spans) -> None:
    """It is not kept."""
    content = b'{"question": "' + b"x" * 3_000_000 + b'"}'

    def app(environ: Any, start_response: Any) -> list[bytes]:
        assert environ["wsgi.input"].read() == content
        return whole(environ, start_response)

    WsgiServer(content=content).serve(web.Wsgi(app))
    assert len(traced.named("POST /chat").everything) < 1_100_000


def test_context_variables(web: ModuleType, traced: Spans) -> None:
    """What an application sets is there for the server and for the next piece, as without us."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        variable.set("set")
        think()
        seen.append(get_current_span().get_span_context().is_valid)
        start_response("200 OK", [])
        yield b"one"
        seen.append(variable.get())
        variable.set("again")

    def main() -> None:
        WsgiServer().serve(web.Wsgi(app))
        seen.append(variable.get())

    contextvars.copy_context().run(main)
    assert seen == [False, "set", "again"]


def test_what_an_application_is(web: ModuleType, traced: Spans) -> None:
    """Signature and names; it can be copied and pickled; switched off the class is what it was."""
    app, original = web.Wsgi(whole), vars(web.Wsgi)["__call__"].__wrapped__
    assert list(inspect.signature(app.__call__).parameters) == ["environ", "start_response"]
    assert not inspect.iscoroutinefunction(app.__call__)
    for made in (pickle.loads(pickle.dumps(app)), copy.copy(app), copy.deepcopy(app)):
        WsgiServer().serve(made)
    server = WsgiServer()
    app(start_response=server.start_response, environ=server.environ)
    assert traced.outline() == "\n".join(["POST /chat\n  think"] * 4)
    bound = app.__call__
    traced.off()
    assert vars(web.Wsgi)["__call__"] is original
    bound(server.environ, server.start_response)
    assert len(traced.all()) == 8


def test_a_caller_that_names_its_trace(web: ModuleType, traced: Spans) -> None:
    """The root is the child of the caller's span."""
    server = WsgiServer(HTTP_TRACEPARENT=CALLER, HTTP_TRACESTATE="acme=1")
    server.serve(web.Wsgi(whole))
    root = traced.named("POST /chat")
    assert (f"{root.trace_id:032x}", f"{root.parent_id:016x}") == ("ab" * 16, "cd" * 8)
    assert server.header(HEADER) == "ab" * 16


def test_content_that_is_switched_off(web: ModuleType, traced: Spans) -> None:
    """Nothing of question and answer is anywhere; whose it is stays."""
    traced.on(capture_content="off")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        return whole(environ, start_response)

    server = WsgiServer(content=b'{"question": "because"}', QUERY_STRING="q=because", HTTP_X_SESSION_ID="chat-7")
    server.serve(web.Wsgi(app))
    assert not [span for span in traced.all() if "because" in span.everything]
    assert {span["session.id"] for span in traced.all()} == {"chat-7"}


def test_the_head_alone(web: ModuleType, traced: Spans) -> None:
    """HEAD, 204 and 304: there is no body to be made."""

    def app(environ: Any, start_response: Any) -> tuple[bytes, ...]:
        start_response(environ["acme.status"], [])
        return ()

    for method, status in (("GET", "204 No Content"), ("GET", "304 Not Modified"), ("HEAD", "204 No Content")):
        server = WsgiServer(method=method, **{"acme.status": status})
        assert server.serve(web.Wsgi(app)) == b""
        assert server.header(HEADER) is None


@pytest.mark.parametrize(
    "more",
    [
        {"REQUEST_METHOD": None},
        {"PATH_INFO": None},
        {"PATH_INFO": 7},
        {"QUERY_STRING": None},
        {"CONTENT_LENGTH": "many"},
        {"CONTENT_LENGTH": -1},
        {"CONTENT_LENGTH": "", "wsgi.input": None},
        {"CONTENT_TYPE": None},
        {"HTTP_TRACEPARENT": 7},
        {"HTTP_X_SESSION_ID": b"bytes"},
        {"SERVER_SOFTWARE": None},
        {7: 8},
    ],
    ids=str,
)
def test_environments_of_odd_shapes(web: ModuleType, traced: Spans, more: dict[Any, Any]) -> None:
    """The application gets them as they are, and answers."""
    traced.on(strict=False)
    server = WsgiServer()
    server.environ.update(more)
    assert server.serve(web.Wsgi(whole)) == b'{"answer": "because"}'
    assert len(traced.all()) in (1, 2)
    guard.failures.clear()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("OK", []),
        ("", []),
        (200, []),
        (b"200 OK", []),
        ("200 OK", None),
        ("200 OK", [7]),
        ("200 OK", [("a",)]),
        ("200 OK", [(None, None)]),
        ("200 OK", [(b"content-length", b"2")]),
        ("200 OK", iter([("X-Own", "1")])),
        ("200 OK", {"X-Own": "1"}.items()),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "__next__") else str(value),
)
def test_answers_of_odd_shapes(web: ModuleType, traced: Spans, status: Any, headers: Any) -> None:
    """What an application answers out of shape is for the server to refuse."""
    traced.on(strict=False)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        think()
        start_response(status, headers)
        return [b"{}"]

    server = WsgiServer()
    assert server.serve(web.Wsgi(app)) == b"{}"
    assert server.status is status
    assert server.headers is headers or [one for one in server.headers if one[0] != HEADER] in (
        [("X-Own", "1")],
        [(b"content-length", b"2")],
        [],
    )
    assert len(traced.all()) == 2
    guard.failures.clear()


@pytest.mark.parametrize(
    "piece", ["text", None, 7, memoryview(b"{}"), bytearray(b"{}")], ids=lambda piece: type(piece).__name__
)
def test_pieces_of_odd_shapes(web: ModuleType, traced: Spans, piece: Any) -> None:
    """So are pieces that are no bytes."""
    traced.on(strict=False)

    def app(environ: Any, start_response: Any) -> Iterator[Any]:
        think()
        start_response("200 OK", [("Content-Length", "4")])
        yield piece
        yield b"{}"

    body: Any = WsgiServer().call(web.Wsgi(app))
    assert list(body) == [piece, b"{}"]
    body.close()
    assert len(traced.all()) == 2
    guard.failures.clear()
