"""Follows the body of an HTTP response that the user reads at leisure (`with_streaming_response`, raw streams).

The body is never read for the user: the bytes that he reads are noted as they pass, and the span ends when the
body is exhausted or closed. Works for any response shaped like httpx's: its `stream` is iterated and closed.
"""

from __future__ import annotations

import functools
import zlib
from typing import Any, cast

import orjson

from .guard import guard
from .streams import Pieces

#: Bytes of a body that are noted; a longer one (a sound file) is told by its size alone.
LIMIT = 16_000_000
#: How a stream of events ends whose server says that nothing follows.
_LAST_EVENTS = (b"data: [DONE]\n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE]\n", b"data: [DONE]")


class Body:
    """What has been read of one response's body.

    Attributes:
        size: Bytes that have passed, as sent (compressed or not).
    """

    def __init__(self, response: Any, pieces: Pieces) -> None:
        self._headers = response.headers
        self._pieces = pieces
        self._chunks: list[bytes] = []
        self.size = 0
        self._is_text = _is_text(self._headers)

    def passed(self, chunk: bytes) -> None:
        """Notes bytes that the user has read."""
        if self.size == 0:
            self._pieces.first()
        self.size += len(chunk)
        if self._is_text and self.size <= LIMIT:
            self._chunks.append(chunk)

    def end(self, outcome: str | None = None, error: BaseException | None = None) -> None:
        """Ends the operation with what the bytes say."""
        pieces = self._pieces
        if not pieces.operation.is_open:
            return
        try:
            if self.size <= LIMIT:
                data = _inflated(b"".join(self._chunks), self._headers)
                fill(pieces, data, self._headers)
                if outcome == "closed" and data.endswith(_LAST_EVENTS):
                    outcome = None  # a client that has met the last event need not read on to the end
        except Exception as problem:  # noqa: BLE001 (bytes of any shape)
            guard.report("response body", problem)
        self._chunks = []
        pieces.end(outcome, error)

    def __del__(self) -> None:
        try:
            self.end("abandoned")
        except Exception as error:  # noqa: BLE001 (the interpreter may be half gone)
            guard.report("end of an abandoned body", error)


def fill(pieces: Pieces, data: bytes, headers: Any) -> None:
    """Gives `pieces` what a body, already unpacked, holds: the events of a stream, or the one reply."""
    pieces.items = decoded(data, headers)
    pieces.is_whole = not _is_event_stream(headers)


def decoded(data: bytes, headers: Any) -> list[Any]:
    """The JSON values in an unpacked body: one for JSON, one an event for an event stream, none for anything else.

    A body that was cut off gives the whole events that it holds.
    """
    if not data or not _is_text(headers):
        return []
    if not _is_event_stream(headers):
        try:
            return [orjson.loads(data)]
        except ValueError:
            return []
    found = []
    for line in data.splitlines():
        if line.startswith(b"data:"):
            try:
                found.append(orjson.loads(line[5:]))
            except ValueError:  # [DONE], or cut off
                continue
    return found


def _is_event_stream(headers: Any) -> bool:
    return "event-stream" in str(headers.get("content-type", ""))


def _is_text(headers: Any) -> bool:
    kind = str(headers.get("content-type", ""))
    return "json" in kind or "event-stream" in kind


def _inflated(data: bytes, headers: Any) -> bytes:
    """`data` without its content encoding; what needs more than the standard library stays unread."""
    encoding = str(headers.get("content-encoding", "")).strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding in ("gzip", "deflate"):
        unpack = zlib.decompressobj(47 if encoding == "gzip" else 15)
        return unpack.decompress(data)
    return b""


def follow(response: Any, pieces: Pieces) -> None:
    """Follows the body of `response` from here on."""
    body = Body(response, pieces)
    response.stream = _follower(cast(Any, type(response.stream)))(response.stream, body)


@functools.lru_cache(maxsize=64)
def _follower(kind: Any) -> type:
    """A class like `kind` (clients check what they iterate with isinstance) whose instances report to a Body."""

    def __init__(self: Any, source: Any, body: Body) -> None:  # noqa: N807
        vars(self)["_autotrace"] = (source, body)

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807
        return getattr(vars(self)["_autotrace"][0], name)

    def __iter__(self: Any) -> Any:  # noqa: N807
        source, body = vars(self)["_autotrace"]
        try:
            for chunk in source:
                body.passed(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            body.end(error=error)
            raise
        body.end()

    def close(self: Any) -> None:
        source, body = vars(self)["_autotrace"]
        try:
            source.close()
        finally:
            body.end("closed")

    async def __aiter__(self: Any) -> Any:  # noqa: N807
        source, body = vars(self)["_autotrace"]
        try:
            async for chunk in source:
                body.passed(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            body.end(error=error)
            raise
        body.end()

    async def aclose(self: Any) -> None:
        source, body = vars(self)["_autotrace"]
        try:
            await source.aclose()
        finally:
            body.end("closed")

    members: dict[str, Any] = {"__init__": __init__, "__getattr__": __getattr__}
    if hasattr(kind, "__iter__"):
        members |= {"__iter__": __iter__, "close": close}
    if hasattr(kind, "__aiter__"):
        members |= {"__aiter__": __aiter__, "aclose": aclose}
    return type(kind.__name__, (kind,), members)
