"""One reply on the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from autotrace.testing.loopback import chunk, head, wait_for
from autotrace.testing.replay.cassette import Reply


@dataclass(frozen=True, slots=True)
class Hold:
    """Where a stream waits, and the events that tell that it does and let it go on."""

    after: int
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


def send_whole(connection: socket.socket, reply: Reply, has_body: bool) -> None:
    """Send a reply at once; `has_body` is False for what answers HEAD."""
    if reply.status in (204, 304):
        connection.sendall(head(reply.status, reply.message, reply.headers))
        return
    start = head(reply.status, reply.message, [*reply.headers, ("content-length", str(len(reply.body)))])
    connection.sendall(start + reply.body if has_body else start)


def send_events(
    connection: socket.socket, reply: Reply, events: Sequence[bytes], cut: int | None, hold: Hold | None
) -> bool:
    """Send a stream event by event; whether its end was sent, so that the connection can go on.

    Args:
        connection: To the client.
        reply: Its head is sent.
        events: The pieces of the body.
        cut: How many events come before the connection is dropped; None drops it never.
        hold: Where the stream waits; it comes before a cut at the same place.

    Raises:
        HungUpError: The client is gone.
        ConnectionError: The client is gone.
    """
    end = len(events)
    cut = None if cut is None else min(cut, end)
    held = None if hold is None else min(hold.after, end)
    connection.sendall(head(reply.status, reply.message, [*reply.headers, ("transfer-encoding", "chunked")]))
    for number in range(end + 1):
        if hold is not None and number == held:
            hold.reached.set()
            wait_for(hold.released, connection)
        if number == cut:
            return False
        if number < end:
            # The end goes with the last event: a client that stops reading there can use the connection again.
            connection.sendall(chunk(events[number], last=number == end - 1 and end not in (cut, held)))
    if not end or held == end:
        connection.sendall(b"0\r\n\r\n")
    return True
