"""The fixed conversation that every setup traces: some 1,000 tokens in, 120 out, whole or as 60 chunks."""

from __future__ import annotations

import base64
import json
import struct

URL = "https://api.openai.com/v1"
API_KEY = "sk-bench"
MODEL = "gpt-4o-mini"
EMBEDDING_MODEL = "text-embedding-3-small"
PROMPT_MARK = "benchprompt"
ANSWER_MARK = "benchanswer"
CHUNKS = 60
CONCURRENCY = 10
PROMPT_TOKENS, QUESTION_TOKENS = 1008, 9

_PASSAGE = "The committee met on Tuesday to review the quarterly figures and found that costs had risen. "
SYSTEM = "You answer from the passages given, in one short paragraph, and name your source. " * 5
PASSAGES = _PASSAGE * 40
ASKED = "What did the committee find?"
MESSAGES: list[dict[str, str]] = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": f"{PROMPT_MARK} {PASSAGES} {ASKED}"},
]
# A query engine retrieves two of them by default, and so asks the model about as much as MESSAGES do.
DOCUMENTS = [f"Minutes, page {page}. {_PASSAGE * 20}" for page in range(1, 6)]
QUESTION = f"{PROMPT_MARK} {ASKED}"
# As many dimensions as EMBEDDING_MODEL has, for there are tracers that record them.
VECTOR = [round((number % 97 - 48) / 1000, 4) for number in range(1536)]

_WORDS = [f"{ANSWER_MARK} ", *["It found that costs "] * (CHUNKS - 5), "had risen."]
_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": 120,
    "total_tokens": PROMPT_TOKENS + 120,
    "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_COMMON = {
    "id": "chatcmpl-bench",
    "created": 1767225600,
    "model": f"{MODEL}-2024-07-18",
    "service_tier": "default",
}


def completion() -> bytes:
    """The body of a chat completion."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": "".join(_WORDS[:30]),
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return json.dumps({**_COMMON, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def event_stream() -> bytes:
    """The body of a streamed chat completion: CHUNKS chunks, of which the last carries the usage."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in _WORDS]
    deltas.append(({}, "stop"))
    chunks: list[dict[str, object]] = [
        {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}], "usage": None}
        for delta, reason in deltas
    ]
    chunks.append({"choices": [], "usage": _USAGE})
    lines = [json.dumps({**_COMMON, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


def embedding() -> bytes:
    """The body that answers an embedding of one text, in base64, which is what the SDK asks for."""
    packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": packed}],
        "model": EMBEDDING_MODEL,
        "usage": {"prompt_tokens": QUESTION_TOKENS, "total_tokens": QUESTION_TOKENS},
    }
    return json.dumps(answer).encode()
