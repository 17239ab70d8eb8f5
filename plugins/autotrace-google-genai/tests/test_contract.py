"""The plugin keeps every law of autotrace's contract, on recorded replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from google.genai import types

from autotrace import Usage
from autotrace.testing import InstrumentationContract, ReplayServer

from .conftest import MODEL, RECORDINGS, client


class TestContract(InstrumentationContract):
    """How content is generated. The SDK takes no contents from a generator, and its streams are generators."""

    plugin = "autotrace_google_genai"
    framework = "google.genai"
    operation = "generate_content"
    answer = "In tall trees."
    usage = Usage(1420, 48, cache_read=1024, reasoning=37, audio_input=120)
    closes_late = True  # its async streams read one another, and none closes the next

    @pytest.fixture(autouse=True)
    def clients(self) -> Iterator[None]:
        """A client of a server that plays the recording."""
        with ReplayServer(RECORDINGS / "answer.json") as server:
            self.server, self.client = server, client(server, api_key="k" * 39)
            yield
            assert server.unmatched == []

    def call(self, prompt: str) -> Any:
        return self.client.models.generate_content(model=MODEL, contents=prompt)

    async def acall(self, prompt: str) -> Any:
        return await self.client.aio.models.generate_content(model=MODEL, contents=prompt)

    def stream(self, prompt: str) -> Iterable[Any]:
        return self.client.models.generate_content_stream(model=MODEL, contents=prompt)

    async def astream(self, prompt: str) -> AsyncIterator[Any]:
        return await self.client.aio.models.generate_content_stream(model=MODEL, contents=prompt)

    def fail(self, prompt: str) -> Any:
        self._refuse(prompt)
        return self.call(prompt)

    async def afail(self, prompt: str) -> Any:
        self._refuse(prompt)
        return await self.acall(prompt)

    def broken_stream(self, prompt: str) -> Iterable[Any]:
        self.server.cut(after=1)
        return self.stream(prompt)

    async def broken_astream(self, prompt: str) -> AsyncIterator[Any]:
        self.server.cut(after=1)
        return await self.astream(prompt)

    def messages(self, prompt: str) -> list[Any]:
        return [types.Content(role="user", parts=[types.Part(text=prompt)])]

    def call_with_messages(self, messages: list[Any]) -> Any:
        return self.client.models.generate_content(model=MODEL, contents=messages)

    def objects(self) -> Iterable[Any]:
        return self.call("hello"), self.client.models.generate_content, type(self.client.models)

    def _refuse(self, prompt: str) -> None:
        error = {"code": 400, "message": f"Not asked: {prompt}", "status": "INVALID_ARGUMENT"}
        self.server.fail(400, json={"error": error})
