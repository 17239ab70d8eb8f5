"""What goes in and comes out, in every way that the SDK takes it and the API gives it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.genai import types

from autotrace import Usage
from autotrace.testing import Spans

from .conftest import MODEL, QUESTION, Sdk

Play = Callable[[str], Sdk]
ASKED = [{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]
PNG = b"\x89PNG\r\n\x1a\n"
IMAGE = {
    "type": "blob",
    "modality": "image",
    "mime_type": "image/png",
    "content": "",
    "size": 8,
    "sha256": "4c4b6a3be1314ab86138bef4314dde022e600960d8689a2c8f8631802d20dab6",
}
ADDRESS = {"type": "uri", "modality": "document", "mime_type": "application/pdf", "uri": "https://example.com/a.pdf"}


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def test_answer(play: Play, spans: Spans) -> None:
    """A call is a span: who is asked, what is asked, what came back; the program gets the SDK's own reply."""
    sdk = play("answer")
    reply = sdk.ask()
    assert type(reply) is types.GenerateContentResponse
    assert reply.text == "In tall trees."
    span = spans.one()
    assert (span.name, span.status) == (f"generate_content {MODEL}", "ok")
    expected = {
        "provider.name": "gcp.gemini",
        "request.model": MODEL,
        "response.model": MODEL,
        "response.finish_reasons": ["stop"],
        "server.address": "127.0.0.1",
        "server.port": int(sdk.server.url.rpartition(":")[2]),
    }
    assert {name: span[name] for name in expected} == expected
    assert span["input.messages"] == ASKED
    thought = {"type": "reasoning", "content": "The question is about herons."}
    answer = {"role": "assistant", "parts": [thought, _text("In tall trees.")], "finish_reason": "stop"}
    assert span["output.messages"] == [answer]


def test_streamed_answer(play: Play, spans: Spans) -> None:
    """A stream is recorded as the reply that its pieces add up to, and stays the generator that it was."""
    sdk = play("answer")
    spans.off()
    untraced = sdk.stream()
    sdk.all(untraced)
    spans.on()
    stream = sdk.stream()
    assert type(stream) is type(untraced)
    pieces = sdk.all(stream)
    assert [piece.text for piece in pieces if piece.text] == ["In ", "tall trees."]
    span = spans.one()
    thought = {"type": "reasoning", "content": "The question is about herons."}
    answer = {"role": "assistant", "parts": [thought, _text("In tall trees.")], "finish_reason": "stop"}
    assert span["output.messages"] == [answer]
    assert span["request.stream"] is True
    assert span["response.time_to_first_chunk"] > 0


@pytest.mark.parametrize(
    ("contents", "messages"),
    [
        (["one", "two"], [{"role": "user", "parts": [_text("one"), _text("two")]}]),
        (types.Part.from_text(text="one"), [{"role": "user", "parts": [_text("one")]}]),
        (
            [types.UserContent("one"), types.ModelContent("two"), "three"],
            [
                {"role": "user", "parts": [_text("one")]},
                {"role": "assistant", "parts": [_text("two")]},
                {"role": "user", "parts": [_text("three")]},
            ],
        ),
        (
            [{"role": "user", "parts": [{"text": "one"}, {"inline_data": {"mime_type": "image/png", "data": PNG}}]}],
            [{"role": "user", "parts": [_text("one"), IMAGE]}],
        ),
        (
            {"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]},
            [{"role": "user", "parts": [IMAGE]}],
        ),
        (
            ["one", types.Part.from_bytes(data=PNG, mime_type="image/png")],
            [{"role": "user", "parts": [_text("one"), IMAGE]}],
        ),
        (
            types.Part.from_uri(file_uri="https://example.com/a.pdf", mime_type="application/pdf"),
            [{"role": "user", "parts": [ADDRESS]}],
        ),
        (
            types.File(name="files/a", uri="https://example.com/a.pdf", mime_type="application/pdf"),
            [{"role": "user", "parts": [ADDRESS]}],
        ),
        (
            types.Part.from_function_response(name="save", response={"result": 3}),
            [{"role": "tool", "parts": [{"type": "tool_call_response", "id": None, "response": {"result": 3}}]}],
        ),
    ],
)
def test_contents(play: Play, spans: Spans, contents: Any, messages: Any) -> None:
    """Contents are read whichever way they are given."""
    play("answer").ask(contents)
    assert spans.one()["input.messages"] == messages


def test_picture(play: Play, spans: Spans, tmp_path: Any) -> None:
    """A picture of Pillow's is told by its size."""
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    with image.open(tmp_path / "a.png") as picture:
        play("answer").ask(["What is this?", picture])
    assert spans.one()["input.messages"][0]["parts"] == [_text("What is this?"), {"type": "image", "content": "4x3"}]


def test_iterator(play: Play, spans: Spans) -> None:
    """An iterator in place of a list is the SDK's to read: it gets from it what it gets without autotrace (L23)."""
    sdk = play("answer")

    def asked() -> Any:
        seen: list[str] = []

        def contents() -> Iterator[str]:
            for one in ("one", "two"):
                seen.append(one)
                yield one

        try:
            sdk.ask(contents())
        except Exception as error:
            return type(error), str(error), seen
        return sdk.server.requests[-1].json, seen

    traced = asked()
    spans.off()
    assert traced == asked()


def test_parts(play: Play, spans: Spans) -> None:
    """Code that the provider runs, media, calls and several candidates are read from a reply."""
    play("parts").ask(candidate_count=2)
    first, second = spans.one()["output.messages"]
    code = {"language": "PYTHON", "code": "print(6 * 7)"}
    assert first["parts"] == [
        {"type": "server_tool_call", "id": None, "name": "code_execution", "arguments": code},
        {"type": "tool_call_response", "id": None, "response": {"outcome": "OUTCOME_OK", "output": "42\n"}},
        _text("The answer is 42."),
        IMAGE,
        {"type": "uri", "modality": "video", "mime_type": "video/mp4", "uri": "https://example.com/heron.mp4"},
        {"type": "tool_call", "id": "call_1", "name": "save", "arguments": {"value": 42}},
    ]
    assert second == {"role": "assistant", "parts": [_text("Forty")], "finish_reason": "length"}
    assert spans.one()["response.finish_reasons"] == ["tool_call", "length"]


def test_streamed_parts(play: Play, spans: Spans) -> None:
    """Calls in pieces of a stream stay calls of their own; candidates are told apart."""
    sdk = play("parts")
    sdk.all(sdk.stream(candidate_count=2))
    first, second = spans.one()["output.messages"]
    assert [part["arguments"] for part in first["parts"]] == [{"value": 1}, {"value": 2}]
    assert second == {"role": "assistant", "parts": [_text("One two")], "finish_reason": "stop"}


def test_streamed_arguments(play: Play, spans: Spans) -> None:
    """A call whose arguments come in pieces is one call, with the pieces as they came."""
    if "partial_args" not in types.FunctionCall.model_fields:
        pytest.skip("this version of the SDK does not stream arguments")
    sdk = play("arguments")
    sdk.all(sdk.stream())
    ((call,),) = [message["parts"] for message in spans.one()["output.messages"]]
    assert (call["type"], call["id"], call["name"]) == ("tool_call", "call_1", "temperature")
    assert [piece["string_value"] for piece in call["arguments"]] == ["Os", "lo"]
    assert spans.one()["response.finish_reasons"] == ["tool_call"]


def test_unknown_part(play: Play, spans: Spans) -> None:
    """A part of a kind that the plugin does not know, or nobody does, is told under its own name."""
    with pytest.raises(ValueError, match="hologram"):
        play("answer").ask({"parts": [{"hologram": {"depth": 3}, "thoughtSignature": "x"}]})
    assert spans.one()["input.messages"][0]["parts"] == [{"type": "hologram", "content": {"depth": 3}}]


@pytest.mark.parametrize("streamed", [False, True])
def test_blocked_prompt(play: Play, spans: Spans, streamed: bool) -> None:
    """A prompt that was blocked is a reply without candidates: a refusal, its tokens billed."""
    sdk = play("blocked")
    sdk.all(sdk.stream()) if streamed else sdk.ask()
    span = spans.one()
    refusal = {"type": "refusal", "content": "PROHIBITED_CONTENT"}
    assert span["output.messages"] == [{"role": "assistant", "parts": [refusal], "finish_reason": "content_filter"}]
    assert span["response.finish_reasons"] == ["content_filter"]
    assert span.usage == Usage(9)


def test_filtered_answer(play: Play, spans: Spans) -> None:
    """An answer that was withheld ends with the conventions' word for it."""
    play("filtered").ask()
    assert spans.one()["response.finish_reasons"] == ["content_filter"]


def test_config(play: Play, spans: Spans) -> None:
    """Parameters stand under the conventions' names; what is asked for by default is not told."""
    play("answer").ask(
        system_instruction=["Be brief.", "Be kind."],
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        max_output_tokens=100,
        stop_sequences=["END"],
        candidate_count=1,
        frequency_penalty=0.25,
        presence_penalty=-0.25,
        response_mime_type="application/json",
    )
    span = spans.one()
    start = "gen_ai.request."
    assert {key[len(start) :]: value for key, value in span.attributes.items() if key.startswith(start)} == {
        "model": MODEL,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "max_tokens": 100,
        "stop_sequences": ["END"],
        "frequency_penalty": 0.25,
        "presence_penalty": -0.25,
    }
    assert span["system_instructions"] == [_text("Be brief.\nBe kind.")]
    assert span["output.type"] == "json"


def test_config_as_a_model(play: Play, spans: Spans) -> None:
    """A config is read whether it is a dict or the SDK's own."""
    config = types.GenerateContentConfig(temperature=0.5, candidate_count=2, response_modalities=["IMAGE", "TEXT"])
    play("parts").call("models.generate_content", model=f"models/{MODEL}", contents=QUESTION, config=config)
    span = spans.one()
    assert (span["request.model"], span["request.temperature"], span["request.choice.count"]) == (MODEL, 0.5, 2)
    assert span["output.type"] == "image"


def test_offered_tools(play: Play, spans: Spans) -> None:
    """Tools are told as they are declared, functions by their name and what they say of themselves."""

    def save(value: int) -> None:
        """Saves a value."""

    declared = types.Tool(function_declarations=[types.FunctionDeclaration(name="load", description="Loads.")])
    off = types.AutomaticFunctionCallingConfig(disable=True)
    play("answer").ask(tools=[save, declared], automatic_function_calling=off)
    assert spans.one()["tool.definitions"] == [
        {"name": "save", "description": "Saves a value."},
        {"function_declarations": [{"name": "load", "description": "Loads."}]},
    ]


def test_without_content(play: Play, spans: Spans) -> None:
    """With content off no text of either side is anywhere (L41)."""
    spans.on(capture_content="off")
    sdk = play("answer")
    sdk.ask(system_instruction="Be brief.")
    sdk.all(sdk.stream([QUESTION]))
    sdk.server.fail(400, json={"error": {"code": 400, "message": f"No: {QUESTION}", "status": "INVALID_ARGUMENT"}})
    with pytest.raises(Exception, match="heron"):
        sdk.ask()
    assert len(spans.all()) == 3
    assert [word for word in ("heron", "tall trees", "Be brief") if word in str(spans.tree())] == []
