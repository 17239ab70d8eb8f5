"""Requests and responses that serving libraries have made (record.py), and how they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from autotrace.recording.messages import Message, Part
from autotrace.serving.reading import Answered, AnswerReader, Asked, Fields, read_request

FOLDER = Path(__file__).parent / "recordings"
RECORDINGS = sorted(path.stem for path in FOLDER.glob("*.json"))


class Recording(NamedTuple):
    """One request and its response."""

    request: bytes
    status: int
    content_type: str
    body: bytes


def recording(name: str) -> Recording:
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    response = found["response"]
    request = json.dumps(found["request"]).encode()
    return Recording(request, response["status"], response["content_type"], response["body"].encode())


def asked(body: Any, content_type: str | None = "application/json", query: bytes = b"", **paths: Any) -> Asked:
    """What a request asks whose body is JSON of a value, or these bytes."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request("POST", content_type, query, sent, Fields(**paths))


def answered(body: Any, content_type: str | None = "application/json", status: int = 200, **paths: Any) -> Answered:
    """What a response answers whose body is JSON of a value, or these bytes: however its bytes are cut, the same."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    whole = read([sent], content_type, status, **paths)
    assert read([sent[at : at + 1] for at in range(len(sent))], content_type, status, **paths) == whole
    return whole


def read(chunks: list[bytes], content_type: str | None, status: int = 200, **more: Any) -> Answered:
    reader = AnswerReader(status, content_type, more.pop("encoding", None), Fields(**more))
    for chunk in chunks:
        reader.feed(chunk)
    return reader.answered()


def events(*values: Any) -> bytes:
    """Server-sent events of JSON values; of texts as they are."""
    return b"".join(b"data: %s\n\n" % _data(value) for value in values)


def lines(*values: Any) -> bytes:
    return b"".join(b"%s\n" % _data(value) for value in values)


def _data(value: Any) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def words(messages: list[Message] | None) -> list[tuple[str, str]]:
    """Who said what, as texts: calls and results of tools by a mark."""
    return [(one.role, " ".join(_words(piece) for piece in one.parts)) for one in messages or []]


def _words(piece: Any) -> str:
    if not isinstance(piece, Part):
        return f"{piece.name}({piece.arguments if isinstance(piece.arguments, str) else json.dumps(piece.arguments)})"
    if piece.type == "text":
        return str(piece.content)
    return f"<{piece.type} {piece.content if isinstance(piece.content, str) else json.dumps(piece.content)}>"


@pytest.fixture(params=RECORDINGS)
def recorded(request: pytest.FixtureRequest) -> Recording:
    """Each recording."""
    return recording(request.param)
