"""What a response answers that came as a whole: in every shape that is known, and in those that are not."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from autotrace.serving.reading import Answered, Fields, read_response

from .conftest import answered, read, recording, words


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "text": "Yes.", "finish_reason": "stop"}]},
        {"id": "resp_1", "status": "completed", "text": {"format": {"type": "text"}}, "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}]},
        {"messages": [{"role": "assistant", "content": "Yes.", "id": "1"}]},
        {"messages": [{"type": "human", "content": "Is it?"}, {"type": "ai", "content": "Yes."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
        {"candidates": [{"content": {"parts": [{"text": "Yes."}], "role": "model"}, "finishReason": "STOP"}]},
        {"message": {"role": "assistant", "content": "Yes."}, "done": True},
        {"predictions": [{"messages": [{"role": "assistant", "content": "Yes."}]}]},
        {"output": {"content": "Yes.", "type": "ai", "tool_calls": []}, "metadata": {"run_id": "1"}},
        {"jsonrpc": "2.0", "id": 1, "result": {"role": "agent", "parts": [{"kind": "text", "text": "Yes."}]}},
        {"result": {"task": {"id": "t", "artifacts": [{"parts": [{"text": "Yes."}]}]}}},
        {"jsonrpc": "2.0", "result": {"artifacts": [{"parts": [{"kind": "text", "text": "Yes."}]}]}},
        [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "Yes."}],
    ],
)  # fmt: skip
def test_conversations(body: Any) -> None:
    """Messages are the answer, whoever's shape they have: those after the user's last one."""
    assert words(answered(body).messages) == [("assistant", "Yes.")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        *(({name: "Yes.", "sources": ["a"]}, "Yes.") for name in (
            "answer", "output", "response", "text", "content", "message", "result", "reply", "finalAnswer",
        )),
        ({"predictions": ["Yes."]}, "Yes."),
        ({"predictions": ["Yes.", "No."]}, ["Yes.", "No."]),
        ({"predictions": [[0.1, 0.9]]}, [0.1, 0.9]),
        ({"output": {"answer": "Yes."}, "metadata": {}}, "Yes."),
        ({"output": {"degrees": 4}}, {"degrees": 4}),
        ({"result": {"degrees": 4}}, {"degrees": 4}),
        ([{"generated_text": "Yes."}], "Yes."),
        ("Yes.", "Yes."),
        ({"degrees": 4, "city": "Oslo"}, {"degrees": 4, "city": "Oslo"}),
        ([1, 2], [1, 2]),
        (4, 4),
        ({}, None),
        (None, None),
    ],
)  # fmt: skip
def test_values(body: Any, expected: Any) -> None:
    """What is no conversation is a text, or the value as it came."""
    assert answered(body) == Answered(expected)


def test_choices_and_finish_reasons() -> None:
    """Several choices are several messages, each with the reason why it ended."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    choices = [
        {"message": {"role": "assistant", "content": "A"}, "finish_reason": "length"},
        {"message": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"},
    ]
    found = answered({"choices": choices}).messages or []
    assert words(found) == [("assistant", "A"), ("assistant", "look({})")]
    assert [one.finish_reason for one in found] == ["length", "tool_call"]
    (claude,) = answered({"role": "assistant", "content": "x", "stop_reason": "end_turn"}).messages or []
    assert claude.finish_reason == "stop"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/plain", b"Yes.", "Yes."),
        ("text/plain", b'{"answer": "Yes."}', "Yes."),
        ("text/html; charset=utf-8", b"Yes.", "Yes."),
        ("text/html", b"\n <!doctype html><p>Yes.", None),
        ("text/html", b"<p>Yes.</p>", None),
        ("text/markdown", b"# Yes", "# Yes"),
        (None, b"Yes.", "Yes."),
        (None, b"\x00\x01\x02\x03", None),
        ("image/png", b"Yes.", None),
        ("application/octet-stream", b"Yes.", None),
        ("application/json", b"", None),
        ("application/json; charset=utf-8", b' {"answer": "Yes."}', "Yes."),
        ("application/problem+json", b'{"answer": "Yes."}', "Yes."),
    ],
)
def test_content_types(content_type: str | None, body: bytes, expected: Any) -> None:
    """A page and what is no text are no answer; Flask says `text/html` of any text."""
    assert answered(body, content_type) == Answered(expected)


@pytest.mark.parametrize("status", [100, 204, 301, 302, 304])
def test_statuses_without_an_answer(status: int) -> None:
    """A redirection and a response without a body answer nothing."""
    assert answered({"answer": "Yes."}, status=status) == Answered()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"detail": "no such city"}, "no such city"),
        ({"detail": [{"loc": ["body", "city"], "msg": "Field required", "input": "secret"},
                     {"loc": ["query", 0], "msg": "Too long"}]}, "body.city: Field required; query.0: Too long"),
        ({"error": {"message": "no such model", "type": "invalid_request_error"}}, "no such model"),
        ({"error": "no such city"}, "no such city"),
        ({"error_code": "BAD_REQUEST", "message": "no such city"}, "no such city"),
        ({"title": "Not Found", "detail": "no such city", "status": 404}, "no such city"),
        ({"error": {"code": 7}}, None),
        ({"answer": "no"}, None),
        ("no such city", "no such city"),
        (b"Internal Server Error", "Internal Server Error"),
        (b"<html><h1>502</h1></html>", None),
        (b"", None),
        ({"detail": "x" * 5000}, "x" * 1000),
    ],
)  # fmt: skip
def test_failures(body: Any, expected: str | None) -> None:
    """Of an error response the words that say what went wrong are told, without what was sent."""
    for status in (400, 422, 500):
        assert answered(body, None, status) == Answered(error=expected)


def test_errors_of_status_200() -> None:
    """A response that has an error and no answer says that it failed; one that has both has answered."""
    assert answered({"jsonrpc": "2.0", "error": {"code": -1, "message": "no"}}) == Answered(error="no")
    assert answered({"status": "failed", "output": [], "error": {"message": "no"}}) == Answered(error="no")
    assert answered({"answer": "Yes.", "error": None}) == Answered("Yes.")
    assert answered({"answer": "Yes.", "error": "late"}) == Answered("Yes.")


def test_configured_fields() -> None:
    """Paths of the settings count before the usual places; where they lead nowhere, these do."""
    body = {"text": "log line", "payload": {"said": [{"words": "Yes."}]}}
    assert answered(body, output=("nowhere", "payload.said.0.words")).output == "Yes."
    assert answered(body, output=("payload.no",)).output == "log line"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"answer": "Yes, beca', "Yes, beca"),
        (b'{"answer": "Yes.", "sour', "Yes."),
        (b'{"a', None),
        (b'"Yes, be', "Yes, be"),
    ],
)
def test_cut_off_bodies(body: bytes, expected: str | None) -> None:
    """A client that left has read as much as is told."""
    assert answered(body).output == expected


def test_large_bodies() -> None:
    """Of a long answer the beginning is kept, however it comes."""
    body = json.dumps({"answer": "x" * 3_000_000}).encode()
    for size in (1000, 70_000, len(body)):
        found = read([body[at : at + size] for at in range(0, len(body), size)], "application/json").output
        assert (99_980 < len(found) < 100_001, found[-3:]) == (True, "xx…")
    assert len(answered(b"y" * 300_000, "text/plain").output) == 100_001


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_compressed_bodies(size: int) -> None:
    """gzip and both kinds of deflate are decoded, also cut off; other encodings are not read."""
    text = json.dumps({"answer": "".join(map(str, range(20_000)))}).encode()
    raw = zlib.compressobj(wbits=-15)
    bodies = {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "Deflate ": raw.compress(text) + raw.flush(),
    }
    for encoding, body in bodies.items():
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        found = read(chunks, "application/json", encoding=encoding)
        assert found == answered(json.loads(text)), encoding
        half = read([body[: len(body) // 2]], "application/json", encoding=encoding)
        assert half.output
        assert found.output.startswith(half.output)
    for encoding in ("br", "zstd", "gzip, br", "nonsense"):
        assert read([text], "application/json", encoding=encoding) == Answered()
    assert read([text], "application/json", encoding="gzip") == Answered()
    assert read([text], "application/json", encoding="identity") == answered(json.loads(text))


def test_bombs() -> None:
    """What grows a thousandfold is given up, after no more than it is worth."""
    bomb = gzip.compress(b"x" * 20_000_000)
    found = read_response(200, "text/plain", bomb, Fields(), "gzip")
    assert found.output == "x" * 100_000 + "…"
    events = gzip.compress(b"data: x\n\n" * 2_000_000)
    found = read([events[at : at + 1000] for at in range(0, len(events), 1000)], "text/event-stream", encoding="gzip")
    assert set(found.output) <= set("x…")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("agent_server", [("assistant", '<reasoning The user asks for the weather.> get_weather({"city": "Oslo"})'),
                          ("tool", '<tool_call_response {"degrees": 4}>'), ("assistant", "Oslo has 4 degrees.")]),
        ("responses_agent", [("assistant", '<reasoning The user asks for the weather.> get_weather({"city": "Oslo"})'),
                             ("tool", '<tool_call_response {"degrees": 4}>'), ("assistant", "Oslo has 4 degrees.")]),
        ("chat_agent", [("assistant", 'get_weather({"city": "Oslo"})'), ("tool", '<tool_call_response {"degrees": 4}>'),
                        ("assistant", "Oslo has 4 degrees.")]),
        ("langgraph_invoke", [("assistant", 'get_weather({"city": "Oslo"})'),
                              ("tool", '<tool_call_response {"degrees": 4}>'), ("assistant", "Oslo has 4 degrees.")]),
        ("langgraph_dicts", [("assistant", 'get_weather({"city": "Oslo"})'),
                             ("tool", '<tool_call_response {"degrees": 4}>'), ("assistant", "Oslo has 4 degrees.")]),
        ("langserve_model_invoke", [("assistant", "Oslo has 4 degrees.")]),
    ],
)  # fmt: skip
def test_real_conversations(name: str, expected: Any) -> None:
    """What agents of MLflow, LangChain and LangGraph answered, with the tools that they called."""
    _, status, content_type, body = recording(name)
    assert words(answered(body, content_type, status).messages) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dataframe_split", "Oslo has 4 degrees."),
        ("dataframe_records", ["Oslo has 4 degrees."] * 2),
        ("langserve_chain_invoke", "Oslo has 4 degrees."),
        ("langserve_batch", ["Oslo has 4 degrees."] * 2),
    ],
)
def test_real_values(name: str, expected: Any) -> None:
    """What MLflow's scoring server and LangServe answered."""
    _, status, content_type, body = recording(name)
    assert answered(body, content_type, status) == Answered(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("agent_server_failure", "no such city"),
        ("agent_server_refusal", "Invalid parameters for ResponsesAgent"),
        ("chat_agent_refusal", "Failed to predict data"),
        ("mlflow_wrong_format", "The input must be a JSON dictionary"),
        ("langserve_refusal", "question: Field required"),
    ],
)
def test_real_failures(name: str, expected: str) -> None:
    """What servers say of what went wrong."""
    _, status, content_type, body = recording(name)
    found = answered(body, content_type, status)
    assert (found.output, found.messages) == (None, None)
    assert (found.error or "").startswith(expected)
