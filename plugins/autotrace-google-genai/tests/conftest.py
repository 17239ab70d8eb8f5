"""The plugin against the real SDK and recorded replies, played on loopback.

A test is written once and runs sync and async: `play` gives the SDK in either form. After every test every request was
answered by a recording, and OpenTelemetry, asyncio and autotrace logged nothing.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from autotrace.testing import ReplayServer

RECORDINGS = Path(__file__).parent / "recordings"
MODEL = "gemini-2.5-flash"
#: What the tests ask; looked for wherever it must not be.
QUESTION = "Where does the heron nest?"


def client(server: ReplayServer, api_version: str = "v1beta", **options: Any) -> genai.Client:
    """A client that leaves nothing to be closed: none of its connections outlives its request, nor then its loop."""
    http = types.HttpOptions(base_url=server.url, api_version=api_version, headers={"Connection": "close"})
    return genai.Client(http_options=http, **options)


class Sdk:
    """The SDK's client, sync or async, of the Gemini API or of Vertex AI.

    Attributes:
        server: What answers.
        is_async: Whether methods of `client.aio` are called.
    """

    def __init__(self, server: ReplayServer, is_async: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.is_async = is_async
        self._loop = loop
        self._client = client(server, api_key="k" * 39)

    def to_vertex(self) -> None:
        """From now on Vertex AI is asked."""
        acme = {"project": "acme", "location": "us-central1", "credentials": Credentials("token")}
        self._client = client(self.server, "v1beta1", vertexai=True, **acme)

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Calls a method of the client by its dotted name, and waits for what it returns."""
        return self.wait(operator.attrgetter(name)(self._client.aio if self.is_async else self._client)(**arguments))

    def ask(self, contents: Any = QUESTION, /, model: str = MODEL, **config: Any) -> Any:
        """`generate_content`."""
        return self.call("models.generate_content", model=model, contents=contents, config=config or None)

    def stream(self, contents: Any = QUESTION, /, **config: Any) -> Any:
        """`generate_content_stream`."""
        return self.call("models.generate_content_stream", model=MODEL, contents=contents, config=config or None)

    def wait(self, value: Any) -> Any:
        """`value`, awaited where it is awaitable."""

        async def waited() -> Any:
            return await value

        return self._loop.run_until_complete(waited()) if inspect.isawaitable(value) else value

    def next(self, stream: Any) -> Any:
        """The next piece of a stream."""
        return self.wait(stream.__anext__()) if self.is_async else next(stream)

    def all(self, stream: Any) -> list[Any]:
        """All pieces of a stream."""

        async def every() -> list[Any]:
            return [piece async for piece in stream]

        return self.wait(every()) if self.is_async else list(stream)

    def close(self, stream: Any) -> None:
        """Closes a stream."""
        self.wait(stream.aclose() if self.is_async else stream.close())

    def rest(self) -> None:
        """Lets the event loop do what it has been given to do: close one within another what was left."""

        async def rested() -> None:
            idle = 0
            while idle < 3:
                gc.collect()
                await asyncio.sleep(0)
                idle = idle + 1 if len(asyncio.all_tasks()) == 1 else 0

        self.wait(rested())


class _Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def nothing_logged() -> Iterator[None]:
    """L08: nothing about contexts, and no exception that nobody retrieved."""
    log = _Log()
    loggers = [logging.getLogger(name) for name in ("opentelemetry", "asyncio", "autotrace")]
    for logger in loggers:
        logger.addHandler(log)
    yield
    for logger in loggers:
        logger.removeHandler(log)
    assert log.lines == []


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture(params=["sync", "async"])
def play(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Iterator[Callable[[str], Sdk]]:
    """The SDK with a server that plays a recording."""
    playing: list[Sdk] = []

    def play(recording: str) -> Sdk:
        server = ReplayServer(RECORDINGS / f"{recording}.json").start()
        playing.append(Sdk(server, request.param == "async", loop))
        return playing[-1]

    yield play
    for sdk in playing:
        unmatched = sdk.server.unmatched
        sdk.server.stop()
        assert unmatched == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The SDK inherits from a class of aiohttp's that is not meant for it."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp:DeprecationWarning"))
