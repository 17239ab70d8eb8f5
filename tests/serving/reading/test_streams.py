"""What a response answers that comes in pieces: in every dialect, cut anywhere, for hours."""

from __future__ import annotations

import gzip
import http.client
import json
import sys
import tracemalloc
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.serving.reading import FRAMES, Answered, AnswerReader, Fields
from autotrace.serving.reading.folding import Fold
from autotrace.testing.openai_server import (
    BrokenEvent,
    Chunks,
    Cut,
    ErrorEvent,
    Gzip,
    LoneSurrogate,
    OpenAIServer,
    Text,
)

from .conftest import Recording, answered, events, lines, read, recording, words

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
PLUGINS = Path(__file__).parents[3] / "plugins"
CALL = ("assistant", 'get_weather({"city": "Oslo"})')
RESULT = ("tool", '<tool_call_response {"degrees": 4}>')
SAID = ("assistant", "Oslo has 4 degrees.")
THOUGHT = ("assistant", '<reasoning The user asks for the weather.> get_weather({"city": "Oslo"})')


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("agent_server_stream", [THOUGHT, RESULT, SAID]),
        ("chat_agent_stream", [CALL, RESULT, SAID]),
        ("langgraph_messages", [CALL, RESULT, SAID]),
        ("langgraph_updates", [CALL, RESULT, SAID]),
        ("langgraph_values", [CALL, RESULT, SAID]),
        ("langserve_chain_stream_events", [SAID]),
        ("langserve_model_stream", [SAID]),
        ("langserve_model_stream_log", [SAID]),
        ("langserve_model_stream_events", [SAID]),
        ("ag_ui", [CALL, ("tool", "<tool_call_response 4>"), SAID]),
        ("ai_sdk", [CALL, ("tool", "<tool_call_response 4>"), SAID]),
    ],
)
def test_real_conversations(name: str, expected: Any) -> None:
    """Streams of MLflow, LangChain, LangServe, LangGraph, AG-UI and the AI SDK add up to their messages."""
    _, status, content_type, body = recording(name)
    found = answered(body, content_type, status)
    assert (words(found.messages), found.output, found.error) == (expected, None, None)
    ids = {piece.id for one in found.messages or [] for piece in one.parts if piece.id is not None}
    assert ids == ({"call_1"} if len(expected) > 1 else set())


@pytest.mark.parametrize("name", ["langserve_chain_stream", "langserve_chain_stream_log"])
def test_real_texts(name: str) -> None:
    """Streams of texts add up to the text."""
    _, status, content_type, body = recording(name)
    assert answered(body, content_type, status) == Answered("Oslo has 4 degrees.")


def test_real_failure() -> None:
    """A stream that fails on its way has answered as far as it came, and says what went wrong."""
    _, status, content_type, body = recording("agent_server_stream_failure")
    found = answered(body, content_type, status)
    assert (words(found.messages), found.error) == ([THOUGHT, RESULT, ("assistant", "Oslo has ")], "no such city")


def test_every_recording_can_be_cut_anywhere(recorded: Recording) -> None:
    """However much of it came, a response has an answer or none, and never more than the whole one."""
    _, status, content_type, body = recorded
    whole = read([body], content_type, status)
    for at in range(0, len(body), max(1, len(body) // 60)):
        found = read([body[:at]], content_type, status)
        if isinstance(found.output, str) and isinstance(whole.output, str):
            assert whole.output.startswith(found.output)


def responses(plugin: str, name: str) -> Iterator[bytes]:
    """The streams of a plugin's recording, as server-sent events."""
    path = PLUGINS / plugin / "tests" / "recordings" / f"{name}.json"
    for interaction in json.loads(path.read_text(encoding="utf-8"))["interactions"]:
        found = interaction["response"]["body"].get("events")
        if found:
            yield events(*(event["data"] for event in found))


def test_providers_passed_through() -> None:
    """An application that hands on its provider's events answers with what they add up to."""
    (anthropic,) = responses("autotrace-anthropic", "stream_blocks")
    (claude,) = answered(anthropic, SSE).messages or []
    assert words([claude])[0][1].startswith("<reasoning The user asks about herons.> Let me look it up. find_nest(")
    assert claude.finish_reason == "tool_call"
    (gemini,) = responses("autotrace-google-genai", "answer")
    assert answered(gemini, SSE) == Answered("In tall trees.")


HELLO = [
    *([{name: "Hel"}, {name: "lo"}] for name in ("token", "content", "text", "delta", "answer", "chunk", "output")),
    [{"type": "token", "content": "Hel"}, {"type": "token", "content": "lo"}, {"type": "end"}],
    [{"event": "token", "data": "Hel"}, {"event": "token", "data": "lo"}, {"event": "metadata", "data": {"text": "x"}}],
    [{"event": "token", "data": {"chunk": "Hel"}}, {"event": "token", "data": {"chunk": "lo"}}],
    [{"delta": {"content": "Hel"}}, {"delta": {"content": "lo"}}],
    [{"delta": {"text": "Hel"}}, {"delta": {"text": "lo"}}],
    [{"candidates": [{"content": {"parts": [{"text": words}]}}]} for words in ("Hel", "lo")],
    [{"type": "status", "message": "searching"}, {"token": "Hello"}],
    [{"type": "tool_start", "text": "lookup"}, {"token": "Hello"}, {"type": "sources", "content": "a"}],
    [{"token": "Hel"}, {"token": "l"}, {"token": "o"}, {"token": ""}, {"answer": "Hello", "done": True}],
    ["Hel", "lo"],
    ['"Hel"', '"lo"'],
    ["Hello", "[DONE]"],
    [
        {"jsonrpc": "2.0", "result": {"artifact": {"parts": [{"kind": "text", "text": words}]}}}
        for words in ("Hel", "lo")
    ],
]


@pytest.mark.parametrize("pieces", HELLO, ids=str)
def test_texts(pieces: list[Any]) -> None:
    """Words under the usual names, and plain words, are joined; what tells of something else is left out."""
    assert answered(events(*pieces), SSE) == Answered("Hello")
    assert answered(events(*pieces).replace(b"\n", b"\r\n"), SSE) == Answered("Hello")
    assert answered(events(*pieces), "text/plain") == Answered("Hello")
    assert answered(lines(*pieces), NDJSON) == Answered("Hello")
    assert read([lines(piece).strip() for piece in pieces], FRAMES) == Answered("Hello")


@pytest.mark.parametrize(
    "pieces",
    [
        [{"choices": [{"index": 0, "delta": {"content": words}}]} for words in ("Hel", "lo")],
        [{"id": "1", "delta": {"role": "assistant", "id": "1", "content": words}} for words in ("Hel", "lo")],
        [{"delta": {"id": "m", "content": words}} for words in ("Hel", "lo")],
        [{"message": {"role": "assistant", "content": words}, "done": False} for words in ("Hel", "lo")],
        [{"content": words, "type": "AIMessageChunk", "id": "r"} for words in ("Hel", "lo")],
        [{"data": {"type": "response.output_text.delta", "item_id": "1", "delta": words}} for words in ("Hel", "lo")],
        [{"type": "response.output_text.delta", "output_index": 0, "delta": words} for words in ("Hel", "lo")],
    ],
    ids=str,
)
def test_messages(pieces: list[Any]) -> None:
    """Words of a message are joined to one message."""
    for body, kind in ((events(*pieces), SSE), (lines(*pieces), NDJSON), (lines(*pieces), "application/json")):
        assert words(answered(body, kind).messages) == [("assistant", "Hello")]


def test_several_modes_of_langgraph() -> None:
    """Pieces that say their mode first are read by it; the last state is the whole answer."""
    chunks = [["messages", [{"type": "AIMessageChunk", "id": "r", "content": words}, {}]] for words in ("Hel", "lo")]
    assert words(answered(events(*chunks), SSE).messages) == [("assistant", "Hello")]
    state = [
        "values",
        {"messages": [{"type": "human", "content": "Hi"}, {"type": "ai", "id": "r", "content": "Hello!"}]},
    ]
    assert words(answered(events(*chunks, state), SSE).messages) == [("assistant", "Hello!")]
    update = ["updates", {"agent": {"messages": [{"type": "ai", "id": "r", "content": "Hello?"}]}}]
    assert words(answered(events(*chunks, update), SSE).messages) == [("assistant", "Hello?")]


def test_ends_of_chains() -> None:
    """Of LangChain's events the end of a chain counts where nothing came in pieces."""
    end = {"event": "on_chain_end", "data": {"output": {"answer": "Hello"}}}
    assert answered(events(end), SSE) == Answered("Hello")
    piece = {
        "event": "on_chat_model_stream",
        "data": {"chunk": {"type": "AIMessageChunk", "id": "r", "content": "Hel"}},
    }
    assert words(answered(events(end, piece), SSE).messages) == [("assistant", "Hel")]
    tool = {"event": "on_chain_end", "data": {"output": {"messages": [{"type": "tool", "content": "4", "id": "t"}]}}}
    assert words(answered(events(tool, piece), SSE).messages) == [("assistant", "Hel")]


def test_all_words_again() -> None:
    """A stream whose pieces each hold all words so far answers with the last one; repeated words are words."""
    text = "Oslo has four degrees, and it will snow tonight, they say, as it always does in November."
    grown = [{"text": text[:end]} for end in range(5, len(text) + 1, 3)] + [{"text": text}]
    assert answered(events(*grown), SSE).output == text
    assert answered(events(*[{"text": "ha"}] * 50), SSE).output == "ha" * 50
    assert answered(events(*[{"text": "a line of some length\n"}] * 5), SSE).output == "a line of some length\n" * 5


def test_plain_events() -> None:
    """Lines of one event are lines, comments are none; an event's name may say that it brings something else."""
    body = b": hi\n\nid: 1\nevent: token\ndata: one\ndata: two\n\nretry: 5\n\ndata:three\n\nevent: ping\ndata: x\n\n"
    assert answered(body, SSE) == Answered("one\ntwothree")
    assert answered(b"data: Hel\n\nevent: error\ndata: overloaded\n\n", SSE) == Answered("Hel", None, "overloaded")
    assert answered(b"data: 4\n\ndata:  degrees\n\ndata: true\n\n", SSE) == Answered("4 degreestrue")
    assert answered(events("if x ", "{", "y = ", '["a"]', '"', "}"), SSE) == Answered('if x {y = ["a"]"}')
    assert answered(events({"token": "Hello"}, '{"tok'), SSE) == Answered("Hello")
    assert answered(b": nothing\n\n", SSE) == Answered()
    assert answered(events({"type": "start"}, {"usage": {"tokens": 5}}, "[DONE]"), SSE) == Answered()


@pytest.mark.parametrize(
    "failure",
    [
        {"error": {"message": "overloaded", "code": 503}},
        {"error": "overloaded"},
        {"type": "error", "message": "overloaded"},
        {"type": "error", "errorText": "overloaded"},
        {"type": "RUN_ERROR", "message": "overloaded"},
        {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}},
        {"type": "response.error", "message": "overloaded"},
        {"type": "response.failed", "response": {"output": [], "error": {"message": "overloaded"}}},
    ],
)
def test_failures(failure: Any) -> None:
    """A stream that says that it failed has answered as far as it came."""
    found = answered(events({"type": "response.output_text.delta", "item_id": "1", "delta": "Hel"}, failure), SSE)
    assert (words(found.messages), found.error) == ([("assistant", "Hel")], "overloaded")
    assert answered(events({"token": "Hel"}, failure), SSE) == Answered("Hel", None, "overloaded")
    assert answered(events({"token": "Hel"}, failure, {"token": "lo"}), SSE).error == (
        "overloaded" if failure.get("type") == "response.failed" else None
    )


def test_items_and_their_pieces() -> None:
    """Of an item of the responses API the whole counts; where it never came, its pieces; at the end the last word."""
    text = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
    started = [
        {"type": "response.created", "response": {"output": []}},
        {"type": "response.reasoning_summary_text.delta", "item_id": "r", "delta": "Hm"},
        {"type": "response.output_text.delta", "item_id": "m", "delta": "Hel"},
    ]
    assert words(answered(events(*started), SSE).messages) == [("assistant", "<reasoning Hm>"), ("assistant", "Hel")]
    done = [*started, {"type": "response.output_item.done", "item": text}]
    assert words(answered(events(*done), SSE).messages) == [("assistant", "<reasoning Hm>"), ("assistant", "Hello")]
    ended = [*done, {"type": "response.completed", "response": {"output": [text], "status": "completed"}}]
    assert words(answered(events(*ended), SSE).messages) == [("assistant", "Hello")]


def test_choices_and_calls() -> None:
    """Choices are told apart, calls of tools put together, reasons kept."""
    began = {"index": 0, "id": "c", "function": {"name": "look", "arguments": '{"x"'}}
    deltas = [
        (0, {"role": "assistant", "content": "Let me "}, None),
        (1, {"role": "assistant", "reasoning_content": "Hm"}, None),
        (0, {"content": "see.", "tool_calls": [began]}, None),
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}, "tool_calls"),
        (1, {"refusal": "No."}, "stop"),
    ]
    chunks = [{"choices": [{"index": at, "delta": delta, "finish_reason": why}]} for at, delta, why in deltas]
    found = answered(events(*chunks, {"choices": [], "usage": {}}, "[DONE]"), SSE).messages or []
    assert words(found) == [("assistant", 'Let me see. look({"x": 1})'), ("assistant", "<reasoning Hm> <refusal No.>")]
    assert [one.finish_reason for one in found] == ["tool_call", "stop"]


def test_pieces_that_are_alike() -> None:
    """Pieces that differ in their words alone are read as any others: also words with escapes, and what looks alike."""
    said = ["Once", " upon", ' a "time"', " \\ ", "\n", " there", "é", " was", "", " 😀", "a", "a"]
    for make in (
        lambda piece: {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]},
        lambda piece: {"type": "token", "content": piece},
        lambda piece: {"content": "x", "token": piece},
        lambda piece: {"delta": {"role": "assistant", "id": "1", "content": piece}},
    ):
        found = answered(events(*map(make, said)), SSE)
        assert (found.output or words(found.messages)[0][1]) == "".join(said)
    other = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "length"}]}
    same = [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in said]
    (message,) = answered(events(*same, other), SSE).messages or []
    assert message.finish_reason == "length"


WORDS = st.text(st.sampled_from('ab "\\\n}{:,é🙂\ud83d\r'), max_size=6)
PIECES = st.one_of(
    WORDS.map(lambda said: {"token": said}),
    WORDS.map(lambda said: {"token": said}),
    WORDS.map(lambda said: {"choices": [{"index": 0, "delta": {"content": said}}]}),
    st.sampled_from([{"token": "x", "done": True}, {"status": "looking"}, {"type": "response.created"}]),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(PIECES, max_size=30), st.booleans(), st.integers(0, 5))
def test_a_run_of_pieces_is_its_pieces(pieces: list[Any], is_lines: bool, cut: int) -> None:
    """Pieces that are alike, taken at once, come to what they come to one by one, whatever stands between them."""
    texts = [
        json.dumps(piece, ensure_ascii=bool(at % 2)).encode("utf-8", "surrogatepass") for at, piece in enumerate(pieces)
    ]
    singly = Fold(Fields())
    for text in texts[:-1]:
        singly.add(b"", text)
    for text in texts[-1:]:
        rest = text[: len(text) - cut]
        singly.add(b"", rest.strip() if is_lines else rest, is_cut=True)
    before, after = (b"", b"\n") if is_lines else (b"data: ", b"\n\n")
    body = after.join(before + text for text in texts)
    assert read([body[: len(body) - cut if texts else None]], NDJSON if is_lines else SSE) == singly.answered()


def test_configured_fields() -> None:
    """A path of the settings says where the words are, in each piece."""
    pieces = [{"kind": "x", "text": "log", "say": {"w": words}} for words in ("Hel", "lo")]
    assert answered(events(*pieces), SSE, output=("say.w",)) == Answered("Hello")
    assert answered(events({"error": "no", "w": "Hello"}), SSE, output=("w",)) == Answered("Hello")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'data: {"token": "Hello"}\n\ndata: {"token": ", Os', "Hello, Os"),
        (b'data: {"token": "Hello"}\n\ndata: {"tok', "Hello"),
        (b'data: {"token": "Hello"}\n\nda', "Hello"),
        (b"data: Hello\n\ndata: , Os", "Hello, Os"),
        (b'data: {"token": "Caf\xc3', "Caf\ufffd"),
    ],
)
def test_cut_off_streams(body: bytes, expected: str) -> None:
    """A client that left in the midst of an event has read as much as is told."""
    assert answered(body, SSE).output == expected


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


def sent(server: OpenAIServer, path: str, body: Any) -> Answered:
    """What a response of the server's answers, as its bytes come over the network."""
    request = urllib.request.Request(
        f"{server.url}/{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": "Bearer sk-test"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        reader = AnswerReader(reply.status, reply.headers["content-type"], reply.headers["content-encoding"])
        try:
            while chunk := reply.read1(50):
                reader.feed(chunk)
        except (OSError, http.client.HTTPException):
            pass
    return reader.answered()


CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "Why?"}]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_a_provider(provider: OpenAIServer, path: str, compressed: bool) -> None:
    """Streamed or not, compressed or not, the same question has the same answer."""
    body = CHAT if path.startswith("chat") else {"model": "gpt-5", "input": "Why?"}
    step = (Text('Because of café ☕ and "quotes".'), *([Gzip()] if compressed else []))
    provider.script(step, step)
    whole, streamed = sent(provider, path, body), sent(provider, path, {**body, "stream": True})
    assert words(whole.messages) == [("assistant", 'Because of café ☕ and "quotes".')]
    assert streamed == whole
    assert (whole.messages or [])[-1].finish_reason in ("stop", None)


def test_a_providers_calls(provider: OpenAIServer) -> None:
    """Calls of tools are the same, streamed or not; also those of several choices."""
    body = {**CHAT, "messages": [{"role": "user", "content": "Call get_weather for Oslo"}], "tools": TOOLS,
            "tool_choice": "required"}  # fmt: skip
    whole, streamed = (sent(provider, "chat/completions", {**body, "stream": stream}) for stream in (False, True))
    assert words(whole.messages)[0][1].startswith("get_weather(")
    assert streamed == whole
    whole, streamed = (sent(provider, "chat/completions", {**CHAT, "n": 3, "stream": way}) for way in (False, True))
    assert len(whole.messages or []) == 3
    assert streamed == whole


def test_a_providers_troubles(provider: OpenAIServer) -> None:
    """A stream that breaks off, fails, or has a broken event has answered what came."""
    body = {**CHAT, "stream": True}
    text = Text("one two three four five six seven")
    provider.script(text, (text, Chunks(8), Cut(after=4)), (text, ErrorEvent(after=4, message="overloaded")),
                    (text, Chunks(8), BrokenEvent(after=2)), LoneSurrogate())  # fmt: skip
    whole, cut, failed, broken, odd = (sent(provider, "chat/completions", body) for _ in range(5))
    (said,) = words(whole.messages)
    for found in (cut, failed):
        (part,) = words(found.messages)
        assert part[1]
        assert said[1].startswith(part[1])
    assert (cut.error, failed.error) == (None, "overloaded")
    assert words(broken.messages)[0][1] == said[1]
    assert words(odd.messages)[0][1].startswith("half a face ")


def test_lines_are_known_by_their_looks() -> None:
    """Lines of JSON under another content type are lines; JSON over several lines is one value."""
    assert answered(lines({"token": "Hel"}, {"token": "lo"}), "text/plain") == Answered("Hello")
    pretty = json.dumps({"answer": "Yes.", "more": {"a": 1}}, indent=1).encode()
    assert answered(pretty, "application/json") == Answered("Yes.")
    assert answered(b"{a}\n{b}", "text/plain").output == "{a}\n{b}"


def test_chunks_of_nothing() -> None:
    """They are nothing: not kept, and no part of an answer."""
    reader = AnswerReader(200, FRAMES)
    before = sys.getsizeof(reader._chunks)
    for _ in range(1000):
        reader.feed(b"")
    assert sys.getsizeof(reader._chunks) == before
    reader.feed(b'["a", {"token": "Hello"}]')
    assert reader.answered() == read([b'["a", {"token": "Hello"}]'], FRAMES)
    assert read([b"", memoryview(b""), b""], FRAMES) == Answered()  # type: ignore[list-item]


def test_frames() -> None:
    """Messages of a WebSocket are pieces, whatever they look like."""
    assert read([b"Hel", b"lo\n", b"data: x"], FRAMES) == Answered("Hello\ndata: x")
    assert read([b'{"type": "start"}', b'{"type": "token", "content": "Hi"}'], FRAMES) == Answered("Hi")
    assert read([], FRAMES) == Answered()


def peak(chunks: Iterator[bytes], reader: AnswerReader) -> int:
    """The most memory that reading took, in bytes."""
    tracemalloc.start()
    try:
        for chunk in chunks:
            reader.feed(chunk)
        reader.answered()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "make",
    [
        lambda number: events({"choices": [{"index": 0, "delta": {"content": f"{number} words and more "}}]}),
        lambda number: events({"type": "response.output_item.done", "item": {"id": str(number), "type": "x" * 500}}),
        lambda number: events({"delta": {"role": "assistant", "id": str(number), "content": "x" * 500}}),
        lambda number: events({"messages": [{"role": "assistant", "content": "x" * 500}]}),
        lambda number: events({"progress": number, "filler": "x" * 500}),
        lambda number: b"data: " + b"x" * 500,
        lambda number: b": comment " + b"x" * 500 + b"\n\n",
        lambda number: b"\n" * 50,
    ],
    ids=["words", "items", "messages", "states", "progress", "one event", "comments", "blanks"],
)
def test_memory_is_bounded(make: Any) -> None:
    """A stream that goes on for hours takes no more memory than its answer may have."""
    assert peak((make(number) for number in range(4000)), AnswerReader(200, SSE)) < 6_000_000


def test_the_end_of_what_is_too_long() -> None:
    """Of an answer that is larger than what is kept, why it ended is still told."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": f"{number} words and more "}}]} for number in range(9000)]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    (found,) = read([events(chunk) for chunk in (*chunks, last)], SSE).messages or []
    assert found.finish_reason == "length"
    assert words([found])[0][1].endswith("…")
    assert len(words([found])[0][1]) == 100_001


def test_a_piece_that_is_too_long() -> None:
    """A piece that is larger than what is kept is given up; what comes after it is read."""
    for kind, make in ((SSE, events), (NDJSON, lines)):
        huge = make({"token": "y" * 5_000_000})
        body = make({"token": "Hel"}) + huge + make({"token": "lo"})
        found = read([body[at : at + 10_000] for at in range(0, len(body), 10_000)], kind).output
        assert found.startswith("Hely")
        assert len(found) <= 100_001


def test_compressed_streams() -> None:
    """A compressed stream is read while it comes."""
    body = gzip.compress(events(*({"token": f"{number} "} for number in range(5000))))
    expected = "".join(f"{number} " for number in range(5000))
    for size in (1, 100, len(body)):
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        assert read(chunks, SSE, encoding="gzip").output == expected
