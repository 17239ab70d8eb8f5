"""The plugin keeps every law of autotrace's contract, with the provider's plugin beneath it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

import autotrace
from autotrace import Usage
from autotrace.testing import InstrumentationContract
from autotrace.testing.openai_server import Cut, OpenAIServer, Status

from .conftest import Models

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated.*", "ignore::PendingDeprecationWarning", "ignore:unclosed:ResourceWarning"
)


class TestChatModel(InstrumentationContract):
    """How a chat model is asked."""

    plugin = "autotrace_langchain"
    framework = "langchain_core"

    @pytest.fixture(autouse=True)
    def models(self, server: OpenAIServer, chat: Models) -> None:
        """A model of the server."""
        self.server = server
        self.model = lambda: chat(stream_usage=True)

    @property
    def usage(self) -> Usage:
        """What the server bills for one call: not the same in each version, for what is sent differs."""
        with autotrace.suppress():
            self.call(self.prompt)
        return self.billed()

    @property
    def stream_usage(self) -> Usage:
        """What it bills for one stream."""
        with autotrace.suppress():
            list(self.stream(self.prompt))
        return self.billed()

    def billed(self) -> Usage:
        """What was billed last."""
        last = self.server.requests[-1].billed
        cache = last.cached_tokens, last.cache_write_tokens
        audio = last.input_audio_tokens, last.output_audio_tokens
        return Usage(last.input_tokens, last.output_tokens, *cache, last.reasoning_tokens, *audio)

    def call(self, prompt: str) -> Any:
        return self.model().invoke([HumanMessage(prompt)])

    async def acall(self, prompt: str) -> Any:
        return await self.model().ainvoke([HumanMessage(prompt)])

    def stream(self, prompt: str) -> Iterable[Any]:
        return self.model().stream([HumanMessage(prompt)])

    async def astream(self, prompt: str) -> AsyncIterator[Any]:
        return self.model().astream([HumanMessage(prompt)])

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

    def messages(self, prompt: str) -> list[Any]:
        return [HumanMessage(prompt)]

    def call_with_messages(self, messages: list[Any]) -> Any:
        return self.model().invoke(messages)

    def objects(self) -> Iterable[Any]:
        return (self.call("hello"),)

    def value(self, result: Any) -> Any:
        return {**result.model_dump(), "id": None}
