"""The openai SDK, called directly."""

from __future__ import annotations

import asyncio

import memory
import openai
import workload


class Calls:
    """The three kinds of call, over a transport in memory."""

    def __init__(self) -> None:
        self._client = openai.OpenAI(api_key=workload.API_KEY, base_url=workload.URL, http_client=memory.chat_client())
        self._async_client = openai.AsyncOpenAI(
            api_key=workload.API_KEY, base_url=workload.URL, http_client=memory.async_chat_client()
        )
        self._loop = asyncio.new_event_loop()

    def chat(self) -> None:
        """One chat call."""
        self._client.chat.completions.create(model=workload.MODEL, messages=workload.MESSAGES, temperature=0.2)

    def stream(self) -> None:
        """One streamed chat call, consumed to the end."""
        options = {"include_usage": True}
        chunks = self._client.chat.completions.create(
            model=workload.MODEL,
            messages=workload.MESSAGES,
            temperature=0.2,
            stream=True,
            stream_options=options,
        )
        if sum(1 for _ in chunks) != workload.CHUNKS:
            raise RuntimeError("the stream was not passed on whole")

    def concurrent(self) -> None:
        """CONCURRENCY asynchronous chat calls at once."""
        self._loop.run_until_complete(self._gather())

    async def _gather(self) -> None:
        create = self._async_client.chat.completions.create
        await asyncio.gather(
            *(
                create(model=workload.MODEL, messages=workload.MESSAGES, temperature=0.2)
                for _ in range(workload.CONCURRENCY)
            )
        )
