"""A model in a process of its own that streams the same answer to everybody: CHUNKS chunks, GAP seconds apart.

It prints its port. It is made to take as little of the processor as it can: the bytes are ready, one clock serves all
streams, and a request is not parsed beyond its end.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import workload

GAP = 0.005
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"x-request-id: req-bench\r\n\r\n"
)


def pieces() -> list[bytes]:
    """What is sent at each tick of the clock: the first has the head, the last the usage and the end."""
    events = [event + b"\n\n" for event in workload.event_stream().split(b"\n\n") if event]
    sent = [_chunk(event) for event in events]
    # The role comes with the first piece, the finish, the usage and the end with the last, as servers do it.
    first, *middle = sent[: workload.CHUNKS]
    return [_HEAD + first, *middle[:-1], b"".join([middle[-1], *sent[workload.CHUNKS :]]) + b"0\r\n\r\n"]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Model(asyncio.Protocol):
    """One connection; a request is answered when its body is there."""

    #: Those that are being answered, and the number of the piece that each is sent next.
    streams: ClassVar[dict[Model, int]] = {}

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._received = body[length:]
            self.streams[self] = 0

    def connection_lost(self, error: Exception | None) -> None:
        self.streams.pop(self, None)


async def tick(streams: dict[Model, int], sent: list[bytes]) -> None:
    """Sends each stream its next piece, every GAP seconds."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        for model, number in list(streams.items()):
            model.transport.write(sent[number])
            if number + 1 < len(sent):
                streams[model] = number + 1
            else:
                streams.pop(model, None)
        # A clock that is late does not hurry to catch up: pieces would come at once.
        due = max(due + GAP, loop.time())
        await asyncio.sleep(due - loop.time())


async def main() -> None:
    """Serves until it is killed."""
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await tick(Model.streams, pieces())


if __name__ == "__main__":
    asyncio.run(main())
