"""Which requests are roots: where something traced happens inside, and never twice."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

import autotrace
from autotrace.testing import Spans

from .servers import HEADER, AsgiServer, answer, body, scope, serve, think, think_and_answer


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
