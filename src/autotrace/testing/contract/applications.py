"""The laws of what serves requests, as tests that a plugin's author inherits."""

from __future__ import annotations

import gc
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn

import pytest

import autotrace
from autotrace.recording import recorder

from ..recorded import Spans, isolated
from .server import Response, serve
from .snapshots import changes, held, wrapped

HEADER = "x-autotrace-trace-id"
QUESTION, ANSWER = "where does the grey heron nest", "in tall trees by the water"
CALLER = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"

every_form = pytest.mark.parametrize("form", ["application", "async_application"])
every_route = pytest.mark.parametrize("path", ["/answers/heron", "/streams/heron"])


class ApplicationContract:
    """The laws of a plugin for what serves requests. Subclass it, say how an application is made, and inherit them.

    Example:
        >>> class TestAcme(ApplicationContract):
        ...     framework = "acme_web"
        ...     protocol = "wsgi"
        ...
        ...     def application(self, answer, pieces):
        ...         app = acme_web.App()
        ...         app.post("/answers/<name>", lambda request: answer(request.body))
        ...         app.post("/streams/<name>", lambda request: acme_web.Stream(pieces(request.body)))
        ...         return app

    Attributes:
        framework: The module that the plugin traces.
        protocol: `asgi` or `wsgi`.
        route: The route `/answers/heron` as the plugin tells it; the other one is alike.
        answers_errors: Whether the framework answers 500 for an exception, and raises it no further.
    """

    framework: ClassVar[str]
    protocol: ClassVar[Literal["asgi", "wsgi"]]
    route: ClassVar[str] = "/answers/{name}"
    answers_errors: ClassVar[bool] = False

    @pytest.fixture
    def spans(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
        """The fixture of that name; a project may have another one."""
        import_module(self.framework)
        with isolated(tmp_path, monkeypatch) as found:
            yield found

    def application(self, answer: Callable[[bytes], bytes], pieces: Callable[[bytes], Iterator[bytes]]) -> Any:
        """An application with two routes, for POST.

        Args:
            answer: From a request's body to the response's, JSON: at `/answers/` and any name.
            pieces: From a request's body to the pieces of a streamed response, plain text: at `/streams/` and any name.
        """
        self._lacks("application")

    def async_application(
        self, answer: Callable[[bytes], Awaitable[bytes]], pieces: Callable[[bytes], AsyncIterator[bytes]]
    ) -> Any:
        """The same, of coroutine functions and asynchronous generators."""
        self._lacks("async_application")

    @every_route
    @every_form
    def test_a_request_is_a_root(self, spans: Spans, form: str, path: str) -> None:
        """A request in which something is traced is one root, named by its route, with question, answer and session."""
        response = self._ask(form, path, headers={"x-session-id": "chat-7", "x-user-id": "alice"})
        root, *inner = spans.all()
        assert spans.outline() == f"POST {self._route(path)}\n" + "\n".join(["  think"] * len(inner))
        assert (root.kind, root.status, root.parent_id) == ("server", "ok", None)
        assert (root["http.route"], root["url.path"]) == (self._route(path), path)
        assert root["http.response.status_code"] == 200
        assert (root["input.value"], root["output.value"]) == (QUESTION, ANSWER)
        assert {(span["session.id"], span["user.id"]) for span in spans.all()} == {("chat-7", "alice")}
        assert response.headers[HEADER] == f"{root.trace_id:032x}"
        assert root.end_s > max(span.end_s for span in inner)

    @every_route
    @every_form
    def test_a_request_without_traced_work_leaves_nothing(self, spans: Spans, form: str, path: str) -> None:
        """Nor does it change: what the client gets is what it gets without tracing, but for the header of a stream."""
        traced = self._ask(form, path, works=False)
        assert spans.all() == []
        if path == "/answers/heron":
            assert HEADER not in traced.headers

    @every_route
    @every_form
    def test_the_client_gets_the_same(self, spans: Spans, form: str, path: str) -> None:
        """Status, headers and the pieces of the body are those that it gets without tracing."""
        traced = self._ask(form, path)
        spans.off()
        assert traced.headers.pop(HEADER)
        assert _without_times(traced) == _without_times(self._ask(form, path))

    @every_route
    @every_form
    def test_errors(self, spans: Spans, form: str, path: str) -> None:
        """An exception comes to the server, and to the client, as without tracing; the root fails."""
        traced = self._ask(form, path, fails=True)
        root = spans.all()[0]
        assert root.parent_id is None
        assert root.status == "error", root.outcome
        spans.off()
        bare = self._ask(form, path, fails=True)
        assert type(traced.error) is type(bare.error)
        traced.headers.pop(HEADER, None)
        assert _without_times(traced) == _without_times(bare)

    @every_form
    def test_a_client_that_leaves(self, spans: Spans, form: str) -> None:
        """A client that hangs up in the midst of a stream is told as that, and is no error."""
        self._ask(form, "/streams/heron", leaves_after=1)
        assert [span.outcome or span.status for span in spans.all() if span.parent_id is None] == ["disconnected"]

    @every_route
    @every_form
    def test_a_callers_trace(self, spans: Spans, form: str, path: str) -> None:
        """The request belongs to the trace that its `traceparent` names, and tells that."""
        response = self._ask(form, path, headers={"traceparent": CALLER})
        root = spans.all()[0]
        assert (f"{root.trace_id:032x}", f"{root.parent_id:016x}") == ("ab" * 16, "cd" * 8)
        assert response.headers[HEADER] == "ab" * 16

    @every_route
    @every_form
    def test_content_off(self, spans: Spans, form: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
        """Neither question nor answer is on a span where content is switched off."""
        spans.on(capture_content="off")
        self._ask(form, path)
        told = " ".join(span.everything for span in spans.all())
        logged = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("autotrace"))
        assert len(spans.all()) > 1
        for text in (QUESTION, ANSWER):
            assert text not in told
            assert text not in logged

    @every_form
    def test_suppressed(self, spans: Spans, form: str) -> None:
        """Suppressed, a request leaves nothing."""
        with autotrace.suppress():
            self._ask(form, "/answers/heron")
        assert spans.all() == []

    @every_form
    def test_many_requests(self, spans: Spans, form: str) -> None:
        """Requests that are over, traced, untraced, failed or left, leave nothing open."""
        application = self._made(form, works=True)
        before = len(recorder._open)
        for number in range(8):
            leaves_after = 1 if number % 4 == 0 else None
            path = "/streams/heron" if number % 2 else "/answers/heron"
            serve(application, self.protocol, path, _BODY, {}, leaves_after)
        gc.collect()
        assert len(recorder._open) == before
        assert len([span for span in spans.all() if span.parent_id is None]) == 8

    def test_switching_off_restores(self, spans: Spans) -> None:
        """Switched off, the framework holds what it held before; a function looks the same while it is wrapped."""
        from autotrace.activation import active

        self._ask(self._any_form(), "/answers/heron")
        patches = [patch for patch in active().host.patches() if patch.module.startswith(self._package)]
        assert patches, f"nothing of {self._package} is patched"
        traced = held(self._package)
        looks = {patch.label: _looks(patch.current()) for patch in patches}
        spans.off()
        assert wrapped(held(self._package)) == []
        bare = {patch.label: _looks(patch.current()) for patch in patches}
        assert looks == bare
        first = held(self._package)
        for _ in range(3):
            spans.on()
            spans.off()
        assert changes(first, held(self._package)) == []
        assert len(wrapped(traced)) == len(patches)

    @property
    def _package(self) -> str:
        return self.framework.partition(".")[0]

    def _route(self, path: str) -> str:
        return self.route if path.startswith("/answers") else self.route.replace("/answers", "/streams")

    def _ask(
        self,
        form: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        works: bool = True,
        fails: bool = False,
        leaves_after: int | None = None,
    ) -> Response:
        """Asks a new application."""
        application = self._made(form, works, fails)
        return serve(application, self.protocol, path, _BODY, headers or {}, leaves_after)

    def _made(self, form: str, works: bool, fails: bool = False) -> Any:
        if getattr(type(self), form) is getattr(ApplicationContract, form):
            self._lacks(form)
        scripted = _Scripted(works, fails)
        if form == "application":
            return self.application(scripted.answer, scripted.pieces)
        return self.async_application(scripted.aanswer, scripted.apieces)

    def _any_form(self) -> str:
        is_sync = type(self).application is not ApplicationContract.application
        return "application" if is_sync else "async_application"

    def _lacks(self, method: str) -> NoReturn:
        pytest.skip(f"{type(self).__name__} does not define {method}(), so this law cannot be tried in that form")


_BODY = json.dumps({"question": QUESTION}).encode()


class _Scripted:
    """What the application does."""

    def __init__(self, works: bool, fails: bool) -> None:
        self._works = works
        self._fails = fails

    def answer(self, body: bytes) -> bytes:
        assert json.loads(body) == {"question": QUESTION}
        self._work()
        if self._fails:
            raise LookupError("no heron")
        return json.dumps({"answer": ANSWER}).encode()

    def pieces(self, body: bytes) -> Iterator[bytes]:
        assert json.loads(body) == {"question": QUESTION}
        for word in ANSWER.split(" ")[:-1]:
            self._work()
            yield f"{word} ".encode()
        if self._fails:
            raise LookupError("no heron")
        yield ANSWER.split(" ")[-1].encode()

    async def aanswer(self, body: bytes) -> bytes:
        return self.answer(body)

    async def apieces(self, body: bytes) -> AsyncIterator[bytes]:
        import asyncio

        for piece in self.pieces(body):
            yield piece
            await asyncio.sleep(0)

    def _work(self) -> None:
        if self._works:
            with autotrace.span("think"):
                pass


def _without_times(response: Response) -> tuple[Any, ...]:
    headers = {name: value for name, value in response.headers.items() if name not in ("date", "expires")}
    return response.status, headers, response.pieces


def _looks(function: Any) -> tuple[Any, ...]:
    """How a function presents itself."""
    signature, is_coroutine = str(inspect.signature(function)), inspect.iscoroutinefunction(function)
    return signature, is_coroutine, function.__name__, function.__qualname__, function.__doc__, function.__module__
