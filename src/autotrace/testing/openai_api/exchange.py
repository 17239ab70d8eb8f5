"""One request and its reply on the wire, spoilt as the script wants it."""

from __future__ import annotations

import dataclasses
import gzip
import math
import socket
import zlib
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, TypeVar

from autotrace.testing.loopback import HungUpError, chunk, head, is_gone, wait_for
from autotrace.testing.openai_api.ask import JSON, Ask, Wanted
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
    Literal,
    Malformed,
    RunningUsage,
    Status,
    Surprise,
    Text,
)
from autotrace.testing.openai_api.endpoints import reply_to
from autotrace.testing.openai_api.reply import SSE, Reply, encode, error, event
from autotrace.testing.openai_api.request import Request, endpoint_of, form

if TYPE_CHECKING:
    from autotrace.testing.openai_api.server import OpenAIServer

_Wish = TypeVar("_Wish", bound=Behaviour)


class Exchange:
    """One request and its reply on the wire."""

    def __init__(
        self,
        owner: OpenAIServer,
        connection: socket.socket,
        request: Request,
        number: int,
        wishes: tuple[Behaviour, ...],
    ) -> None:
        self.owner = owner
        self.connection = connection
        self.request = request
        self.number = number
        self.wishes = wishes

    def _wish(self, kind: type[_Wish]) -> _Wish | None:
        """The script's behaviour of this kind, if it wants one."""
        return next((wish for wish in self.wishes if isinstance(wish, kind)), None)

    def answer(self) -> bool:
        """Send the reply; whether the connection must be closed after it.

        Raises:
            HungUpError: The client is gone.
            ConnectionError: The client is gone.
        """
        if self._wish(Drop):
            return True
        reply, headers = self._reply()
        self.request._outcome.status = reply.status
        if reply.chunks is None:
            return self._send_whole(reply, headers)
        return self._send_chunks(reply, reply.chunks, headers)

    def _reply(self) -> tuple[Reply, dict[str, str]]:
        """The reply as the script wants it, and its additional headers."""
        status, literal = self._wish(Status), self._wish(Literal)
        if status:
            return _refused(status)
        if literal:
            named = {name.lower(): value for name, value in literal.headers.items()}
            kind = named.pop("content-type", "application/json")
            return Reply(literal.body, content_type=kind, status=literal.status), named
        if self._wish(Surprise):
            return Reply(encode({"surprise": True})), {}
        if self._wish(Empty):
            return Reply(), {}
        reply = self._normal_reply()
        if self._wish(Malformed):
            body = reply.body or b"".join(reply.chunks or ())
            return Reply(body[: len(body) // 2]), {}
        return reply, {}

    def _normal_reply(self) -> Reply:
        endpoint, deployment = endpoint_of(self.request.path)
        if endpoint == "billed":
            return Reply(encode(dataclasses.asdict(self.owner.billed)))
        body = self._fields()
        if body is None:
            return error(400, "We could not parse the JSON body of your request.")
        if deployment is not None:
            body = {"model": deployment, **body}
        text, chunks = self._wish(Text), self._wish(Chunks)
        wanted = Wanted(
            text=text.text if text else None,
            chunks=chunks.count if chunks else None,
            running_usage=self._wish(RunningUsage) is not None,
        )
        return reply_to(Ask(self.request.method, endpoint, body, wanted, self.owner._stored))

    def _fields(self) -> JSON | None:
        """The request's parameters; None if they cannot be read."""
        body = self.request.body
        if isinstance(body, dict):
            return body
        if body is None:
            return dict(self.request.query)
        kind = self.request.headers.get("content-type", "")
        if isinstance(body, bytes) and kind.startswith("multipart/form-data"):
            return form(body, kind.partition("boundary=")[2].strip('"'))
        return None

    def _send_whole(self, reply: Reply, headers: Mapping[str, str]) -> bool:
        hang = self._wish(Hang)
        if hang:
            self._wait(hang)
        body = reply.body
        if self._wish(Gzip):
            body = gzip.compress(body, mtime=0)
        start = self._head(reply, {"content-length": str(len(body)), **headers})
        if self._wish(Cut):
            self.connection.sendall(start + body[: len(body) // 2])
            return True
        self.request._outcome.billed = reply.billed
        self.connection.sendall(start + body)
        return False

    def _send_chunks(self, reply: Reply, chunks: Sequence[bytes], headers: Mapping[str, str]) -> bool:
        """Send chunk by chunk; before each one the client may be found gone."""
        frames, complete = self._frames(list(chunks), reply.content_type == SSE)
        pack = zlib.compressobj(wbits=31) if self._wish(Gzip) else None
        hang, cut = self._wish(Hang), self._wish(Cut)
        outcome = self.request._outcome
        try:
            self.connection.sendall(self._head(reply, {"transfer-encoding": "chunked", **headers}))
            for number, frame in enumerate(frames):
                last = number == len(frames) - 1
                if cut and number >= cut.after:
                    return True
                if hang and number == hang.after:
                    self._wait(hang)
                if is_gone(self.connection):
                    raise HungUpError
                if last and complete:
                    outcome.billed = reply.billed
                # The end of the body goes with the last chunk: a client that leaves there has had it all.
                self.connection.sendall(_packed(frame, pack, last))
        except (HungUpError, ConnectionError):
            outcome.billed = reply.billed
            raise
        return False

    def _frames(self, frames: list[bytes], events: bool) -> tuple[list[bytes], bool]:
        """The chunks with what the script adds; whether they still are the whole answer."""
        failure, broken = self._wish(ErrorEvent), self._wish(BrokenEvent)
        if broken and events:
            frames.insert(broken.after, b'data: {"id": "broken", \n\n')
        if failure and events:
            return [*frames[: failure.after], self._failure(failure)], False
        return frames, True

    def _failure(self, failure: ErrorEvent) -> bytes:
        """The error event as this endpoint sends it."""
        value = {"type": "server_error", "code": "server_error", "message": failure.message, "param": None}
        if endpoint_of(self.request.path)[0].startswith("responses"):
            return event({**value, "type": "error", "sequence_number": failure.after}, "error")
        return event({"error": value})

    def _head(self, reply: Reply, headers: Mapping[str, str]) -> bytes:
        phrase = BaseHTTPRequestHandler.responses.get(reply.status, ("Unknown", ""))[0]
        members = {
            "content-type": reply.content_type,
            "x-request-id": f"req_{self.number:032x}",
            "openai-organization": "autotrace-tests",
            "openai-processing-ms": "7",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "1999000",
            "x-ratelimit-reset-requests": "6ms",
            "x-ratelimit-reset-tokens": "30ms",
            **({"content-encoding": "gzip"} if self._wish(Gzip) else {}),
            **headers,
        }
        return head(reply.status, phrase, members.items())

    def _wait(self, hang: Hang) -> None:
        hang.reached.set()
        wait_for(hang.released, self.connection)


def _refused(wish: Status) -> tuple[Reply, dict[str, str]]:
    """OpenAI's type and code for a status, and its advice when to retry."""
    kinds = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }
    kind, code = kinds.get(wish.status, ("server_error", None))
    headers = {}
    if wish.retry_after is not None:
        headers["retry-after"] = str(math.ceil(wish.retry_after))
        headers["retry-after-ms"] = str(max(round(wish.retry_after * 1000), 1))
    return error(wish.status, wish.message or f"Scripted error {wish.status}.", kind=kind, code=code), headers


def _packed(frame: bytes, pack: zlib._Compress | None, last: bool) -> bytes:
    """A chunk in HTTP's chunked coding, and the end of the body after the last one."""
    if pack is not None:
        frame = pack.compress(frame) + pack.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    return chunk(frame, last)
