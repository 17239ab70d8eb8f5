"""A worker that runs jobs in every way that there is, and keeps what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

stored: dict[str, Any] = {}
sent: list[tuple[Any, Mapping[str, str]]] = []


class Job(NamedTuple):
    """A job: its id, what does it, and what was sent along."""

    id: str
    work: Callable[[], Any]
    headers: Mapping[str, str] = {}


class Handler(NamedTuple):
    """What is called for a job, and something beside."""

    run: Callable[..., Any]
    number: int


class Worker:
    """Runs jobs."""

    def run(self, job: Job) -> Any:
        """At once."""
        return job.work()

    async def later(self, job: Job) -> Any:
        """When it is awaited."""
        await asyncio.sleep(0)
        result = job.work()
        return await result if asyncio.iscoroutine(result) else result

    def pieces(self, job: Job) -> Iterator[Any]:
        """In pieces."""
        yield "first"
        yield job.work()
        return

    async def pieces_later(self, job: Job) -> AsyncIterator[Any]:
        """In pieces that are awaited."""
        yield "first"
        await asyncio.sleep(0)
        yield job.work()

    def soon(self, job: Job) -> Future[Any]:
        """Into a future."""
        found: Future[Any] = Future()
        try:
            found.set_result(job.work())
        except Exception as error:
            found.set_exception(error)
        return found

    def keep(self, job: Job) -> None:
        """And stores what came of it."""
        store(job.id, job.work())

    def handler(self, name: str) -> Callable[[Job], Any]:
        """A function that runs jobs."""

        return _handler(name)

    def found(self, name: str) -> Handler:
        """A function that runs jobs, and something beside."""
        return Handler(_handler(name), 7)


def handed(number: int, run: Callable[[Job], Any], job: Job) -> tuple[int, Any]:
    """Runs a job by the function that is given."""
    return number, run(job)


def _handler(name: str) -> Callable[[Job], Any]:
    def handle(job: Job) -> Any:
        """Runs one."""
        return job.work()

    handle.name = name  # type: ignore[attr-defined]
    return handle


def store(id: str, result: Any) -> None:  # noqa: A002
    """Keeps a result: whoever waits for it is told."""
    stored[id] = result


def send(work: Any, headers: Mapping[str, str] | None = None) -> None:
    """Sends a job to another process."""
    sent.append((work, headers or {}))
