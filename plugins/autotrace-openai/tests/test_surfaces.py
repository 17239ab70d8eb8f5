"""Every surface of the SDK that asks a model leaves exactly one span; what asks none leaves none."""

from __future__ import annotations

import json
from typing import Any

import openai
import pydantic
import pytest

import autotrace
from autotrace.testing.openai_server import Billed

HELLO = [{"role": "user", "content": "hello"}]
SOUND = ("sound.wav", b"RIFF" + bytes(200), "audio/wav")
PICTURE = ("picture.png", b"\x89PNG" + bytes(200), "image/png")


class Nest(pydantic.BaseModel):
    """Where a bird lives."""

    bird: str
    height: int


def chat_method(sdk: Any, name: str) -> Any:
    """`chat.completions.<name>`, which some versions have under `beta`."""
    try:
        found = getattr(sdk.client.chat.completions, name)
    except AttributeError:
        return sdk.method(f"beta.chat.completions.{name}")
    return found


@pytest.mark.both_roads
async def test_chat_parse(sdk: Any, spans: Any, server: Any) -> None:
    """L11: `chat.completions.parse` leaves one span, and the parsed reply is the program's."""
    spans.off()
    expected = await sdk.wait(chat_method(sdk, "parse")(model="gpt-4o", messages=HELLO, response_format=Nest))
    spans.on()
    server.reset()
    reply = await sdk.wait(chat_method(sdk, "parse")(model="gpt-4o", messages=HELLO, response_format=Nest))
    assert type(reply) is type(expected)
    assert reply.choices[0].message.parsed == expected.choices[0].message.parsed
    assert isinstance(reply.choices[0].message.parsed, Nest)
    span = spans.one()
    assert (span.name, span["output.type"]) == ("chat gpt-4o", "json")
    assert spans.billed == server.billed


@pytest.mark.both_roads
@pytest.mark.parametrize("leaves", [False, True], ids=["whole", "left"])
async def test_chat_stream_helper(sdk: Any, spans: Any, server: Any, leaves: bool) -> None:
    """L11, L03: the helper `chat.completions.stream` leaves one span, ended with its block."""
    found = []
    for switch in (spans.off, spans.on):
        switch()
        manager = chat_method(sdk, "stream")(model="gpt-4o", messages=HELLO)
        async with sdk.entered(manager) as stream:
            if leaves:
                found.append([(await sdk.next(stream)).type])
                continue
            found.append([event.type for event in await sdk.all(stream)])
            final = await sdk.wait(stream.get_final_completion())
            assert final.choices[0].message.content.startswith("You asked:")
    assert found[0] == found[1]
    span = spans.one()
    assert span.outcome == ("closed" if leaves else None)
    assert span.name == "chat gpt-4o"


@pytest.mark.parametrize("stream_usage", ["always", "never"])
async def test_chat_stream_helper_and_usage(sdk: Any, spans: Any, server: Any, stream_usage: str) -> None:
    """L12: the helper's events and final reply are the same whether or not usage was asked for unseen."""
    found = []
    for switch in (spans.off, spans.on):
        switch()
        server.reset()
        autotrace.autolog("openai", stream_usage=stream_usage)
        async with sdk.entered(chat_method(sdk, "stream")(model="gpt-4o", messages=HELLO)) as stream:
            events = [event.to_dict() for event in await sdk.all(stream)]
            final = await sdk.wait(stream.get_final_completion())
            found.append((events, final.to_dict(), final.usage))
    assert found[0] == found[1]
    assert spans.billed == (server.billed if stream_usage == "always" else Billed())


@pytest.mark.both_roads
async def test_responses_parse(sdk: Any, spans: Any, server: Any) -> None:
    """L11: `responses.parse` leaves one span."""
    reply = await sdk.call("responses.parse", model="gpt-4o", input="hello", text_format=Nest)
    assert isinstance(reply.output_parsed, Nest)
    assert spans.one()["output.type"] == "json"
    assert spans.billed == server.billed


async def test_responses_stream_helper_left_early(sdk: Any, spans: Any) -> None:
    """L03: leaving the block of the helper `responses.stream` ends the span before the block returns."""
    async with sdk.entered(sdk.method("responses.stream")(model="gpt-4o", input="hello")) as stream:
        await sdk.next(stream)
        assert spans.all() == []
    assert spans.one().outcome == "closed"


@pytest.mark.both_roads
async def test_responses_stream_helper(sdk: Any, spans: Any, server: Any) -> None:
    """L11: the helper `responses.stream` leaves one span with the usage."""
    async with sdk.entered(sdk.method("responses.stream")(model="gpt-4o", input="hello")) as stream:
        events = await sdk.all(stream)
        final = await sdk.wait(stream.get_final_response())
    assert events[-1].type == "response.completed"
    assert final.output_text.startswith("You asked:")
    span = spans.one()
    assert span.status == "ok"
    assert spans.billed == server.billed


async def test_responses_compact(sdk: Any, spans: Any, server: Any) -> None:
    """`responses.compact` is an operation of its own, billed once."""
    await sdk.call("responses.compact", model="gpt-5", input="a long conversation")
    span = spans.one()
    assert (span.name, span["operation.name"]) == ("compact gpt-5", "compact")
    assert spans.billed == server.billed
    assert span.output[0]["parts"][0]["type"] == "compaction"


@pytest.mark.parametrize("given", ["one text", ["two", "texts"], [1, 2, 3], [[1, 2], [3]]], ids=repr)
@pytest.mark.parametrize("form", [None, "float", "base64"])
async def test_embeddings(sdk: Any, spans: Any, server: Any, given: Any, form: Any) -> None:
    """L14: embeddings tell model, dimensions, format and tokens; the vectors stay where they were."""
    more = {"encoding_format": form} if form else {}
    reply = await sdk.call("embeddings.create", model="text-embedding-3-small", input=given, dimensions=16, **more)
    span = spans.one()
    assert span.name == "embeddings text-embedding-3-small"
    assert span["embeddings.dimension.count"] == 16
    assert span["openinference.span.kind"] == "EMBEDDING"
    assert spans.billed == server.billed
    assert span["usage.output_tokens"] is None
    assert len(reply.data) == (1 if given in ("one text", [1, 2, 3]) else 2)
    assert str(reply.data[0].embedding)[:12] not in span.everything


async def test_completions(sdk: Any, spans: Any, server: Any) -> None:
    """Legacy completions tell prompts and texts, several of each."""
    await sdk.call("completions.create", model="gpt-3.5-turbo-instruct", prompt=["one", "two"], n=2, logprobs=1)
    span = spans.one()
    assert span.name == "text_completion gpt-3.5-turbo-instruct"
    assert [message["parts"][0]["content"] for message in span.input] == ["one", "two"]
    assert len(span.output) == 4
    assert span["response.finish_reasons"] == ["stop"] * 4
    assert spans.billed == server.billed


@pytest.mark.parametrize("model", ["gpt-image-1", "dall-e-3"])
async def test_images(sdk: Any, spans: Any, server: Any, model: str) -> None:
    """Images leave size and hash, or their address, and the tokens where the model has any."""
    await sdk.call("images.generate", model=model, prompt="a heron", size="1024x1024")
    span = spans.one()
    assert (span.name, span["output.type"]) == (f"image_generation {model}", "image")
    assert span.input[0]["parts"][0]["content"] == "a heron"
    part = span.output[0]["parts"][0]
    if model == "gpt-image-1":
        assert (part["type"], part["mime_type"], len(part["sha256"])) == ("blob", "image/png", 64)
        assert span["usage.input_tokens"] == server.billed.input_tokens
        assert span["usage.output_tokens"] == server.billed.output_tokens
    else:
        assert part["type"] == "uri"
        assert part["uri"].startswith("https://images.example/")
        assert span.output[0]["parts"][1]["content"] == "a heron, in detail"


async def test_images_from_images(sdk: Any, spans: Any, server: Any) -> None:
    """Edits send a form with files, which nobody of us reads."""
    await sdk.call("images.edit", model="gpt-image-1", image=PICTURE, prompt="more reeds")
    span = spans.one()
    assert span["operation.name"] == "image_generation"
    assert span.input[0]["parts"][0]["content"] == "more reeds"
    assert span["usage.output_tokens"] == server.billed.output_tokens


async def test_streamed_images(sdk: Any, spans: Any, server: Any) -> None:
    """A streamed image leaves the whole one, and its tokens."""
    if openai.__version__.startswith("1.40"):
        pytest.skip("openai 1.40.0 does not stream images")
    await sdk.all(await sdk.call("images.generate", model="gpt-image-1", prompt="a heron", stream=True))
    span = spans.one()
    assert span.output[0]["parts"][0]["type"] == "blob"
    assert span["usage.output_tokens"] == server.billed.output_tokens


@pytest.mark.parametrize("form", ["json", "text", "verbose_json", "srt"])
async def test_transcriptions(sdk: Any, spans: Any, server: Any, form: str) -> None:
    """Transcriptions tell the text in every format, the language asked for, and the seconds billed."""
    reply = await sdk.call(
        "audio.transcriptions.create",
        model="whisper-1",
        file=SOUND,
        response_format=form,
        language="en",
        prompt="birds",
    )
    text = reply if isinstance(reply, str) else reply.text
    span = spans.one()
    assert span.name == "transcription whisper-1"
    assert "transcript" in text
    told = span["output.messages"] or span["output.value"]
    assert text.strip() in told
    assert span.input[0]["parts"][0]["content"] == "birds"
    assert "RIFF" not in span.everything


async def test_transcriptions_by_tokens(sdk: Any, spans: Any, server: Any) -> None:
    """L14: transcriptions that are billed by tokens tell them, the sound's too."""
    await sdk.call("audio.transcriptions.create", model="gpt-4o-transcribe", file=SOUND)
    assert spans.billed == server.billed
    assert server.billed.input_audio_tokens > 0


async def test_streamed_transcriptions(sdk: Any, spans: Any, server: Any) -> None:
    """A streamed transcription leaves the whole text, and its tokens."""
    if openai.__version__.startswith("1.40"):
        pytest.skip("openai 1.40.0 does not stream transcriptions")
    stream = await sdk.call("audio.transcriptions.create", model="gpt-4o-transcribe", file=SOUND, stream=True)
    events = await sdk.all(stream)
    span = spans.one()
    assert span.output[0]["parts"][0]["content"] == events[-1].text
    assert spans.billed == server.billed


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_translations(sdk: Any, spans: Any) -> None:
    """Translations tell the text."""
    reply = await sdk.call("audio.translations.create", model="whisper-1", file=SOUND)
    span = spans.one()
    assert span.name == "translation whisper-1"
    assert span.output[0]["parts"][0]["content"] == reply.text


@pytest.mark.both_roads
async def test_speech(sdk: Any, spans: Any) -> None:
    """Speech gives the program the very bytes, and leaves what was to be said, the voice, and no sound."""
    asked = {"model": "tts-1", "voice": "alloy", "input": "Good morning, heron."}
    spans.off()
    expected = (await sdk.call("audio.speech.create", **asked)).content
    spans.on()
    reply = await sdk.call("audio.speech.create", **asked)
    assert reply.content == expected
    span = spans.one()
    assert (span.name, span["output.type"], span["openai.request.voice"]) == ("speech tts-1", "speech", "alloy")
    assert span.input[0]["parts"][0]["content"] == "Good morning, heron."
    assert span.status == "ok"


async def test_speech_that_is_streamed(sdk: Any, spans: Any) -> None:
    """L10: speech behind `with_streaming_response` arrives in pieces as the program reads them."""
    create = sdk.method("audio.speech.with_streaming_response.create")
    async with sdk.entered(create(model="tts-1", voice="alloy", input="Good morning.")) as response:
        assert response.http_response.is_stream_consumed is False
        pieces = await sdk.all(response.iter_bytes(500))
    assert b"".join(pieces).startswith(b"ID3")
    assert spans.one().status == "ok"


@pytest.mark.both_roads
async def test_moderations(sdk: Any, spans: Any, server: Any) -> None:
    """Moderations tell what was flagged, and cost nothing."""
    await sdk.call("moderations.create", model="omni-moderation-latest", input=["peace", "violence"])
    span = spans.one()
    assert (span.name, span["openinference.span.kind"]) == ("moderation omni-moderation-latest", "GUARDRAIL")
    assert span["openai.response.flagged"] is True
    peace, violence = json.loads(span["output.value"])
    assert (peace["flagged"], violence["categories"]) == (False, ["violence"])
    assert spans.billed == server.billed


@pytest.mark.both_roads
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_raw_post(sdk: Any, spans: Any, server: Any, stream: bool) -> None:
    """`client.post` to an endpoint, as gateways use it, is traced like the method."""
    body = {"model": "gpt-4o", "messages": HELLO, "stream": stream}
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    more = {"stream": True, "stream_cls": sdk.stream_class[ChatCompletionChunk]} if stream else {}
    reply = await sdk.wait(sdk.client.post("/chat/completions", cast_to=ChatCompletion, body=body, **more))
    if stream:
        await sdk.all(reply)
    span = spans.one()
    assert span.name == "chat gpt-4o"
    assert span.output[0]["parts"][0]["content"].startswith("You asked:")


async def test_a_raw_post_that_is_cast_to_a_dict(sdk: Any, spans: Any, server: Any) -> None:
    """A raw post whose reply stays a dict tells as much."""
    body = {"model": "gpt-4o", "messages": HELLO}
    reply = await sdk.wait(sdk.client.post("/chat/completions", cast_to=object, body=body))
    assert type(reply) is dict
    assert spans.billed == server.billed


async def test_with_options(sdk: Any, spans: Any, server: Any) -> None:
    """A client made by `with_options` is traced, with its own host."""
    client = sdk.client.with_options(base_url=server.azure_endpoint + "/v1/", timeout=9)
    await sdk.wait(client.chat.completions.create(model="gpt-4o", messages=HELLO))
    assert spans.billed == server.billed


@pytest.mark.both_roads
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_azure(sdk: Any, spans: Any, server: Any, stream: bool) -> None:
    """Azure's client, whose deployment stands in the address, is traced as Azure's."""
    client = sdk.new("AzureOpenAI", azure_endpoint=server.azure_endpoint, api_version="2026-01-01")
    reply = await sdk.wait(client.chat.completions.create(model="my-gpt", messages=HELLO, stream=stream))
    if stream:
        await sdk.all(reply)
    span = spans.one()
    assert server.requests[0].path == "/openai/deployments/my-gpt/chat/completions"
    assert (span["provider.name"], span.name) == ("azure.ai.openai", "chat my-gpt")
    assert span["server.address"] == "127.0.0.1"
    assert span.output[0]["parts"][0]["content"].startswith("You asked:")


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://shop.openai.azure.com/openai/v1/", "azure.ai.openai"),
        ("https://shop.services.ai.azure.com/openai/v1", "azure.ai.inference"),
        ("https://api.deepseek.com/v1", "deepseek"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://api.mistral.ai/v1", "mistral_ai"),
        ("https://notapi.openai.com.evil.example/v1", "openai"),
        ("http://localhost:8000/v1", "openai"),
    ],
)
async def test_the_provider_is_told_by_the_host(sdk: Any, spans: Any, address: str, provider: str) -> None:
    """The provider's name is the host's; an unknown host that speaks the protocol is `openai`."""
    client = sdk.elsewhere(address)
    try:
        await sdk.wait(client.chat.completions.create(model="m", messages=HELLO))
    except openai.NotFoundError:
        assert "/api/v1" in address or "/openai/v1" in address
    span = spans.one()
    assert span["provider.name"] == span["gen_ai.system"] == provider
    assert span["server.address"] == address.split("/")[2].partition(":")[0]
    assert span["server.port"] == (8000 if "8000" in address else None)
    assert span.kind == "client"


async def test_what_asks_no_model_leaves_no_span(sdk: Any, spans: Any) -> None:
    """Lists of models, files and what is not known leave no span, whether they succeed or fail."""
    await sdk.all(await sdk.wait(sdk.client.models.list())) if not sdk.is_async else await sdk.client.models.list()
    for call in (
        lambda: sdk.client.files.list(),
        lambda: sdk.client.get("/chat/completions/abc", cast_to=object),
        lambda: sdk.client.post("/fine_tuning/jobs", cast_to=object, body={}),
    ):
        with pytest.raises(openai.NotFoundError):
            await sdk.wait(call())
    assert spans.all() == []
