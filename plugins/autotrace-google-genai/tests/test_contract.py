"""The plugin keeps every law of autotrace's contract, on recorded replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import types

from autotrace import Usage
from autotrace.testing import InstrumentationContract, ReplayServer

from .conftest import MODEL, RECORDINGS


class TestContract(InstrumentationContract):
    """How content is generated."""

    plugin = "autotrace_google_genai"
    framework = "google.genai"
    operation = "generate_content"
    answer = "In tall trees."
    usage = Usage(1420, 48, cache_read=1024, reasoning=37, audio_input=120)

    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[None]:
        """A server that plays the recording."""
        with ReplayServer(RECORDINGS / "answer.json") as server:
            self.played = server
            self.options = types.HttpOptions(base_url=server.url, api_version="v1beta")
            yield
            assert server.unmatched == []

    @property
    def client(self) -> genai.Client:
        """A client of the server."""
        return genai.Client(http_options=self.options, api_key="k" * 39)

    def call(self, prompt: str) -> Any:
        return self.client.models.generate_content(model=MODEL, contents=prompt)

    async def acall(self, prompt: str) -> Any:
        return await self.client.aio.models.generate_content(model=MODEL, contents=prompt)

    def stream(self, prompt: str) -> Iterable[Any]:
        return self.client.models.generate_content_stream(model=MODEL, contents=prompt)

    async def astream(self, prompt: str) -> AsyncIterator[Any]:
        return await self.client.aio.models.generate_content_stream(model=MODEL, contents=prompt)

    def fail(self, prompt: str) -> Any:
        self.played.fail(400, json={"error": {"message": f"not {prompt}", "status": "INVALID_ARGUMENT", "code": 400}})
        return self.call(prompt)

    async def afail(self, prompt: str) -> Any:
        self.played.fail(400, json={"error": {"message": f"not {prompt}", "status": "INVALID_ARGUMENT", "code": 400}})
        return await self.acall(prompt)

    def broken_stream(self, prompt: str) -> Iterable[Any]:
        self.played.cut(after=1)
        return self.stream(prompt)

    async def broken_astream(self, prompt: str) -> AsyncIterator[Any]:
        self.played.cut(after=1)
        return await self.astream(prompt)

    def objects(self) -> Iterable[Any]:
        return (self.call("hello"),)
