"""Asks a served program, in a process of its own: `python serving_load.py PLAN`, which is JSON; it prints JSON.

PLAN: port; seconds; concurrency: so many requests are under way at any time; or rate: so many begin each second,
however long they take. What it prints: for each answer that came while it was measured, the milliseconds to the first
piece and to the end; how many answers came in all, and how many were none. When the time is over no new ones are asked,
and it ends when those under way have been answered.

A connection is kept and used again. Answers are read, and not parsed beyond their beginning and their end.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from dataclasses import dataclass, field
from typing import Any

import workload

#: Some 300 tokens, as a question with what was retrieved for it has.
ASKED = f"{workload.PROMPT_MARK} {workload.PASSAGES[:1200]} {workload.ASKED}"
#: Seconds that answers under way have when the time is over.
PATIENCE = 30.0
_END, _TAIL = b"0\r\n\r\n", 64


def request(number: int) -> bytes:
    """One question; each belongs to a session of its own."""
    body = json.dumps({"question": ASKED, "session_id": f"session-{number}"}).encode()
    head = f"POST /chat HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\nx-user-id: user-{number % 100}\r\nx-request-id: request-{number}\r\n\r\n".encode() + body


@dataclass
class Found:
    """What was measured.

    Attributes:
        first: Milliseconds to the first piece of each answer.
        whole: Milliseconds to the end of each answer.
        answered: All that were answered, those after the end of the time included.
        failed: Answers that were none.
    """

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    answered: int = 0
    failed: int = 0


class Asking(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._begun = 0.0
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self) -> None:
        """Sends the next question."""
        self._reset()
        self._load.under_way += 1
        self._begun = self._load.now()
        self._transport.write(request(next(self._load.numbers)))

    def data_received(self, data: bytes) -> None:
        if not self._is_begun:
            self._is_good = data.startswith(b"HTTP/1.1 200")
        self._is_begun = True
        self._tail = (self._tail + data)[-_TAIL:]
        if self._first is None and b"data: " in data:
            self._first = self._load.now()
        if self._tail.endswith(_END):
            is_good = self._is_good and b"[DONE]" in self._tail
            self._load.answered(self, self._begun, self._first if is_good else None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._load.is_over:
            self._load.broken(self)

    def close(self) -> None:
        self._transport.close()

    def _reset(self) -> None:
        self._first: float | None = None
        self._tail = b""
        self._is_begun = False
        self._is_good = False


class Load:
    """The requests of one plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._idle: list[Asking] = []
        self._end = 0.0
        self.now = self._loop.time
        self.numbers = itertools.count()
        self.under_way = 0
        self.is_over = False
        self.found = Found()

    async def run(self) -> None:
        """Asks until the time is over."""
        began = self.now()
        self._end = began + self._plan["seconds"]
        if self._plan.get("concurrency"):
            for _ in range(self._plan["concurrency"]):
                (await self._connect()).ask()
            await asyncio.sleep(self._end - self.now())
        else:
            for number in range(int(self._plan["rate"] * self._plan["seconds"])):
                await asyncio.sleep(max(0.0, began + number / self._plan["rate"] - self.now()))
                (self._idle.pop() if self._idle else await self._connect()).ask()
            await asyncio.sleep(self._end - self.now())
        while self.under_way and self.now() < self._end + PATIENCE:
            await asyncio.sleep(0.01)
        self.is_over = True
        self.found.failed += self.under_way

    def answered(self, asking: Asking, begun: float, first: float | None) -> None:
        """One answer has come to its end; `first` is None where it was none."""
        now = self.now()
        self.under_way -= 1
        if first is None:
            self.found.failed += 1
            return
        self.found.answered += 1
        if now <= self._end:
            self.found.first.append(1000 * (first - begun))
            self.found.whole.append(1000 * (now - begun))
        if self._plan.get("concurrency"):
            if now < self._end:
                asking.ask()
        else:
            self._idle.append(asking)

    def broken(self, asking: Asking) -> None:
        """A connection was closed."""
        if asking in self._idle:
            self._idle.remove(asking)
        else:
            self.under_way -= 1
            self.found.failed += 1

    async def _connect(self) -> Asking:
        _, asking = await self._loop.create_connection(lambda: Asking(self), "127.0.0.1", self._plan["port"])
        return asking


async def main() -> None:
    """Runs the plan and prints what was found."""
    load = Load(json.loads(sys.argv[1]))
    await load.run()
    found = load.found
    print(json.dumps(found.__dict__))


if __name__ == "__main__":
    asyncio.run(main())
