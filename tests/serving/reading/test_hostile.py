"""Whatever is sent, reading raises nothing, remembers nothing of it beyond its bounds, and can be recorded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.recording.privacy import Policy
from autotrace.serving.reading import FRAMES, Answered, AnswerReader, Asked, Fields, Names, identity_of, read_request

from .conftest import RECORDINGS, events, lines, recording

FIELDS = Fields(("a.b", "messages.-1.content", "0.0"), ("choices.0", "a.0.b", "text"), ("a.b.c", "user"), ("user.id",))
TYPES = (
    *(
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
        "text/plain",
        "text/html",
        FRAMES,
        None,
        "",
        ";;",
    ),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain; charset=utf-16", "x" * 5000),
)
NAMES = (
    *("messages", "input", "inputs", "instances", "dataframe_split", "dataframe_records", "columns", "data", "params"),
    *(
        "question",
        "query",
        "prompt",
        "text",
        "content",
        "message",
        "role",
        "type",
        "parts",
        "kind",
        "id",
        "name",
        "user",
    ),
    *("choices", "delta", "output", "item", "item_id", "response", "tool_calls", "function", "arguments", "index", "a"),
    *("candidates", "artifacts", "error", "detail", "event", "ops", "path", "value", "finish_reason", "history", "b"),
    *("context", "custom_inputs", "metadata", "config", "configurable", "session_id", "user_id", "thread_id", "system"),
    *("kwargs", "tool_call_chunks", "content_block", "predictions", "result", "args", "source", "image_url", "file"),
    *("functionCall", "functionResponse", "inlineData", "toolCallId", "tool_call_id", "input_audio", "loc", "msg"),
)
WORDS = (
    *(
        "user",
        "assistant",
        "tool",
        "system",
        "human",
        "ai",
        "AIMessageChunk",
        "message",
        "text",
        "image",
        "file",
        "error",
    ),
    *("function_call", "function_call_output", "reasoning", "web_search_call", "constructor", "tool_use", "tool-x"),
    *("response.output_text.delta", "response.output_item.done", "response.completed", "content_block_delta"),
    *("on_chat_model_stream", "on_chain_end", "TOOL_CALL_ARGS", "text-delta", "tool-output-available", "RUN_ERROR"),
    *("image_url", "input_audio", "tool_result", "/streamed_output/-", "", "\ud83d", "\x00\x1b[31m", "…" * 20),
)
MARKS = (b"data: ", b"event: error", b"\n", b"\r", b'{"', b"[", b'"', b"\\u", b"--b", b"=", b"&")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8)
    | st.just(10**400)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=25,
)
BODIES = (
    VALUES.map(lambda value: json.dumps(value).encode())
    | st.lists(VALUES, max_size=6).map(lambda values: events(*values))
    | st.lists(VALUES, max_size=6).map(lambda values: lines(*values))
    | st.binary(max_size=60)
    | st.lists(st.sampled_from(MARKS), max_size=20).map(b"".join)
)  # fmt: skip


def recorded(found: Asked | Answered) -> None:
    """What was read can be recorded, with every policy."""
    for policy in (Policy(), Policy("truncated", 10, (lambda text: text,))):
        if found.messages is not None:
            json.loads(policy.messages(found.messages) or "")
        elif isinstance(found, Asked):
            policy.value(found.input)
        else:
            policy.value(found.output)
    for text in found[2:]:
        assert text is None or (isinstance(text, str) and 0 < len(text) <= 1000)


@settings(max_examples=200, deadline=None)
@given(BODIES, st.sampled_from(TYPES), st.binary(max_size=20), st.sampled_from([Fields(), FIELDS]), st.integers(0, 60))
def test_requests(body: bytes, content_type: str | None, query: bytes, fields: Fields, cut: int) -> None:
    """Any request, also cut off, asks something that can be recorded."""
    recorded(read_request("POST", content_type, query, body, fields))
    recorded(read_request("GET", content_type, body, query, fields))
    recorded(read_request("PUT", content_type, query, body[: len(body) - cut], fields))


@settings(max_examples=200, deadline=None)
@given(
    BODIES,
    st.sampled_from(TYPES),
    st.sampled_from([None, "gzip", "deflate"]),
    st.sampled_from([200, 201, 404, 422, 500]),
    st.integers(1, 50),
    st.sampled_from([Fields(), FIELDS]),
)
def test_responses(
    body: bytes, content_type: str | None, encoding: str | None, status: int, size: int, fields: Fields
) -> None:
    """Any response, in pieces of any size, answers something that can be recorded."""
    reader = AnswerReader(status, content_type, encoding, fields)
    for at in range(0, len(body), size):
        reader.feed(body[at : at + size])
    recorded(reader.answered())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(RECORDINGS), st.integers(0, 10_000), st.integers(0, 100), st.binary(max_size=20))
def test_damaged_exchanges(name: str, at: int, size: int, other: bytes) -> None:
    """A real request and a real response in which some bytes are others are read, as far as it goes."""
    request, status, content_type, body = recording(name)
    recorded(read_request("POST", "application/json", b"", request[:at] + other + request[at + size :], Fields()))
    reader = AnswerReader(status, content_type)
    reader.feed(body[:at] + other + body[at + size :])
    recorded(reader.answered())


@given(st.dictionaries(st.sampled_from(["x-session-id", "x-user-id", "x-request-id"]), st.text(max_size=400)))
def test_headers(given_: dict[str, str]) -> None:
    """Any header gives a line of at most 250 characters, or nothing."""
    for found in identity_of(given_, Names()):
        assert found is None or (0 < len(found) <= 250 and found.isprintable())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 300_000,
        b'{"messages":' * 30_000,
        b'{"input":' * 900 + b"1" + b"}" * 900,
        b'{"messages":[' + b'{"role":"user","content":[' * 400 + b"]}" * 400 + b"]}",
        b'{"question":' + b"9" * 300_000 + b"}",
        b'{"question":"' + b"\\u00e9" * 50_000 + b'"}',
        b'{"question":"' + b"\\" * 299_999,
        b"[" + b"[]," * 60_000 + b"[]]",
        b'{"messages":[' + b'{"role":"user","content":[{},{},{},{}]},' * 6000 + b"{}]}",
        b'{"messages":[' + b"{}," * 60_000 + b"{}]}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}",
        b"a=b&" * 80_000,
        b"--b\r\n" * 60_000,
        b"%" * 300_000,
        b"data: {\n\n" * 10_000,
        b'data: {"delta": {"id": "%d", "content": "x"}}\n\n' * 5000,
        b'{"a":1}\n' * 10_000,
        b'"' + b"x" * 300_000,
        b"\xef\xbf\xbd" * 100_000,
        b"\xff" * 300_000,
    ],
    ids=range(20),
)
def test_large_bodies(body: bytes) -> None:
    """The worst of some size is read like anything else: the test's own time would show what grows out of hand."""
    for content_type in ("application/json", "text/event-stream", *TYPES[-4:-2]):
        recorded(read_request("POST", content_type, b"", body, FIELDS))
    for content_type in ("application/json", "text/event-stream", "application/x-ndjson"):
        reader = AnswerReader(200, content_type, None, FIELDS)
        for at in range(0, len(body), 65_536):
            reader.feed(body[at : at + 65_536])
        recorded(reader.answered())
    failed = AnswerReader(500, None)
    failed.feed(body)
    recorded(failed.answered())


def test_secrets_in_values_are_hidden() -> None:
    """A form with a password is a value of no known shape: what stands under that name is not recorded."""
    found = read_request("POST", "application/x-www-form-urlencoded", b"", b"login=ann&password=pw-secret", Fields())
    kept = Policy().value(found.input)
    assert kept is not None
    assert "pw-secret" not in kept[0]
    assert "ann" in kept[0]
