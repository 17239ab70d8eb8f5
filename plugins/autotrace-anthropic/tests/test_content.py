"""What is said, by whom and in which form: every kind of block has its part, and no kind is an error."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from .conftest import ANSWER, ASK, QUESTION, output

PDF = "JVBERi0xLjQ="
SHA256 = "e16fa5d9b51928755db85b917f0297babaf22c7a47e97d9212adab56e61ba04e"
CITATIONS = {
    "type": "citations",
    "content": [
        {
            "cited_text": "Herons nest in alders.",
            "document_index": 0,
            "document_title": "Birds",
            "start_char_index": 0,
            "end_char_index": 22,
        }
    ],
}


def text(content: str) -> dict[str, str]:
    """A part of text."""
    return {"type": "text", "content": content}


def blob(modality: str, mime_type: str) -> dict[str, Any]:
    """What is kept of `PDF`."""
    return {
        "type": "blob",
        "modality": modality,
        "mime_type": mime_type,
        "content": "",
        "size": 8,
        "sha256": SHA256,
    }


def call(name: str, arguments: Any, known: str, server: bool = True) -> dict[str, Any]:
    """A part that calls a tool."""
    return {"type": "server_tool_call" if server else "tool_call", "id": known, "name": name, "arguments": arguments}


def answer(response: Any, known: str) -> dict[str, Any]:
    """A part that is a tool's result."""
    return {"type": "tool_call_response", "id": known, "response": response}


IMAGE = blob("image", "image/png")
SEARCHED = [{"type": "web_search_result", "content": {"title": "Herons", "url": "https://example.com/herons"}}]

#: The parts of `blocks.json`, in order.
PARTS = [
    {"type": "reasoning", "content": "About herons."},
    {"type": "redacted_thinking", "content": None},
    text(ANSWER),
    CITATIONS,
    call("find_nest", {"bird": "heron"}, "toolu_01", server=False),
    call("web_search", {"query": "heron nest"}, "srvtoolu_01"),
    answer(SEARCHED, "srvtoolu_01"),
    answer([{"type": "web_search_tool_result_error", "content": {"error_code": "max_uses_exceeded"}}], "srvtoolu_02"),
    answer(
        [
            {"type": "uri", "modality": "document", "mime_type": None, "uri": "https://example.com/heron.pdf"},
            blob("document", "application/pdf"),
        ],
        "srvtoolu_03",
    ),
    answer(
        [
            {
                "type": "bash_code_execution_result",
                "content": {"stdout": "2 nests\n", "stderr": "", "return_code": 0, "content": []},
            }
        ],
        "srvtoolu_04",
    ),
    call("count_nests", {"tree": "alder"}, "mcptoolu_01"),
    answer("2", "mcptoolu_01"),
    {"type": "container_upload", "content": {"file_id": "file_011CPd"}},
    {"type": "compaction", "content": {"content": "Asked where the heron nests."}},
    {"type": "hologram", "content": {"depth": 3}},
]


@pytest.mark.parametrize("resource", ["messages", "beta.messages"])
async def test_blocks_of_a_reply(sdk: Any, spans: Any, resource: str) -> None:
    """Every kind of block, known to this version or not, is a part; what only the API can read is left out."""
    sdk.play("blocks")
    await sdk.call(f"{resource}.create")
    span = spans.one()
    assert output(span) == {"role": "assistant", "parts": PARTS, "finish_reason": "pause_turn"}
    assert "EqgfCioIARgBIiQ3" not in span.everything
    assert PDF not in span.everything


async def test_compaction_is_billed(sdk: Any, spans: Any) -> None:
    """L14: what a compaction took, which the total does not hold, is billed; iterations that it holds are not again."""
    sdk.play("blocks")
    await sdk.call("messages.create")
    usage = spans.one().usage
    assert usage.input_tokens == 23000 + 500 + 180000 + 40
    assert usage.cache_read == 500 + 40
    assert usage.output_tokens == 1000 + 3500
    assert spans.one()["anthropic.usage.web_search_requests"] == 2


@pytest.mark.parametrize("way", ["stream", "lines"])
async def test_blocks_of_a_stream(sdk: Any, spans: Any, way: str) -> None:
    """The pieces of a stream add up to the same blocks, whether the SDK or the program reads them."""
    sdk.play("stream_blocks")
    if way == "stream":
        await sdk.all(await sdk.call("messages.create", stream=True))
    else:
        create = sdk.method("messages.with_streaming_response.create")
        async with sdk.entered(create(**ASK, stream=True)) as response:
            await sdk.all(response.iter_lines())
    span = spans.one()
    assert output(span)["parts"] == [
        {"type": "reasoning", "content": "The user asks about herons."},
        {"type": "redacted_thinking", "content": None},
        text("Let me look it up."),
        CITATIONS,
        call("find_nest", {"bird": "heron"}, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", server=False),
        call("web_search", {"query": "heron nest"}, "srvtoolu_014hJH"),
        answer(SEARCHED, "srvtoolu_014hJH"),
        {"type": "hologram", "content": {"depth": 3}},
    ]
    assert span["response.finish_reasons"] == ["tool_call"]
    assert span.usage.input_tokens == 10682
    assert span.usage.output_tokens == 510


async def test_refusal(sdk: Any, spans: Any) -> None:
    """A refusal is a part, and a reason to stop in the conventions' words."""
    sdk.play("refusal")
    await sdk.call("messages.create")
    span = spans.one()
    assert output(span)["parts"] == [{"type": "refusal", "content": "This could do harm."}]
    assert span["response.finish_reasons"] == ["content_filter"]


def source(form: str, **fields: Any) -> dict[str, Any]:
    """Where media come from."""
    return {"type": form, **fields}


#: Blocks that a program sends, and their parts.
SENT: dict[str, tuple[Any, list[Any]]] = {
    "text": ("hello", [text("hello")]),
    "image": (
        [
            {"type": "image", "source": source("base64", media_type="image/png", data=PDF)},
            {"type": "image", "source": source("url", url="https://example.com/a.png")},
            {"type": "image", "source": source("file", file_id="file_1")},
        ],
        [
            IMAGE,
            {"type": "uri", "modality": "image", "mime_type": None, "uri": "https://example.com/a.png"},
            {"type": "file", "modality": "image", "file_id": "file_1"},
        ],
    ),
    "document": (
        [
            {"type": "document", "source": source("text", media_type="text/plain", data="Birds."), "title": "B"},
            {"type": "document", "source": source("base64", media_type="application/pdf", data=PDF)},
            {"type": "document", "source": source("content", content=[{"type": "text", "text": "Nests."}])},
        ],
        [text("Birds."), blob("document", "application/pdf"), text("Nests.")],
    ),
    "search result": (
        [{"type": "search_result", "source": "a book", "title": "B", "content": [{"type": "text", "text": "x"}]}],
        [
            {
                "type": "search_result",
                "content": {"source": "a book", "title": "B", "content": [{"type": "text", "text": "x"}]},
            }
        ],
    ),
    "unknown": ([{"type": "hologram", "depth": 3}], [{"type": "hologram", "content": {"depth": 3}}]),
}


@pytest.mark.parametrize("case", SENT)
async def test_blocks_of_a_request(sdk: Any, spans: Any, case: str) -> None:
    """Every kind of block that is sent is a part; of media, size and hash."""
    content, parts = SENT[case]
    sdk.play("message")
    await sdk.call("messages.create", messages=[{"role": "user", "content": content}])
    assert spans.one()["input.messages"] == [{"role": "user", "parts": parts}]


async def test_conversation(sdk: Any, spans: Any) -> None:
    """A reply that is sent back as it is, a model, is read like JSON; tools answer under their own role."""
    sdk.play("blocks")
    reply = await sdk.call("messages.create")
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_01", "content": [{"type": "text", "text": "in the alder"}]},
        {"type": "tool_result", "tool_use_id": "toolu_02", "content": "nowhere", "is_error": True},
        {
            "type": "tool_result",
            "tool_use_id": "toolu_03",
            "content": [{"type": "image", "source": source("base64", media_type="image/png", data=PDF)}],
        },
    ]
    turns = [{"role": "assistant", "content": reply.content}, {"role": "user", "content": results}]
    await sdk.call("messages.create", messages=turns)
    sent = spans.all()[1]["input.messages"]
    assert sent[0] == {"role": "assistant", "parts": PARTS}
    assert sent[1] == {
        "role": "tool",
        "parts": [
            answer("in the alder", "toolu_01"),
            answer("nowhere", "toolu_02"),
            answer([IMAGE], "toolu_03"),
        ],
    }


async def test_iterators_are_the_program_s(sdk: Any, spans: Any) -> None:
    """L23: an iterator that is passed reaches the SDK whole, and a file is read by the SDK alone."""
    sdk.play("message")

    def turns() -> Iterator[Any]:
        image = {"type": "image", "source": source("base64", media_type="image/png", data=io.BytesIO(b"%PDF-1.4"))}
        yield {"role": "user", "content": [image]}

    await sdk.call("messages.create", messages=turns())
    (sent,) = sdk.server.requests[0].json["messages"]
    assert hashlib.sha256(b"%PDF-1.4").hexdigest() == SHA256
    assert sent["content"][0]["source"]["data"] == PDF
    # Newer SDKs read it after the span has begun: then what was sent is not told, but nothing is lost to the program.
    assert spans.one()["input.messages"] is None or spans.one()["input.messages"] == [
        {"role": "user", "parts": [IMAGE]}
    ]


#: Arguments that no type allows, and some that the SDK sends.
ODD: dict[str, dict[str, Any]] = {
    "no messages": {"messages": 7},
    "strange message": {"messages": [None, {}, {"role": 7, "content": {"a": 1}}]},
    "strange blocks": {
        "messages": [
            {
                "role": "user",
                "content": [7, None, "x", {"type": 3}, {"type": "image"}, {"type": "tool_use", "input": 7}],
            }
        ]
    },
    "strange system": {"system": 7, "stop_sequences": {"a"}},
    "not given": dict.fromkeys(("system", "stop_sequences", "tools"), getattr(anthropic, "omit", anthropic.NOT_GIVEN)),
    "strange options": {"extra_body": {"thinking": {"type": 7}, "output_config": 7, "thread": 7, "model": 7}},
}


@pytest.mark.parametrize("case", ODD)
async def test_odd_arguments(sdk: Any, spans: Any, case: str) -> None:
    """L22: whatever is passed, the outcome is what it would have been, and only plain values reach the span."""
    sdk.play("message")
    outcomes: list[Any] = []
    for disabled in (True, False):
        spans.on(disable=disabled)
        try:
            await sdk.call("messages.create", **ODD[case])
            outcomes.append(sdk.server.requests[-1].json)
        except Exception as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]
    (span,) = spans.all()
    assert span["operation.name"] == "chat"
    assert all(type(value) in (str, bool, int, float, list) for value in span.attributes.values())
    assert json.dumps(dict(span.attributes), allow_nan=False)


@pytest.mark.parametrize("recording", ["blocks", "refusal", "stream_blocks", "stream_error"])
async def test_no_content(sdk: Any, spans: Any, recording: str) -> None:
    """L41: with content off, nothing of what was asked, answered or refused is on the span; the figures are."""
    sdk.play(recording)
    spans.on(capture_content="off")
    stream = recording.startswith("stream")
    reply = await sdk.call("messages.create", system="Be short.", stream=stream)
    if recording == "stream_error":
        with pytest.raises(anthropic.APIStatusError):
            await sdk.all(reply)
    elif stream:
        await sdk.all(reply)
    span = spans.one()
    told = span.everything
    hidden = [QUESTION, "heron", "Heron", "alder", "Be short", "harm", "Overloaded"]
    assert [word for word in hidden if word in told] == []
    assert span.usage.input_tokens > 0
    assert span.name == "chat claude-opus-5"
