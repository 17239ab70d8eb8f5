"""Chat completions, and the legacy text completions."""

from __future__ import annotations

import base64
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from autotrace.testing.openai_api.answer import Answer, answer_to, content_text, pieces
from autotrace.testing.openai_api.ask import JSON, Ask
from autotrace.testing.openai_api.billing import Billed, completion_usage, meter
from autotrace.testing.openai_api.reply import CREATED, SSE, Reply, encode, error, event
from autotrace.testing.openai_api.samples import AUDIO


def _logprob(token: str, top: int) -> JSON:
    value = {"token": token, "logprob": -0.25, "bytes": list(token.encode("utf-8", "replace"))}
    return {**value, "top_logprobs": [value] * top}


def _logprobs(ask: Ask, tokens: Sequence[str]) -> JSON | None:
    if not ask.body.get("logprobs"):
        return None
    top = ask.body.get("top_logprobs") or 0
    return {"content": [_logprob(token, top) for token in tokens], "refusal": None}


def chat(ask: Ask) -> Reply:
    """`POST /chat/completions`."""
    if not ask.body.get("messages"):
        return error(400, "Missing required parameter: 'messages'.", code="missing_required_parameter")
    billed = meter(ask)
    head = {
        "id": ask.id("chatcmpl-"),
        "object": "chat.completion.chunk" if ask.streams else "chat.completion",
        "created": CREATED,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": f"fp_{ask.digest % 2**40:010x}",
    }
    answers = [answer_to(ask, choice) for choice in range(ask.body.get("n") or 1)]
    if ask.streams:
        # Choices take turns, as the provider interleaves them.
        lanes = [_chat_deltas(ask, answer, choice) for choice, answer in enumerate(answers)]
        turns = (choice for turn in itertools.zip_longest(*lanes) for choice in turn if choice)
        return _stream(ask, head, [{"choices": [choice]} for choice in turns], billed)
    choices = [
        {
            "index": choice,
            "message": _chat_message(ask, answer, choice),
            "logprobs": _logprobs(ask, pieces(answer.text, None)) if answer.text else None,
            "finish_reason": answer.finish,
        }
        for choice, answer in enumerate(answers)
    ]
    return Reply(encode({**head, "choices": choices, "usage": completion_usage(billed)}), billed=billed)


def _speaks(ask: Ask, answer: Answer) -> bool:
    return bool(answer.text) and "audio" in (ask.body.get("modalities") or ())


def _chat_calls(ask: Ask, answer: Answer, choice: int) -> list[JSON]:
    return [
        {
            "id": ask.id("call_", 10 * choice + i),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for i, (name, arguments) in enumerate(answer.calls)
    ]


def _chat_message(ask: Ask, answer: Answer, choice: int) -> JSON:
    message: JSON = {
        "role": "assistant",
        "content": answer.text,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if answer.calls:
        message["tool_calls"] = _chat_calls(ask, answer, choice)
    if _speaks(ask, answer):
        message["content"] = None
        message["audio"] = {
            "id": ask.id("audio_", choice),
            "data": base64.b64encode(AUDIO).decode(),
            "expires_at": CREATED + 3600,
            "transcript": answer.text,
        }
    return message


def _chat_deltas(ask: Ask, answer: Answer, choice: int) -> Iterator[JSON]:
    """The chunks' choices of one choice: the role, the pieces, the finish reason."""

    def chunk(delta: JSON, finish: str | None = None, tokens: Sequence[str] = ()) -> JSON:
        logprobs = _logprobs(ask, tokens) if tokens else None
        return {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    wanted = ask.wanted.chunks
    split = pieces(answer.text or answer.refusal or "", None if wanted is None else max(wanted - 2, 1))
    yield chunk({"role": "assistant", "content": None if answer.calls else "", "refusal": None})
    if answer.calls:
        for index, call in enumerate(_chat_calls(ask, answer, choice)):
            function = call["function"]
            start = {**call, "index": index, "function": {**function, "arguments": ""}}
            yield chunk({"tool_calls": [start]})
            for piece in pieces(function["arguments"], 3):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    elif _speaks(ask, answer):
        yield chunk({"audio": {"id": ask.id("audio_", choice), "transcript": ""}})
        for piece in split:
            yield chunk({"audio": {"transcript": piece}})
        for data in (AUDIO[:1023], AUDIO[1023:]):
            yield chunk({"audio": {"data": base64.b64encode(data).decode()}})
        yield chunk({"audio": {"expires_at": CREATED + 3600}})
    else:
        kind = "content" if answer.refusal is None else "refusal"
        for piece in split:
            yield chunk({kind: piece}, tokens=(piece,))
    yield chunk({}, answer.finish)


def _stream(ask: Ask, head: JSON, chunks: list[JSON], billed: Billed) -> Reply:
    """A chat or text completion's stream: usage where it was asked for, `[DONE]` at the end."""
    usage = completion_usage(billed)
    values: list[JSON] = []
    for number, chunk in enumerate(chunks, start=1):
        value = {**head, **chunk}
        if ask.wanted.running_usage:
            output = billed.output_tokens * number // len(chunks)
            total = billed.input_tokens + output
            value["usage"] = {**usage, "completion_tokens": output, "total_tokens": total}
        elif ask.include_usage:
            value["usage"] = None
        values.append(value)
    if ask.include_usage and not ask.wanted.running_usage:
        values.append({**head, "choices": [], "usage": usage})
    return Reply(
        chunks=[*map(event, values), b"data: [DONE]\n\n"],
        content_type=SSE,
        billed=billed,
    )


def _single(ask: Ask) -> list[Ask]:
    """The request for each of its prompts alone: a list of texts, or of lists of tokens, is as many prompts."""
    prompt = ask.body.get("prompt")
    if not isinstance(prompt, list) or not prompt or isinstance(prompt[0], int):
        return [ask]
    return [dataclasses.replace(ask, body={**ask.body, "prompt": one}) for one in prompt]


def _text_choice(ask: Ask, index: int, text: str, finish: str | None) -> JSON:
    tokens = pieces(text, None) if ask.body.get("logprobs") and text else None
    logprobs = tokens and {
        "tokens": tokens,
        "token_logprobs": [-0.25] * len(tokens),
        "top_logprobs": [{token: -0.25} for token in tokens],
        "text_offset": list(itertools.accumulate([0, *map(len, tokens[:-1])])),
    }
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}


def _texts(ask: Ask) -> Iterator[tuple[str, str]]:
    """The choices for one prompt: text and finish reason."""
    echo = content_text(ask.body.get("prompt")) if ask.body.get("echo") else ""
    for choice in range(ask.body.get("n") or 1):
        answer = answer_to(ask, choice)
        yield echo + (answer.text or answer.refusal or ""), answer.finish


def completion(ask: Ask) -> Reply:
    """`POST /completions`, the legacy text completion: the choices for the first prompt, then for the next."""
    prompts = _single(ask)
    billed = dataclasses.replace(sum(map(meter, prompts), Billed()), requests=1)
    head = {
        "id": ask.id("cmpl-"),
        "object": "text_completion",
        "created": CREATED,
        "model": ask.model,
        "system_fingerprint": f"fp_{ask.digest % 2**40:010x}",
    }
    texts = [text for prompt in prompts for text in _texts(prompt)]
    if not ask.streams:
        choices = [_text_choice(ask, index, text, finish) for index, (text, finish) in enumerate(texts)]
        return Reply(encode({**head, "choices": choices, "usage": completion_usage(billed)}), billed=billed)
    wanted = ask.wanted.chunks and max(ask.wanted.chunks - 1, 1)
    lanes = [
        [
            *(_text_choice(ask, index, piece, None) for piece in pieces(text, wanted)),
            _text_choice(ask, index, "", finish),
        ]
        for index, (text, finish) in enumerate(texts)
    ]
    turns = (chunk for turn in itertools.zip_longest(*lanes) for chunk in turn if chunk)
    return _stream(ask, head, [{"choices": [chunk]} for chunk in turns], billed)
