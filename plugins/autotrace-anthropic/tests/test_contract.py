"""The plugin keeps every law of autotrace's contract: messages, beta messages, and the stream helper."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import pytest

from autotrace import Usage
from autotrace.testing import InstrumentationContract, ReplayServer

from .conftest import ANSWER, RECORDINGS, ask

#: Whatever a law leaves open is closed: the laws' own indulgence with such warnings is not needed.
CLEAN = pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")


class Contract(InstrumentationContract):
    """How the SDK asks the server.

    Attributes:
        resource: Where the client has its messages.
    """

    plugin = "autotrace_anthropic"
    framework = "anthropic"
    usage = Usage(2295, 43, cache_read=2086, cache_write=188, reasoning=17)
    answer = ANSWER
    resource = "messages"

    @pytest.fixture(autouse=True)
    def clients(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        """A server that answers, one that streams, and a client; asyncio has nothing to complain of afterwards."""
        with ExitStack() as stack:
            self.whole, self.streaming = (
                stack.enter_context(ReplayServer(RECORDINGS / f"{name}.json")) for name in ("message", "stream")
            )
            self.client = stack.enter_context(anthropic.Anthropic(api_key="sk-ant-test", max_retries=0))
            self.opened: list[anthropic.AsyncAnthropic] = []
            yield
        assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []

    def asked(self, server: ReplayServer, is_async: bool = False) -> Any:
        """The messages of a client of the server. An event loop has clients of its own."""
        client: Any = self.client
        if is_async:
            client = anthropic.AsyncAnthropic(api_key="sk-ant-test", max_retries=0)
            self.opened.append(client)
        return operator.attrgetter(self.resource)(client.with_options(base_url=server.url))

    async def aclose(self) -> None:
        while self.opened:
            await self.opened.pop().close()

    def call(self, prompt: str) -> Any:
        return self.asked(self.whole).create(**ask(prompt))

    async def acall(self, prompt: str) -> Any:
        return await self.asked(self.whole, is_async=True).create(**ask(prompt))

    def stream(self, prompt: str) -> Iterable[Any]:
        return self.asked(self.streaming).create(**ask(prompt), stream=True)  # type: ignore[no-any-return]

    async def astream(self, prompt: str) -> AsyncIterator[Any]:
        return await self.asked(self.streaming, is_async=True).create(**ask(prompt), stream=True)  # type: ignore[no-any-return]

    def fail(self, prompt: str) -> Any:
        self.whole.fail(400)
        self.streaming.fail(400)
        return self.call(prompt)

    async def afail(self, prompt: str) -> Any:
        self.whole.fail(400)
        self.streaming.fail(400)
        return await self.acall(prompt)

    def broken_stream(self, prompt: str) -> Iterable[Any]:
        self.streaming.cut(after=4)
        return self.stream(prompt)

    async def broken_astream(self, prompt: str) -> AsyncIterator[Any]:
        self.streaming.cut(after=4)
        return await self.astream(prompt)

    def call_with_iterator(self, prompt: str) -> Any:
        return self.asked(self.whole).create(**{**ask(prompt), "messages": iter(ask(prompt)["messages"])})

    def messages(self, prompt: str) -> list[Any]:
        return [{"role": "user", "content": [{"type": "text", "text": prompt}]}]

    def call_with_messages(self, messages: list[Any]) -> Any:
        return self.asked(self.whole).create(**{**ask(self.prompt), "messages": messages})

    def objects(self) -> Iterable[Any]:
        return (self.call("hello"),)


@CLEAN
class TestMessages(Contract):
    """`messages.create`, streamed or not."""


@CLEAN
class TestBetaMessages(Contract):
    """`beta.messages.create`, streamed or not."""

    resource = "beta.messages"


@CLEAN
class TestStreamHelper(Contract):
    """`messages.stream`: what it returns is entered, and read to its message or event by event."""

    def call(self, prompt: str) -> Any:
        with self.asked(self.streaming).stream(**ask(prompt)) as stream:
            return stream.get_final_message()

    async def acall(self, prompt: str) -> Any:
        async with self.asked(self.streaming, is_async=True).stream(**ask(prompt)) as stream:
            return await stream.get_final_message()

    def stream(self, prompt: str) -> Iterable[Any]:
        return self.asked(self.streaming).stream(**ask(prompt)).__enter__()  # type: ignore[no-any-return]

    async def astream(self, prompt: str) -> AsyncIterator[Any]:
        return await self.asked(self.streaming, is_async=True).stream(**ask(prompt)).__aenter__()  # type: ignore[no-any-return]

    def call_with_iterator(self, prompt: str) -> Any:
        arguments = {**ask(prompt), "messages": iter(ask(prompt)["messages"])}
        with self.asked(self.streaming).stream(**arguments) as stream:
            return stream.get_final_message()
