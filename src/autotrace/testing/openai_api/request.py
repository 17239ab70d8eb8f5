"""A request as it arrived, what became of it, and how its path and its body are read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from autotrace.testing.openai_api.ask import JSON
from autotrace.testing.openai_api.billing import Billed


@dataclass(slots=True)
class Outcome:
    status: int | None = None
    billed: Billed = field(default_factory=Billed)
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request that arrived, and what became of it.

    Attributes:
        method: HTTP method.
        path: Path without query, as sent.
        query: The query's parameters.
        headers: By lower-case name.
        body: Parsed JSON; raw bytes if it is no JSON, such as a form; None without a body.
        finished: Set once the reply is sent, or given up.
        disconnected: Set once the client's connection is closed, by either side.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    finished: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    disconnected: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    _outcome: Outcome = field(default_factory=Outcome)

    @property
    def status(self) -> int | None:
        """The HTTP status sent; None before, or if the connection was dropped."""
        return self._outcome.status

    @property
    def billed(self) -> Billed:
        """What this request was billed so far."""
        return self._outcome.billed

    @property
    def aborted(self) -> bool:
        """Whether the client hung up while something was left to send. Final once `finished` is set."""
        return self._outcome.aborted


def parsed(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def endpoint_of(path: str) -> tuple[str, str | None]:
    """The part of a path that names the endpoint, and Azure's deployment if it names one."""
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["openai", "deployments"] and len(parts) > 3:
        return "/".join(parts[3:]), parts[2]
    for prefix in (["openai", "v1"], ["openai"], ["v1"]):
        if parts[: len(prefix)] == prefix:
            return "/".join(parts[len(prefix) :]), None
    return "/".join(parts), None


def form(body: bytes, boundary: str) -> JSON:
    """The fields of a multipart form: texts, and each file as its name and its size in bytes."""
    members: JSON = {}
    for name, filename, content in _parts(body, boundary):
        members[name] = content.decode("utf-8", "replace") if filename is None else [filename, len(content)]
    return members


def _parts(body: bytes, boundary: str) -> Iterator[tuple[str, str | None, bytes]]:
    for part in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        names = {}
        for attribute in head.decode("utf-8", "replace").replace("\r\n", ";").split(";"):
            key, _, value = attribute.strip().partition("=")
            names[key] = value.strip('"')
        yield names.get("name", ""), names.get("filename"), content.removesuffix(b"\r\n")
