"""Requests leave nothing behind, however they end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from autotrace.recording import recorder
from autotrace.serving.exchange import Exchange
from autotrace.testing import Spans

from .servers import AsgiServer, WsgiServer, answer, body, scope, think


def alive() -> int:
    """Requests that something still refers to."""
    return sum(issubclass(type(one), Exchange) for one in gc.get_objects())


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What goes, goes without the garbage collector's help."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Does what its path says."""
    await receive()
    if "traced" in scope["path"]:
        think()
    if "raise" in scope["path"]:
        raise LookupError
    if "leave" in scope["path"]:
        return
    if "wait" in scope["path"]:
        await asyncio.Event().wait()
    await answer(send, b"{}", *[b"{}"] * ("stream" in scope["path"]))


def wsgi_application(environ: Any, start_response: Any) -> Any:
    """The same by WSGI."""
    path = environ["PATH_INFO"]
    environ["wsgi.input"].read()
    if "traced" in path:
        think()
    if "raise" in path:
        raise LookupError
    start_response("200 OK", [])
    return (piece for piece in (b"{}", b"{}")) if "stream" in path or "leave" in path else [b"{}"]


WAYS = [f"{kind}/{way}" for kind in ("", "/traced") for way in ("whole", "stream", "raise", "leave", "wait")]


async def ask(app: Any, path: str) -> None:
    """One request, which may never end."""
    served = asyncio.ensure_future(AsgiServer(body(b'{"question": "why?"}')).serve(app, scope(path)))
    await asyncio.sleep(0)
    if "wait" in path:
        served.cancel()
    await asyncio.wait([served])
    if not served.cancelled():
        served.exception()


@pytest.mark.parametrize("path", WAYS)
def test_a_request_by_asgi(web: ModuleType, traced: Spans, no_collector: None, path: str) -> None:
    """It is gone when the server lets go of it."""
    loop = asyncio.new_event_loop()
    before, app = len(recorder._open), web.Asgi(application)
    for _ in range(3):
        loop.run_until_complete(ask(app, path))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert alive() == 0
    assert len(recorder._open) == before
    assert len(traced.all()) == (6 if "traced" in path else 0)


@pytest.mark.parametrize("path", [path for path in WAYS if "wait" not in path])
@pytest.mark.parametrize("closes", [True, False])
def test_a_request_by_wsgi(web: ModuleType, traced: Spans, no_collector: None, path: str, closes: bool) -> None:
    """The same, also where the server forgets to close the body."""
    before, app = len(recorder._open), web.Wsgi(wsgi_application)
    for _ in range(3):
        server = WsgiServer(path, content=b'{"question": "why?"}')
        try:
            result = server.call(app)
            if "leave" not in path:
                list(result)
            if closes and hasattr(result, "close"):
                result.close()
            del result
        except LookupError:
            pass
        del server
    assert alive() == 0
    assert len(recorder._open) == before
    assert len(traced.all()) == (6 if "traced" in path else 0)


def test_ten_thousand_requests(web: ModuleType, traced: Spans) -> None:
    """Nothing grows."""
    asgi, wsgi = web.Asgi(application), web.Wsgi(wsgi_application)

    async def many(count: int) -> None:
        for number in range(count):
            await ask(asgi, WAYS[number % 10])
            traced.clear()

    def counted() -> tuple[int, int]:
        gc.collect()
        return len(gc.get_objects()), len(recorder._open)

    async def main() -> None:
        await many(500)
        objects, is_open = counted()
        await many(9_500)
        for _ in range(500):
            WsgiServer("/traced/stream").serve(wsgi)
            traced.clear()
        more, still_open = counted()
        assert alive() == 0
        assert still_open == is_open
        assert more - objects < 500  # a tenth of an object a request would be a thousand

    asyncio.run(main())
