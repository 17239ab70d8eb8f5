"""A request as it arrived, without its credentials."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_SECRET_ENDINGS = ("authorization", "api-key", "cookie", "token", "secret", "subscription-key")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that arrived.

    Attributes:
        method: HTTP method, in capitals.
        path: Path without query, percent-decoded.
        query: The query's parameters, in their order.
        headers: By lower-case name; credentials read `***`.
        body: As sent; empty without one.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed; None if it is no JSON."""
        return parsed(self.body)

    def __str__(self) -> str:
        return described(self.method, self.path, self.query)


def received(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
    path, query = split(target)
    shown = {name.lower(): _shown(name.lower(), value) for name, value in headers}
    return Request(method.upper(), path, query, shown, body)


def split(target: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Path and parameters of a URL or of a request's target.

    Raises:
        ValueError: It is no URL.
    """
    parts = urlsplit(target)
    return unquote(parts.path) or "/", tuple(parse_qsl(parts.query, keep_blank_values=True))


def parsed(body: bytes) -> Any:
    """The JSON in a body; None if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def described(method: str, path: str, query: Iterable[tuple[str, str]] | None) -> str:
    parameters = "&".join(f"{name}={value}" for name, value in query or ())
    return f"{method} {path}" + (f"?{parameters}" if parameters else "")


def _shown(name: str, value: str) -> str:
    return "***" if name.endswith(_SECRET_ENDINGS) else value
