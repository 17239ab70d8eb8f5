"""The calls. `work` is what a call does on its way: it looks around, calls on, or raises."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

Work = Callable[[], Any]


@dataclass
class Reply:
    """What comes back."""

    text: str
    model: str = "acme-1-large"
    tokens_in: int = 10
    tokens_out: int = 5


class Stream:
    """Words as they come."""

    def __init__(self, iterator: Iterator[str]) -> None:
        self._iterator = iterator
        self.is_closed = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._iterator)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the connection."""
        self.is_closed = True


class AsyncStream:
    """Words as they come, to be awaited."""

    def __init__(self, iterator: AsyncIterator[str]) -> None:
        self._iterator = iterator
        self.is_closed = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        return await self._iterator.__anext__()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of the connection."""
        self.is_closed = True


def _nothing() -> None:
    pass


def _words(prompt: str, work: Work) -> Iterator[str]:
    for word in prompt.split():
        work()
        yield word


async def _async_words(prompt: str, work: Work) -> AsyncIterator[str]:
    for word in prompt.split():
        result = work()
        if hasattr(result, "__await__"):
            await result
        yield word


class Client:
    """The framework's client."""

    def complete(self, prompt: str, model: str = "acme-1", *, work: Work = _nothing) -> Reply:
        """Answers.

        Args:
            prompt: The question.
        """
        work()
        return Reply(prompt.upper())

    async def complete_async(self, prompt: str, model: str = "acme-1", *, work: Work = _nothing) -> Reply:
        """Answers when awaited."""
        result = work()
        if hasattr(result, "__await__"):
            await result
        return Reply(prompt.upper())

    def later(self, prompt: str, *, work: Work = _nothing) -> Coroutine[Any, Any, Reply]:
        """A plain function that returns a coroutine."""
        return self._later(prompt, work)

    async def _later(self, prompt: str, work: Work) -> Reply:
        work()
        return Reply(prompt.upper())

    def words(self, prompt: str, *, work: Work = _nothing) -> Generator[str, str | None, str]:
        """A generator: what is sent comes back as a word, what is thrown too, and it returns the prompt."""
        for word in prompt.split():
            work()
            try:
                sent = yield word
            except LookupError as error:
                sent = type(error).__name__
            while sent is not None:
                sent = yield f"sent {sent}"
        return prompt

    async def words_async(self, prompt: str, *, work: Work = _nothing) -> AsyncGenerator[str, str | None]:
        """An asynchronous generator: what is sent comes back as a word, what is thrown too."""
        for word in prompt.split():
            result = work()
            if hasattr(result, "__await__"):
                await result
            try:
                sent = yield word
            except LookupError as error:
                sent = type(error).__name__
            while sent is not None:
                sent = yield f"sent {sent}"

    def stream(self, prompt: str, *, work: Work = _nothing) -> Stream:
        """A stream object."""
        return Stream(_words(prompt, work))

    async def stream_async(self, prompt: str, *, work: Work = _nothing) -> AsyncStream:
        """An asynchronous stream object."""
        return AsyncStream(_async_words(prompt, work))

    def batch(self, prompts: Iterable[str]) -> list[Reply]:
        """Answers several, in threads."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(self.complete, prompts))

    def search(self, prompt: str, *, work: Work = _nothing) -> list[str]:
        """No model is asked."""
        work()
        return [prompt]

    def retry(self, attempt: int) -> None:
        """Called by a call that tries again."""

    @staticmethod
    def measure(prompt: str) -> Reply:
        """A static method."""
        return Reply(str(len(prompt)))

    @classmethod
    def quick(cls, prompt: str) -> Reply:
        """A class method."""
        return Reply(f"{cls.__name__} {prompt}")


class Loud(Client):
    """Inherits everything."""


def complete(prompt: str) -> Reply:
    """A plain function."""
    return Reply(prompt.upper())
