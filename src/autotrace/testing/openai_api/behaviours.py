"""How the server can be told to behave."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


class Behaviour:
    """What the script can ask for."""


@dataclass(frozen=True, slots=True)
class Status(Behaviour):
    """An HTTP error in OpenAI's shape.

    Args:
        status: 400, 401, 404, 429, 500, ...
        message: The error's message.
        retry_after: Seconds for `retry-after` and `retry-after-ms`; 0 becomes 1 ms in the latter, for clients
            take 0 as no advice and wait half a second.
    """

    status: int
    message: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Literal(Behaviour):
    """This very reply; it bills nothing."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Malformed(Behaviour):
    """A JSON body that breaks off, of the right length for HTTP."""


class Surprise(Behaviour):
    """A JSON object of unknown shape."""


class Empty(Behaviour):
    """Status 200 without a body."""


class Drop(Behaviour):
    """The connection is closed before any header."""


@dataclass(frozen=True, slots=True)
class Cut(Behaviour):
    """The connection is closed after this many chunks, or in the middle of a whole body."""

    after: int = 1


@dataclass(frozen=True, slots=True)
class ErrorEvent(Behaviour):
    """After this many chunks the stream ends with an error event."""

    after: int = 1
    message: str = "The server had an error while processing your request."


@dataclass(frozen=True, slots=True)
class BrokenEvent(Behaviour):
    """After this many chunks comes an event whose data is no JSON; the stream then goes on."""

    after: int = 1


class RunningUsage(Behaviour):
    """Chat and text streams carry usage so far on every chunk, as DeepSeek's do; no chunk is added for it."""


class Gzip(Behaviour):
    """The body, whole or streamed, is sent with `content-encoding: gzip`."""


@dataclass(frozen=True, slots=True)
class Chunks(Behaviour):
    """The stream's length.

    Args:
        count: Chunks per choice of a chat or text stream, all but the one with usage (a chat has at least 3);
            text deltas of a response or of a transcription.
    """

    count: int


@dataclass(frozen=True, slots=True)
class Text(Behaviour):
    """The text of the answer."""

    text: str


class Huge(Text):
    """An answer of this many bytes."""

    def __init__(self, size: int) -> None:
        super().__init__("x" * size)


class LoneSurrogate(Text):
    r"""An answer with half a pair, escaped as \ud83d in the JSON."""

    def __init__(self) -> None:
        super().__init__("half a face \ud83d here")


class Hang(Behaviour):
    """The server waits after this many chunks, or before a whole reply, until released or the client is gone.

    Attributes:
        reached: Set once the server waits.
        released: Setting it lets the server go on; `stop()` does so too.
    """

    def __init__(self, after: int = 0) -> None:
        self.after = after
        self.reached = threading.Event()
        self.released = threading.Event()

    def release(self) -> None:
        """Let the server go on."""
        self.released.set()
