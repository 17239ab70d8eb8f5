"""Feedback over HTTP, in the served application itself: what is answered to whom, without a server or a protocol.

Whoever can reach the application can reach this. So a request costs little, is taken only if it is right to the
letter (`verdict`), leaves no line in a log, and no answer holds anything of what was sent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ..errors import FeedbackError
from ..recording.guard import guard
from . import verdict
from .token_bucket import TokenBucket, whole_seconds
from .verdict import Refused, Verdict

#: Bytes of a body.
LIMIT = 64 * 1024
#: Seconds for which a browser may remember that it was allowed to ask.
_ALLOWED_S = 600
_Headers = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """What is to be sent back, whole; the names of the headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class _Reply(NamedTuple):
    status: int
    content: Mapping[str, Any] | None
    headers: _Headers = ()


class FeedbackEndpoint:
    """Takes verdicts by POST.

    Args:
        path: Where it is in the application.
        log: `log_feedback`, or what is like it and answers None where nothing is kept.
        trace_of_request: The trace of a request id, or None where it is not known.
        origins: The origins (`https://chat.example.org`, in lower case) whose pages may post from another origin
            than the application's; `*` among them: all.
        rate: Posts a second and process; 0: as many as come.
        clock: Seconds that never go back.

    Attributes:
        limit: Bytes of a body. Who reads it needs to read no more than one byte beyond, and hands that on: a body that
            is longer, or that its `Content-Length` tells to be so, is answered 413 whatever is in it.
    """

    limit = LIMIT

    def __init__(
        self,
        path: str,
        log: Callable[..., str | None],
        trace_of_request: Callable[[str], str | None],
        origins: Collection[str] = (),
        rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._log = log
        self._trace_of_request = trace_of_request
        self._origins = frozenset(origins)
        self._bucket = TokenBucket(rate, clock)

    def is_at(self, path: str) -> bool:
        """Whether a request to this path is for the endpoint."""
        return path == self.path

    def answer(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What a request is answered; by then what it said is in the journal. Never raises.

        Args:
            method: As sent.
            headers: By their names in lower case.
            body: As sent, or more of it than `limit` bytes.
        """
        origin = self._allowed(headers.get("origin"))
        try:
            reply = self._reply(method, headers, body, origin)
        except Refused as refusal:
            reply = _Reply(refusal.status, {"error": refusal.message}, refusal.headers)
        except Exception as error:  # noqa: BLE001 (whatever it is, the application goes on)
            guard.count("feedback endpoint", error)
            reply = _Reply(500, {"error": "feedback cannot be taken now"})
        data = b"" if reply.content is None or method == "HEAD" else json.dumps(reply.content).encode()
        return Answer(reply.status, [*_headers(reply.status, origin, data), *reply.headers], data)

    def _reply(self, method: str, headers: Mapping[str, str], body: bytes, origin: str | None) -> _Reply:
        if method == "OPTIONS" and self._origins and "access-control-request-method" in headers:
            return _preflight(origin)
        if method != "POST":
            methods = "POST, OPTIONS" if self._origins else "POST"
            raise Refused(405, "feedback is taken by POST", (("allow", methods),))
        wait = self._bucket.take()
        if wait:
            raise Refused(429, "there is too much feedback: again later", (("retry-after", str(whole_seconds(wait))),))
        _check_headers(headers)
        if len(body) > self.limit:
            raise _too_large()
        return _Reply(202, {"id": self._take(verdict.read(body))})

    def _take(self, said: Verdict) -> str:
        """Logs a verdict; its id."""
        trace_id = said.trace_id
        if trace_id is None and said.request_id is not None:
            trace_id = self._trace_of_request(said.request_id)
        if trace_id is None:
            raise Refused(404, "no such request is known here: give the trace_id")
        try:
            found = self._log(
                said.value,
                trace_id=trace_id,
                span_id=said.span_id,
                name=said.name,
                comment=said.comment,
                user=said.user,
                metadata=said.metadata,
            )
        except FeedbackError:  # its words may hold what was sent
            raise Refused(422, "this feedback cannot be used") from None
        if found is None:
            raise Refused(503, "feedback is not kept here")
        return found

    def _allowed(self, origin: str | None) -> str | None:
        """What the settings call an origin whose pages may read the answer; None where there is no such."""
        if origin is None or not self._origins:
            return None
        return "*" if "*" in self._origins else next((one for one in self._origins if one == origin.lower()), None)


def _preflight(origin: str | None) -> _Reply:
    """What a browser is told that asks whether a page of another origin may post."""
    if origin is None:
        raise Refused(403, "pages of this origin may not send feedback (feedback_origins)")
    allowed = (
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-max-age", str(_ALLOWED_S)),
    )
    return _Reply(204, None, allowed)


def _headers(status: int, origin: str | None, data: bytes) -> list[tuple[str, str]]:
    found = [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("vary", "Origin")]
    if origin is not None:
        found += [("access-control-allow-origin", origin), ("access-control-expose-headers", "retry-after")]
    if status != 204:
        found += [("content-type", "application/json"), ("content-length", str(len(data)))]
    return found


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuses what is no JSON, or too much of it, by what the headers say.

    The content type is asked for to the letter: a page of another origin can post any other one without being allowed
    to.
    """
    kind, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    if kind != "application/json" or any(one not in ("", "charset=utf-8", 'charset="utf-8"') for one in parameters):
        raise Refused(415, "the content type must be application/json, in UTF-8")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused(415, "the body must not be compressed")
    length = headers.get("content-length", "").strip()
    if length.isascii() and length.isdigit() and (len(length) > 9 or int(length) > LIMIT):
        raise _too_large()


def _too_large() -> Refused:
    return Refused(413, f"the body must not be longer than {LIMIT} bytes")
