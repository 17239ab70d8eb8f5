"""The plugin keeps every law that autotrace's contract knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import acme

from autotrace import Usage
from autotrace.testing import InstrumentationContract, Spans


class TestAcme(InstrumentationContract):
    """How Acme is called."""

    plugin = "autotrace_acme"
    framework = "acme"
    usage = Usage(6, 6)

    def call(self, prompt: str) -> acme.Reply:
        return acme.Client().complete(prompt)

    async def acall(self, prompt: str) -> acme.Reply:
        return await acme.AsyncClient().complete(prompt)

    def stream(self, prompt: str) -> acme.Stream:
        return acme.Client().stream(prompt)

    async def astream(self, prompt: str) -> AsyncIterator[acme.Chunk]:
        return await acme.AsyncClient().stream(prompt)

    def fail(self, prompt: str) -> acme.Reply:
        return acme.Client().complete(f"fail {prompt}")

    async def afail(self, prompt: str) -> acme.Reply:
        return await acme.AsyncClient().complete(f"fail {prompt}")

    def broken_stream(self, prompt: str) -> acme.Stream:
        return acme.Client().stream(f"break {prompt}")

    async def broken_astream(self, prompt: str) -> AsyncIterator[acme.Chunk]:
        return await acme.AsyncClient().stream(f"break {prompt}")

    def call_with_iterator(self, prompt: str) -> acme.Reply:
        def messages() -> Iterator[acme.Message]:
            yield acme.Message("user", prompt)

        return acme.Client().complete(messages())

    def messages(self, prompt: str) -> list[Any]:
        return [acme.Message("system", "Be loud."), acme.Message("user", prompt)]

    def call_with_messages(self, messages: list[Any]) -> acme.Reply:
        return acme.Client().complete(messages)

    def objects(self) -> Iterable[Any]:
        return acme.Client(), acme.Client().complete("hello")


def test_a_conversation(spans: Spans) -> None:
    """What a whole conversation looks like, to the letter."""
    acme.Client("acme-2").complete([acme.Message("system", "Be loud."), acme.Message("user", "hello")], temperature=0.5)
    assert spans.tree() == [
        {
            "name": "chat acme-2",
            "kind": "client",
            "status": "ok",
            "attributes": {
                "openinference.span.kind": "LLM",
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "acme",
                "gen_ai.system": "acme",
                "gen_ai.request.model": "acme-2",
                "gen_ai.request.temperature": 0.5,
                "gen_ai.response.model": "acme-2",
                "gen_ai.usage.input_tokens": 1,
                "gen_ai.usage.output_tokens": 1,
                "gen_ai.input.messages": [
                    {"role": "system", "parts": [{"type": "text", "content": "Be loud."}]},
                    {"role": "user", "parts": [{"type": "text", "content": "hello"}]},
                ],
                "gen_ai.output.messages": [
                    {"role": "assistant", "parts": [{"type": "text", "content": "HELLO"}], "finish_reason": "stop"}
                ],
            },
        }
    ]
