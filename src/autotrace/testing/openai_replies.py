"""The replies of the test server: what OpenAI's API answers, as pure functions of the request.

Everything is derived from the request's meaning (its JSON or form fields, without `stream`, `stream_options`
and `encoding_format`), so that the same question gets the same ids, texts and token figures, streamed or not,
whereas different questions get different figures. Words in the last user text steer the model:

- "refuse": it refuses;
- "content filter": the answer is cut off with finish reason `content_filter`;
- "both": with tools, it calls the first two in parallel. Otherwise it calls the first one; once a tool has
  answered, it answers in words.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

JSON = dict[str, Any]

CREATED = 1_790_000_000
"""Unix time (s) at which every reply says it was created."""

SSE = "text/event-stream; charset=utf-8"
_PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
).decode()
_AUDIO = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(range(256)) * 8


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens billed; the details are parts of `input_tokens` and `output_tokens`, as at the provider."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    input_audio_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0

    def __add__(self, other: Billed) -> Billed:
        return Billed(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Billed)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a test wants the answer: its text, the number of its chunks, usage on every chunk."""

    text: str | None = None
    chunks: int | None = None
    running_usage: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to send: a whole body, or the chunks of a streamed one, and what it bills."""

    body: bytes = b""
    chunks: Sequence[bytes] | None = None
    content_type: str = "application/json"
    billed: Billed = field(default_factory=Billed)
    status: int = 200


@dataclass(frozen=True)
class Ask:
    """A request as the model sees it.

    Args:
        method: HTTP method.
        endpoint: The path below `/v1/`, without query.
        body: The JSON object, or the fields of the form.
        wanted: The test's wishes.
        stored: The server's memory of responses by id.
    """

    method: str
    endpoint: str
    body: JSON
    wanted: Wanted
    stored: MutableMapping[str, JSON]

    @functools.cached_property
    def digest(self) -> int:
        """128 bits that depend on the meaning of the request alone."""
        ignored = ("stream", "stream_options", "encoding_format")
        meaning = {key: value for key, value in self.body.items() if key not in ignored}
        text = json.dumps([self.endpoint, meaning], sort_keys=True, default=repr)
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")

    @property
    def streams(self) -> bool:
        return self.body.get("stream") in (True, "true", "True")

    @property
    def include_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @property
    def model(self) -> str:
        """The dated snapshot that answers, as the provider names it: not the alias that was asked for."""
        return f"{self.body.get('model', 'gpt-4o')}-2026-08-06"

    def id(self, prefix: str, salt: int = 0) -> str:
        return f"{prefix}{(self.digest + salt) % 2**96:024x}"

    def figure(self, low: int, span: int, salt: int) -> int:
        """A number in [low, low + span) out of the digest."""
        return low + (self.digest >> (8 * salt)) % span


def meter(ask: Ask, *, audio: bool = True) -> Billed:
    """The tokens of a generation: non-zero, in disjoint ranges, so that no figure passes for another."""
    return Billed(
        requests=1,
        input_tokens=ask.figure(200, 800, 0),
        output_tokens=ask.figure(1200, 800, 2),
        cached_tokens=ask.figure(100, 40, 4),
        cache_write_tokens=ask.figure(60, 20, 5),
        input_audio_tokens=ask.figure(20, 10, 6) if audio else 0,
        reasoning_tokens=ask.figure(140, 40, 7),
        output_audio_tokens=ask.figure(40, 10, 8) if audio else 0,
    )


def completion_usage(billed: Billed) -> JSON:
    """Usage as chat and text completions report it."""
    return {
        "prompt_tokens": billed.input_tokens,
        "completion_tokens": billed.output_tokens,
        "total_tokens": billed.input_tokens + billed.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": billed.cached_tokens,
            "cache_write_tokens": billed.cache_write_tokens,
            "audio_tokens": billed.input_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": billed.reasoning_tokens,
            "audio_tokens": billed.output_audio_tokens,
            "accepted_prediction_tokens": 2,
            "rejected_prediction_tokens": 1,
        },
    }


def response_usage(billed: Billed) -> JSON:
    """Usage as the Responses API reports it."""
    return {
        "input_tokens": billed.input_tokens,
        "input_tokens_details": {
            "cached_tokens": billed.cached_tokens,
            "cache_write_tokens": billed.cache_write_tokens,
        },
        "output_tokens": billed.output_tokens,
        "output_tokens_details": {"reasoning_tokens": billed.reasoning_tokens},
        "total_tokens": billed.input_tokens + billed.output_tokens,
    }


def encode(value: object) -> bytes:
    """Compact ASCII JSON: a lone surrogate leaves as its escape."""
    return json.dumps(value, separators=(",", ":")).encode()


def event(value: object, name: str | None = None) -> bytes:
    """One server-sent event."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + encode(value) + b"\n\n"


def error(status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> Reply:
    """An error in OpenAI's shape."""
    value = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Reply(encode(value), status=status)


def sample(schema: Any, seed: str, root: Any = None, depth: int = 0) -> Any:
    """A value that fits a simple JSON schema."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > 8:
        return None
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        definitions = root.get("$defs") or root.get("definitions") or {}
        return sample(definitions.get(name), seed, root, depth + 1)
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return sample(schema[union][0], seed, root, depth + 1)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        members = (schema.get("properties") or {}).items()
        return {name: sample(member, f"{name}-{seed}", root, depth + 1) for name, member in members}
    if kind == "array":
        return [sample(schema.get("items"), f"{seed}-{i}", root, depth + 1) for i in range(0 if depth > 5 else 2)]
    plain = {"integer": 7, "number": 2.5, "boolean": True, "null": None}
    return plain.get(kind, seed)


def pieces(text: str, count: int | None) -> list[str]:
    """The text in `count` slices, or word by word."""
    if count is None:
        return re.findall(r"\s*\S+|\s+$", text) or [""]
    return [text[i * len(text) // count : (i + 1) * len(text) // count] for i in range(count)]


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _turns(ask: Ask) -> list[JSON]:
    """The messages or input items of a chat or Responses request."""
    turns = ask.body.get("messages", ask.body.get("input")) or []
    if isinstance(turns, str):
        return [{"role": "user", "content": turns}]
    return [turn for turn in turns if isinstance(turn, dict)]


def _user_text(ask: Ask) -> str:
    texts = [_content_text(turn.get("content")) for turn in _turns(ask) if turn.get("role") == "user"]
    return texts[-1] if texts else _content_text(ask.body.get("prompt"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the model says: text or a refusal, or calls of tools as (name, arguments)."""

    text: str | None
    finish: str
    refusal: str | None = None
    calls: tuple[tuple[str, str], ...] = ()


def _answer(ask: Ask, choice: int = 0) -> _Answer:
    asked = _user_text(ask)
    calls = _calls(ask, asked)
    if calls:
        return _Answer(None, "tool_calls", calls=calls)
    if "refuse" in asked:
        return _Answer(None, "stop", refusal="I am sorry, but I cannot help with that.")
    if ask.wanted.text is not None or ask.wanted.chunks is not None:
        return _Answer(_long_enough(ask), "stop")
    text = _structured(ask) or f'You asked: "{asked[:60]}". The answer is {ask.digest % 2**24:06x}.'
    text += f" (choice {choice})" if choice else ""
    if "content filter" in asked:
        return _Answer(text[:10], "content_filter")
    limits = (ask.body.get(key) for key in ("max_tokens", "max_completion_tokens", "max_output_tokens"))
    limit = next((limit for limit in limits if isinstance(limit, int)), None)
    words = pieces(text, None)
    if limit is not None and limit < len(words):
        return _Answer("".join(words[:limit]), "length")
    return _Answer(text, "stop")


def _long_enough(ask: Ask) -> str:
    """The text that the test wants, or enough words for the chunks that it wants."""
    if ask.wanted.text is not None:
        return ask.wanted.text
    return " ".join(f"word{i}" for i in range(ask.wanted.chunks or 1))


def _structured(ask: Ask) -> str | None:
    """JSON that fits the schema of a structured output, or None."""
    wish = ask.body.get("response_format") or (ask.body.get("text") or {}).get("format") or {}
    if wish.get("type") == "json_object":
        return json.dumps({"answer": ask.id("")})
    if wish.get("type") != "json_schema":
        return None
    schema = wish.get("schema") or (wish.get("json_schema") or {}).get("schema") or {}
    return json.dumps(sample(schema, ask.id("")[:6]))


def _calls(ask: Ask, asked: str) -> tuple[tuple[str, str], ...]:
    turns = _turns(ask)
    tools = [tool for tool in ask.body.get("tools") or () if tool.get("type") == "function"]
    if not tools or not turns or turns[-1].get("role") != "user" or ask.body.get("tool_choice") == "none":
        return ()
    functions = [tool.get("function", tool) for tool in tools[: 2 if "both" in asked else 1]]
    if "both" in asked and len(functions) == 1:
        functions *= 2
    seeds = (f"{ask.id('')[:4]}{i}" for i in itertools.count())
    return tuple(
        (function["name"], json.dumps(sample(function.get("parameters") or {"type": "object"}, seed)))
        for function, seed in zip(functions, seeds)  # noqa: B905 - the seeds never end
    )


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
    answers = [_answer(ask, choice) for choice in range(ask.body.get("n") or 1)]
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


def _speaks(ask: Ask, answer: _Answer) -> bool:
    return bool(answer.text) and "audio" in (ask.body.get("modalities") or ())


def _chat_calls(ask: Ask, answer: _Answer, choice: int) -> list[JSON]:
    return [
        {
            "id": ask.id("call_", 10 * choice + i),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for i, (name, arguments) in enumerate(answer.calls)
    ]


def _chat_message(ask: Ask, answer: _Answer, choice: int) -> JSON:
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
            "data": base64.b64encode(_AUDIO).decode(),
            "expires_at": CREATED + 3600,
            "transcript": answer.text,
        }
    return message


def _chat_deltas(ask: Ask, answer: _Answer, choice: int) -> Iterator[JSON]:
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
        for data in (_AUDIO[:1023], _AUDIO[1023:]):
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


def completion(ask: Ask) -> Reply:
    """`POST /completions`, the legacy text completion."""
    billed = meter(ask)
    head = {
        "id": ask.id("cmpl-"),
        "object": "text_completion",
        "created": CREATED,
        "model": ask.model,
        "system_fingerprint": f"fp_{ask.digest % 2**40:010x}",
    }
    prompt = _content_text(ask.body.get("prompt")) if ask.body.get("echo") else ""
    answers = [_answer(ask, choice) for choice in range(ask.body.get("n") or 1)]

    def choice(index: int, text: str, finish: str | None) -> JSON:
        tokens = pieces(text, None) if ask.body.get("logprobs") and text else None
        logprobs = tokens and {
            "tokens": tokens,
            "token_logprobs": [-0.25] * len(tokens),
            "top_logprobs": [{token: -0.25} for token in tokens],
            "text_offset": list(itertools.accumulate([0, *map(len, tokens[:-1])])),
        }
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}

    texts = [(prompt + (answer.text or answer.refusal or ""), answer.finish) for answer in answers]
    if not ask.streams:
        choices = [choice(index, text, finish) for index, (text, finish) in enumerate(texts)]
        return Reply(encode({**head, "choices": choices, "usage": completion_usage(billed)}), billed=billed)
    wanted = ask.wanted.chunks and max(ask.wanted.chunks - 1, 1)
    lanes = [
        [*(choice(index, piece, None) for piece in pieces(text, wanted)), choice(index, "", finish)]
        for index, (text, finish) in enumerate(texts)
    ]
    turns = (chunk for turn in itertools.zip_longest(*lanes) for chunk in turn if chunk)
    return _stream(ask, head, [{"choices": [chunk]} for chunk in turns], billed)


def create_response(ask: Ask) -> Reply:
    """`POST /responses`, at once, streamed, or in the background."""
    billed = meter(ask, audio=False)
    response = _response(ask, billed)
    ask.stored[response["id"]] = response
    if ask.streams:
        return Reply(chunks=_response_events(ask, response), content_type=SSE, billed=billed)
    if ask.body.get("background"):
        response = {**response, "status": "queued", "output": [], "usage": None, "completed_at": None}
    return Reply(encode(response), billed=billed)


def stored_response(ask: Ask) -> Reply:
    """`GET` and `DELETE /responses/{id}`, `POST /responses/{id}/cancel`: none of them bills anything."""
    _, identity, *action = ask.endpoint.split("/")
    response = ask.stored.get(identity)
    if response is None or action not in ([], ["cancel"]):
        return error(404, f"Response with id '{identity}' not found.")
    if ask.method == "DELETE":
        del ask.stored[identity]
        return Reply(encode({"id": identity, "object": "response", "deleted": True}))
    if action:
        response = {**response, "status": "cancelled", "output": [], "usage": None, "completed_at": None}
        ask.stored[identity] = response
    if ask.streams:
        return Reply(chunks=_response_events(ask, response), content_type=SSE)
    return Reply(encode(response))


def compact(ask: Ask) -> Reply:
    """`POST /responses/compact`."""
    billed = meter(ask, audio=False)
    secret = base64.b64encode(ask.digest.to_bytes(16, "big")).decode()
    item = {"id": ask.id("cmp_"), "type": "compaction", "encrypted_content": secret}
    value = {
        "id": ask.id("resp_"),
        "object": "response.compaction",
        "created_at": CREATED,
        "output": [item],
        "usage": response_usage(billed),
    }
    return Reply(encode(value), billed=billed)


def _response(ask: Ask, billed: Billed) -> JSON:
    """The whole response: what `response.completed` and a later GET carry."""
    answer = _answer(ask)
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(answer.finish)
    reasoning = ask.body.get("reasoning") or {}
    return {
        "id": ask.id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "completed_at": None if reason else CREATED + 1,
        "status": "incomplete" if reason else "completed",
        "background": bool(ask.body.get("background")),
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": ask.body.get("instructions"),
        "max_output_tokens": ask.body.get("max_output_tokens"),
        "metadata": ask.body.get("metadata") or {},
        "model": ask.model,
        "output": _output(ask, answer, "incomplete" if reason else "completed"),
        "parallel_tool_calls": True,
        "previous_response_id": ask.body.get("previous_response_id"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": "default",
        "store": ask.body.get("store", True),
        "temperature": ask.body.get("temperature", 1.0),
        "text": ask.body.get("text") or {"format": {"type": "text"}},
        "tool_choice": ask.body.get("tool_choice") or "auto",
        "tools": ask.body.get("tools") or [],
        "top_p": ask.body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": response_usage(billed),
        "user": None,
    }


def _output(ask: Ask, answer: _Answer, status: str) -> list[JSON]:
    items: list[JSON] = []
    if ask.body.get("reasoning"):
        summary = [{"type": "summary_text", "text": "Thought about the question, then about the answer."}]
        items.append({"id": ask.id("rs_"), "type": "reasoning", "summary": summary})
    for i, (name, arguments) in enumerate(answer.calls):
        call = {"id": ask.id("fc_", i), "type": "function_call", "call_id": ask.id("call_", i), "name": name}
        items.append({**call, "arguments": arguments, "status": "completed"})
    if not answer.calls:
        text: JSON = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        part = text if answer.refusal is None else {"type": "refusal", "refusal": answer.refusal}
        message = {"id": ask.id("msg_"), "type": "message", "role": "assistant", "status": status}
        items.append({**message, "content": [part]})
    return items


def _response_events(ask: Ask, response: JSON) -> list[bytes]:
    """The typed events of a response, numbered."""
    started = {**response, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    values: list[JSON] = [{"type": "response.created", "response": started}]
    if response["background"]:
        values.append({"type": "response.queued", "response": {**started, "status": "queued"}})
    values.append({"type": "response.in_progress", "response": started})
    for index, item in enumerate(response["output"]):
        values += _item_events(ask, index, item)
    values.append({"type": f"response.{response['status']}", "response": response})
    numbered = ({**value, "sequence_number": number} for number, value in enumerate(values))
    return [event(value, value["type"]) for value in numbered]


def _item_events(ask: Ask, index: int, item: JSON) -> Iterator[JSON]:
    bodies: dict[str, tuple[str, Any, Callable[[Ask, JSON], Iterable[JSON]]]] = {
        "message": ("content", [], _message_events),
        "function_call": ("arguments", "", _call_events),
        "reasoning": ("summary", [], _reasoning_events),
    }
    member, nothing, inner = bodies[item["type"]]
    begun = {**item, member: nothing, **({"status": "in_progress"} if "status" in item else {})}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    for value in inner(ask, item):
        yield {**value, "item_id": item["id"], "output_index": index}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _message_events(ask: Ask, item: JSON) -> Iterator[JSON]:
    part = item["content"][0]
    member, kind = ("refusal", "refusal") if part["type"] == "refusal" else ("text", "output_text")
    extra = {"content_index": 0, **({"logprobs": []} if member == "text" else {})}
    yield {"type": "response.content_part.added", "content_index": 0, "part": {**part, member: ""}}
    for piece in pieces(part[member], ask.wanted.chunks):
        yield {"type": f"response.{kind}.delta", "delta": piece, **extra}
    yield {"type": f"response.{kind}.done", member: part[member], **extra}
    yield {"type": "response.content_part.done", "content_index": 0, "part": part}


def _call_events(ask: Ask, item: JSON) -> Iterator[JSON]:
    kind = "response.function_call_arguments"
    for piece in pieces(item["arguments"], 3):
        yield {"type": f"{kind}.delta", "delta": piece}
    yield {"type": f"{kind}.done", "name": item["name"], "arguments": item["arguments"]}


def _reasoning_events(ask: Ask, item: JSON) -> Iterator[JSON]:
    part = item["summary"][0]
    kind = "response.reasoning_summary"
    yield {"type": f"{kind}_part.added", "summary_index": 0, "part": {**part, "text": ""}}
    for piece in pieces(part["text"], 2):
        yield {"type": f"{kind}_text.delta", "summary_index": 0, "delta": piece}
    yield {"type": f"{kind}_text.done", "summary_index": 0, "text": part["text"]}
    yield {"type": f"{kind}_part.done", "summary_index": 0, "part": part}


def embeddings(ask: Ask) -> Reply:
    """`POST /embeddings`: unit vectors, of 8 dimensions unless told otherwise."""
    inputs = ask.body.get("input")
    if not inputs:
        return error(400, "Missing required parameter: 'input'.", code="missing_required_parameter")
    if isinstance(inputs, str) or isinstance(inputs[0], int):
        inputs = [inputs]
    vectors = [_vector(value, ask.body.get("dimensions") or 8) for value in inputs]
    if ask.body.get("encoding_format") == "base64":
        packed = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in vectors]
        vectors = packed  # type: ignore[assignment]
    billed = Billed(requests=1, input_tokens=ask.figure(200, 800, 0))
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    usage = {"prompt_tokens": billed.input_tokens, "total_tokens": billed.input_tokens}
    value = {"object": "list", "data": data, "model": ask.body.get("model"), "usage": usage}
    return Reply(encode(value), billed=billed)


def _vector(value: object, dimensions: int) -> list[float]:
    seed = hashlib.shake_128(json.dumps(value).encode()).digest(dimensions)
    raw = [byte - 127.5 for byte in seed]
    length = math.sqrt(sum(x * x for x in raw))
    # Rounded to float32, so that both encodings carry the same numbers.
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(x / length for x in raw))))


def image(ask: Ask) -> Reply:
    """`POST /images/generations` and `/images/edits`; tokens are reported and billed for gpt-image models."""
    model = str(ask.body.get("model", "dall-e-2"))
    count = int(ask.body.get("n") or 1)
    form = {"background": "opaque", "output_format": "png", "quality": "high", "size": "1024x1024"}
    if not model.startswith("gpt-image"):
        as_data = ask.body.get("response_format") == "b64_json"
        one = {"b64_json": _PNG} if as_data else {"url": f"https://images.example/{ask.id('img-')}.png"}
        data = [{**one, "revised_prompt": f"{ask.body.get('prompt')}, in detail"}] * count
        return Reply(encode({"created": CREATED, "data": data}))
    billed = Billed(1, ask.figure(200, 800, 0), ask.figure(1200, 800, 2))
    text, drawn = ask.figure(60, 20, 5), billed.output_tokens - 17
    usage = {
        "input_tokens": billed.input_tokens,
        "input_tokens_details": {"text_tokens": text, "image_tokens": billed.input_tokens - text},
        "output_tokens": billed.output_tokens,
        "output_tokens_details": {"text_tokens": 17, "image_tokens": drawn},
        "total_tokens": billed.input_tokens + billed.output_tokens,
    }
    if ask.streams:
        kind = "image_edit" if ask.endpoint.endswith("edits") else "image_generation"
        value = {"b64_json": _PNG, "created_at": CREATED, **form}
        parts: list[JSON] = [
            {"type": f"{kind}.partial_image", **value, "partial_image_index": 0},
            {"type": f"{kind}.completed", **value, "usage": usage},
        ]
        return Reply(chunks=[event(part, part["type"]) for part in parts], content_type=SSE, billed=billed)
    whole = {"created": CREATED, **form, "data": [{"b64_json": _PNG}] * count, "usage": usage}
    return Reply(encode(whole), billed=billed)


def transcription(ask: Ask) -> Reply:
    """`POST /audio/transcriptions`: whisper is billed by the second, the others by tokens."""
    text = ask.wanted.text or f"This is the transcript {ask.digest % 2**24:06x}."
    style = ask.body.get("response_format", "json")
    if style in ("text", "srt", "vtt"):
        return Reply(text.encode() + b"\n", content_type="text/plain; charset=utf-8")
    if str(ask.body.get("model", "whisper-1")).startswith("whisper"):
        value: JSON = {"text": text, "usage": {"type": "duration", "seconds": ask.figure(2, 50, 3)}}
        if style == "verbose_json":
            value |= {
                "task": "transcribe",
                "language": "english",
                "duration": 4.5,
                "segments": [],
                "words": [],
            }
        return Reply(encode(value))
    audio, wrote = ask.figure(200, 800, 0), ask.figure(1200, 800, 2)
    billed = Billed(1, audio + 14, wrote, input_audio_tokens=audio)
    usage = {
        "type": "tokens",
        "input_tokens": billed.input_tokens,
        "input_token_details": {"text_tokens": 14, "audio_tokens": audio},
        "output_tokens": wrote,
        "total_tokens": billed.input_tokens + wrote,
    }
    if not ask.streams:
        return Reply(encode({"text": text, "usage": usage}), billed=billed)
    parts: list[JSON] = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces(text, ask.wanted.chunks)]
    parts.append({"type": "transcript.text.done", "text": text, "usage": usage})
    return Reply(chunks=[event(part) for part in parts], content_type=SSE, billed=billed)


def translation(ask: Ask) -> Reply:
    """`POST /audio/translations`: billed by the second, so without tokens."""
    return Reply(encode({"text": ask.wanted.text or f"This is the translation {ask.digest % 2**24:06x}."}))


def speech(ask: Ask) -> Reply:
    """`POST /audio/speech`: audio in three chunks, without tokens; or events, with."""
    data = [_AUDIO[start : start + 700] for start in range(0, len(_AUDIO), 700)]
    if ask.body.get("stream_format") != "sse":
        return Reply(chunks=data, content_type="audio/mpeg")
    billed = Billed(1, ask.figure(200, 800, 0), ask.figure(1200, 800, 2))
    usage = {"input_tokens": billed.input_tokens, "output_tokens": billed.output_tokens}
    usage["total_tokens"] = sum(usage.values())
    parts: list[JSON] = [{"type": "speech.audio.delta", "audio": base64.b64encode(d).decode()} for d in data]
    parts.append({"type": "speech.audio.done", "usage": usage})
    return Reply(chunks=[event(part) for part in parts], content_type=SSE, billed=billed)


def moderation(ask: Ask) -> Reply:
    """`POST /moderations`: free; flags what contains "violence"."""
    inputs = ask.body.get("input", "")
    inputs = inputs if isinstance(inputs, list) else [inputs]
    value = {"id": ask.id("modr-"), "model": "omni-moderation-latest", "results": [_judge(x) for x in inputs]}
    return Reply(encode(value))


def _judge(value: object) -> JSON:
    names = "harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm"
    names += " self-harm/instructions self-harm/intent sexual sexual/minors violence violence/graphic"
    flagged = "violence" in str(value)
    found = {name: flagged and name == "violence" for name in names.split()}
    scores = {name: 0.9 if hit else 0.01 for name, hit in found.items()}
    applied = {name: ["text"] for name in found}
    return {
        "flagged": flagged,
        "categories": found,
        "category_scores": scores,
        "category_applied_input_types": applied,
    }


def models(ask: Ask) -> Reply:
    """`GET /models` and `GET /models/{id}`."""
    named = ask.endpoint.split("/")[1:] or ["gpt-4o", "gpt-5.4", "text-embedding-3-small"]
    data = [{"id": n, "object": "model", "created": CREATED, "owned_by": "openai"} for n in named]
    return Reply(encode({"object": "list", "data": data} if ask.endpoint == "models" else data[0]))


_ENDPOINTS: dict[str, Callable[[Ask], Reply]] = {
    "POST chat/completions": chat,
    "POST completions": completion,
    "POST responses": create_response,
    "POST responses/compact": compact,
    "POST embeddings": embeddings,
    "POST images/generations": image,
    "POST images/edits": image,
    "POST audio/transcriptions": transcription,
    "POST audio/translations": translation,
    "POST audio/speech": speech,
    "POST moderations": moderation,
    "GET models": models,
}


def reply_to(ask: Ask) -> Reply:
    """The model's reply, or OpenAI's 404 for what is not served here."""
    endpoint = _ENDPOINTS.get(f"{ask.method} {ask.endpoint}")
    if endpoint is not None:
        return endpoint(ask)
    if ask.endpoint.startswith("responses/"):
        return stored_response(ask)
    if ask.method == "GET" and ask.endpoint.startswith("models/"):
        return models(ask)
    return error(404, f"Invalid URL ({ask.method} /v1/{ask.endpoint})")
