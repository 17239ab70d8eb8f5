"""Recorded replies of Anthropic's API, played on loopback to the real SDK, sync and async.

A test is written once, as a coroutine; what is awaited is awaited only where it is awaitable. A sync test runs without
an event loop.
"""

from __future__ import annotations

import asyncio
import inspect
import operator
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from opentelemetry.context import get_current

from autotrace.testing import RecordedSpan, ReplayServer

RECORDINGS = Path(__file__).parent / "recordings"
QUESTION = "Where does the heron nest?"
ANSWER = "The heron nests in the old alder by the weir."


def ask(question: str) -> dict[str, Any]:
    """The least that a message wants."""
    return {"model": "claude-opus-5", "max_tokens": 100, "messages": [{"role": "user", "content": question}]}


ASK: Mapping[str, Any] = ask(QUESTION)


class Sdk:
    """The Anthropic SDK, sync or async.

    Attributes:
        server: The server that the client talks to, once `play` has started it.
        client: A client of it that never retries.
    """

    server: ReplayServer
    client: Any

    def __init__(self, is_async: bool, stack: ExitStack) -> None:
        self.is_async = is_async
        self._stack = stack
        self._clients: list[Any] = []

    def play(self, *recordings: str) -> Any:
        """Plays recordings; a client of the server."""
        paths = [RECORDINGS / f"{name}.json" for name in recordings]
        self.server = self._stack.enter_context(ReplayServer(*paths))
        self.client = self.new()
        return self.client

    def new(self, kind: str = "Anthropic", **options: Any) -> Any:
        """Another client; `kind` is its sync class's name."""
        options = {"base_url": self.server.url, "max_retries": 0, **options}
        if kind == "Anthropic":
            options = {"api_key": "sk-ant-test", **options}
        made = getattr(anthropic, ("Async" if self.is_async else "") + kind)(**options)
        self._clients.append(made)
        return made

    def method(self, name: str) -> Callable[..., Any]:
        """A method of the client by its dotted name; the test is skipped where this version has none."""
        try:
            return operator.attrgetter(name)(self.client)  # type: ignore[no-any-return]
        except AttributeError:
            pytest.skip(f"anthropic {anthropic.__version__} has no {name}")

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """Calls a method by its dotted name, with the least that it wants."""
        return await self.wait(self.method(name)(**{**ASK, **arguments}))

    async def wait(self, value: Any) -> Any:
        """`value`, awaited where it is awaitable."""
        return await value if inspect.isawaitable(value) else value

    async def all(self, stream: Any) -> list[Any]:
        """All pieces of a stream."""
        return [piece async for piece in stream] if self.is_async else list(stream)

    async def next(self, stream: Any) -> Any:
        """The next piece of a stream."""
        return await stream.__anext__() if self.is_async else next(stream)

    @asynccontextmanager
    async def entered(self, manager: Any) -> AsyncIterator[Any]:
        """`with manager` or `async with manager`."""
        if self.is_async:
            async with manager as value:
                yield value
        else:
            with manager as value:
                yield value

    async def finish(self) -> None:
        """Closes every client."""
        for client in self._clients:
            await self.wait(client.close())


def output(span: RecordedSpan) -> Any:
    """The message that came back."""
    (message,) = span["output.messages"]
    return message


def text(span: RecordedSpan) -> str | None:
    """The text that came back, where it is nothing else."""
    (part,) = output(span)["parts"]
    return part["content"] if part["type"] == "text" else None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a coroutine test: in an event loop where the SDK is async, by hand where it is not."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    sdk: Sdk = arguments["sdk"]

    async def whole() -> None:
        try:
            await pyfuncitem.obj(**arguments)
            assert not get_current(), "something is still current"
        finally:
            await sdk.finish()

    if sdk.is_async:
        asyncio.run(whole())
    else:
        with pytest.raises(StopIteration):  # a sync test is never suspended
            whole().send(None)
    return True


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """The SDK, sync and async."""
    with ExitStack() as stack:
        yield Sdk(request.param == "async", stack)
