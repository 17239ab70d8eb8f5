"""An OpenAI-compatible server on loopback that answers deterministically, meters, and misbehaves if told to.

    with OpenAIServer() as server:
        client = openai.OpenAI(base_url=server.url, api_key="sk-test")
        server.script(Status(429, retry_after=0), (Chunks(60), Hang(after=10)))
        ...
        assert server.billed.input_tokens == ...

Each step of the script is for one request, in the order of arrival; a tuple is several behaviours for the
same request. After the script the server behaves normally again.

What is billed, once per request:

- a whole reply with tokens, when it is sent;
- a stream with tokens, in full, as soon as it is generated (before its last chunk is sent) or as soon as the
  client is found to have hung up: what would have been reported, whether or not the client asked for usage;
- a background response, when it is created; reading, polling and cancelling it bill nothing;
- nothing for an error, for a reply that carries no tokens (audio by the second, moderations, models), and for
  what the server spoils itself: a connection that it drops or cuts, a stream that it ends in an error event,
  a body that it replaces. A broken event spoils no stream: it is billed in full.
"""

from __future__ import annotations

import argparse
import contextlib
import threading

from autotrace.testing.openai_api.behaviours import (
    Behaviour,
    BrokenEvent,
    Chunks,
    Cut,
    Drop,
    Empty,
    ErrorEvent,
    Gzip,
    Hang,
    Huge,
    Literal,
    LoneSurrogate,
    Malformed,
    RunningUsage,
    Status,
    Surprise,
    Text,
)
from autotrace.testing.openai_api.billing import Billed
from autotrace.testing.openai_api.request import Request
from autotrace.testing.openai_api.server import OpenAIServer

__all__ = [
    "Behaviour",
    "Billed",
    "BrokenEvent",
    "Chunks",
    "Cut",
    "Drop",
    "Empty",
    "ErrorEvent",
    "Gzip",
    "Hang",
    "Huge",
    "Literal",
    "LoneSurrogate",
    "Malformed",
    "OpenAIServer",
    "Request",
    "RunningUsage",
    "Status",
    "Surprise",
    "Text",
]


def main() -> None:
    """Serve until interrupted, for other processes; `GET /billed` tells them the totals."""
    parser = argparse.ArgumentParser(description="A metering, OpenAI-compatible server on loopback.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    with OpenAIServer(parser.parse_args().port) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
