"""The client, its replies, its streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass


class AcmeError(Exception):
    """The model could not be asked."""


@dataclass
class Message:
    """One turn of a conversation."""

    role: str
    text: str


@dataclass
class Reply:
    """A whole answer; tokens are what Acme bills."""

    model: str
    text: str
    tokens_in: int
    tokens_out: int


@dataclass
class Chunk:
    """A piece of an answer; the tokens are those of all pieces up to this one."""

    model: str
    text: str
    tokens_in: int
    tokens_out: int


class Stream:
    """The pieces of an answer, as they come."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the answer."""
        self._chunks = iter(())


class AsyncStream:
    """The same, to be awaited."""

    def __init__(self, chunks: AsyncGenerator[Chunk, None]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        return await self._chunks.__anext__()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stops the answer."""
        await self._chunks.aclose()


Messages = str | Iterable[Message]


class Client:
    """Asks the model."""

    def __init__(self, model: str = "acme-1") -> None:
        self.model = model

    def complete(self, messages: Messages, *, temperature: float = 1.0) -> Reply:
        """The answer.

        Raises:
            AcmeError: The last message is "fail".
        """
        return _reply(self.model, _last(messages))

    def stream(self, messages: Messages, *, temperature: float = 1.0) -> Stream:
        """The answer, word by word.

        Raises:
            AcmeError: After the first word, where the last message is "break" and more.
        """
        return Stream(_chunks(self.model, _last(messages)))


class AsyncClient:
    """Asks the model without blocking."""

    def __init__(self, model: str = "acme-1") -> None:
        self.model = model

    async def complete(self, messages: Messages, *, temperature: float = 1.0) -> Reply:
        """The answer."""
        last = _last(messages)
        await asyncio.sleep(0.001)
        return _reply(self.model, last)

    async def stream(self, messages: Messages, *, temperature: float = 1.0) -> AsyncStream:
        """The answer, word by word."""
        return AsyncStream(_async_chunks(self.model, _last(messages)))


def _last(messages: Messages) -> str:
    return messages if isinstance(messages, str) else list(messages)[-1].text


def _reply(model: str, asked: str) -> Reply:
    if asked.startswith("fail"):
        raise AcmeError(f"cannot answer {asked!r}")
    return Reply(model, asked.upper(), len(asked.split()), len(asked.split()))


def _chunks(model: str, asked: str) -> Iterator[Chunk]:
    words = asked.upper().split()
    for count, word in enumerate(words, 1):
        if count == 2 and asked.startswith("break"):
            raise AcmeError("the line broke")
        yield Chunk(model, word if count == 1 else f" {word}", len(words), count)


async def _async_chunks(model: str, asked: str) -> AsyncGenerator[Chunk, None]:
    for chunk in _chunks(model, asked):
        await asyncio.sleep(0)
        yield chunk
