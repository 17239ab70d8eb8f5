"""The plugin keeps every law of autotrace's contract, in each of the APIs that stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import openai
import pytest

import autotrace
from autotrace import Usage
from autotrace.testing import InstrumentationContract
from autotrace.testing.openai_server import Cut, OpenAIServer, Status

from .conftest import KEY


class Contract(InstrumentationContract):
    """How the SDK asks the server."""

    plugin = "autotrace_openai"
    framework = "openai"

    @pytest.fixture(autouse=True)
    def clients(self, server: OpenAIServer) -> Iterator[None]:
        """Clients, sync and async, that never retry."""
        options: dict[str, Any] = {"base_url": server.url, "api_key": KEY, "max_retries": 0}
        self.server = server
        self.client, self.options = openai.OpenAI(**options), options
        self.opened: list[openai.AsyncOpenAI] = []
        yield
        self.client.close()

    def new_async(self) -> openai.AsyncOpenAI:
        """A client of the running event loop, which is closed before that ends."""
        self.opened.append(openai.AsyncOpenAI(**self.options))
        return self.opened[-1]

    async def aclose(self) -> None:
        while self.opened:
            await self.opened.pop().close()

    def objects(self) -> Iterable[Any]:
        return (self.call("hello"),)

    def fail(self, prompt: str) -> Any:
        self.server.script(Status(400))
        return self.call(prompt)

    async def afail(self, prompt: str) -> Any:
        self.server.script(Status(400))
        return await self.acall(prompt)

    def broken_stream(self, prompt: str) -> Iterable[Any]:
        self.server.script(Cut(after=3))
        return self.stream(prompt)

    async def broken_astream(self, prompt: str) -> AsyncIterator[Any]:
        self.server.script(Cut(after=3))
        return await self.astream(prompt)


class TestChat(Contract):
    """Chat completions."""

    usage = Usage(940, 1452, cache_read=104, cache_write=76, reasoning=153, audio_input=20, audio_output=49)

    def configure(self) -> None:
        autotrace.autolog("openai", stream_usage="always")

    def call(self, prompt: str) -> Any:
        return self.client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])

    async def acall(self, prompt: str) -> Any:
        client = self.new_async()
        return await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}])

    def stream(self, prompt: str) -> Iterable[Any]:
        return self.client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True
        )

    async def astream(self, prompt: str) -> AsyncIterator[Any]:
        return await self.new_async().chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True
        )

    def messages(self, prompt: str) -> list[Any]:
        return [{"role": "user", "content": [{"type": "text", "text": prompt}]}]

    def call_with_messages(self, messages: list[Any]) -> Any:
        return self.client.chat.completions.create(model="gpt-4o", messages=messages)

    def call_with_iterator(self, prompt: str) -> Any:
        messages: Any = ({"role": "user", "content": one} for one in [prompt])
        return self.client.chat.completions.create(model="gpt-4o", messages=messages)
