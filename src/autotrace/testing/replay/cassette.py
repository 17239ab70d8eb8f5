"""Recordings as files: VCR.py's cassettes, as JSON or YAML, read into interactions."""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from autotrace.testing.replay.events import EVENT_STREAM, encoded, events_of
from autotrace.testing.replay.request import parsed, split

_TRANSFER = {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive"}
_YAML = {".yaml", ".yml"}
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_BODY = ("string", "base64_string", "json", "events")


@dataclass(frozen=True, slots=True)
class Reply:
    """A recorded reply.

    Attributes:
        status: HTTP status.
        message: The phrase that goes with it.
        headers: In their order, without those that describe the transfer.
        body: The whole of it, decoded.
        events: The body in pieces, if it is a stream.
    """

    status: int
    message: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    events: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Interaction:
    """A recorded request and its reply; equal only to itself.

    Attributes:
        method: HTTP method, in capitals.
        path: Percent-decoded.
        query: Sorted; None if the recording has none, and any will do.
        body: The request's JSON; None without one.
        reply: What is sent.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] | None
    body: Any
    reply: Reply


def read(path: str | PathLike[str]) -> list[Interaction]:
    """The interactions of one cassette, or of all cassettes in a folder in the order of their names.

    Raises:
        ValueError: A file cannot be read, or is no cassette: says which, at which interaction, and why.
        ImportError: A YAML file, and PyYAML is not installed.
    """
    path = Path(path)
    if not path.is_dir():
        return list(_interactions(path))
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in {".json", *_YAML})
    if not files:
        raise ValueError(f"{path}: the folder has no *.json, *.yaml or *.yml file")
    return [interaction for file in files for interaction in _interactions(file)]


def _interactions(path: Path) -> Iterator[Interaction]:
    cassette = _loaded(path)
    recorded = cassette.get("interactions") if isinstance(cassette, dict) else None
    if not isinstance(recorded, list):
        raise ValueError(f'{path}: a cassette is {{"version": 1, "interactions": [...]}}; this has no such list')
    for number, entry in enumerate(recorded, 1):
        try:
            yield _interaction(entry)
        except ValueError as error:
            raise ValueError(f"{path}: interaction {number}: {error}") from error


def _loaded(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return _yaml(path, text) if path.suffix.lower() in _YAML else json.loads(text)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be parsed: {error}") from error


def _yaml(path: Path, text: str) -> Any:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        raise ImportError(f"{path}: a YAML cassette needs the package PyYAML: pip install pyyaml") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _interaction(entry: Any) -> Interaction:
    request, response = _member(entry, "request", dict), _member(entry, "response", dict)
    method, uri = _member(request, "method", str), _member(request, "uri", str)
    path, query = split(uri)
    recorded = _bytes(request.get("body"), "")[0]
    return Interaction(
        method=method.upper(),
        path=path,
        query=tuple(sorted(query)) or None,
        body=parsed(recorded),
        reply=_reply(response, is_sse=("alt", "sse") in query),
    )


def _reply(response: dict[str, Any], is_sse: bool) -> Reply:
    status = _member(response, "status", dict)
    code, message = status.get("code"), status.get("message") or ""
    if isinstance(code, bool) or not isinstance(code, int) or not 200 <= code <= 599:
        raise ValueError(f'the status needs a "code" from 200 to 599, not {code!r}')
    headers = list(_headers(response.get("headers") or {}))
    kind = _first(headers, "content-type").lower()
    body, default = _bytes(response.get("body"), kind)
    if "gzip" in _first(headers, "content-encoding").lower() and body.startswith(b"\x1f\x8b"):
        body = _unpacked(body)
    if not kind and default:
        headers.append(("content-type", default))
    sent = tuple((name, value) for name, value in headers if name.lower() not in _TRANSFER)
    return Reply(code, _line("message", message), sent, body, events_of(body, kind or default, is_sse))


def _member(mapping: Any, name: str, kind: type) -> Any:
    value = mapping.get(name) if isinstance(mapping, dict) else None
    if not isinstance(value, kind):
        wanted = "a text" if kind is str else "an object"
        raise ValueError(f'"{name}" must be {wanted}, not {value!r}')
    return value


def _headers(headers: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(headers, dict):
        raise ValueError(f'"headers" must be an object, not {headers!r}')
    for name, values in headers.items():
        for value in values if isinstance(values, list) else [values]:
            yield _line("header", name), _line(f'value of header "{name}"', value)


def _line(what: str, text: Any) -> str:
    """The text, which can stand in the head of a reply."""
    if not isinstance(text, str) or _UNSENDABLE.search(text):
        raise ValueError(f"the {what} must be one line of Latin-1 text, not {text!r}")
    return text


def _first(headers: list[tuple[str, str]], name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")


def _bytes(body: Any, content_type: str) -> tuple[bytes, str]:
    """A body in any way of writing it, and the content-type to send if the headers name none."""
    if body is None:
        return b"", ""
    if isinstance(body, bytes):
        return body, ""
    if isinstance(body, str):
        return body.encode(), ""
    kinds = [kind for kind in _BODY if kind in body] if isinstance(body, dict) else []
    if len(kinds) != 1:
        raise ValueError(f'"body" must be a text, null, or an object with one of {", ".join(_BODY)}, not {body!r}')
    return _written(kinds[0], body[kinds[0]], content_type)


def _written(kind: str, value: Any, content_type: str) -> tuple[bytes, str]:
    if kind == "json":
        return json.dumps(value, ensure_ascii=False).encode(), "application/json"
    if kind == "events" and isinstance(value, list):
        return b"".join(encoded(event, content_type) for event in value), EVENT_STREAM
    if kind == "base64_string" and isinstance(value, str):
        # Not strict: encoders put line breaks in.
        return base64.b64decode(value), ""
    if kind == "string" and (value is None or isinstance(value, (str, bytes))):
        return _bytes(value, content_type)
    raise ValueError(f'the body\'s "{kind}" must be {"a list" if kind == "events" else "a text"}, not {value!r}')


def _unpacked(body: bytes) -> bytes:
    try:
        return gzip.decompress(body)
    except (OSError, EOFError) as error:
        raise ValueError(f"the body says that it is gzip, but {error}") from error
