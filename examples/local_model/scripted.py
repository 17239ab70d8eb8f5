"""A stand-in for server.py where the real model cannot be installed: the same API, and replies by rule.

    python examples/local_model/scripted.py --port 0

The question decides: under `tool_choice="auto"` the tool whose name and description share most words with it
is called, or none if none shares a word. After a tool result, the result is the answer. A question with facts
above it is answered with the sentence that shares most words with it. The same request is always answered with
the same words. A token is a word. An embedding counts hashed words, so that texts that
share words are near each other.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import re
import struct
import time
import uuid
import zlib
from collections.abc import Callable
from typing import Any

from api import ModelError, serve
from conversation import callable_tools, findings_of, question_of, text_of
from replies import chunks_of, with_tool_call

Json = dict[str, Any]

DIMENSIONS = 128
SHORTEST_TELLING_WORD = 4  # letters; "the", "of" and "how" tell no two texts apart


class ScriptedModel:
    """Replies by rule, as a `Model`."""

    name = "scripted"

    def chat(self, request: Json) -> Json:
        messages = request["messages"]
        function = choose_function(request)
        if function:
            arguments = json.dumps(fill_arguments(function, question_of(messages)))
            reply = self._completion(request, f"{function['name']} {arguments}")
            return with_tool_call(reply, function["name"], arguments)
        return self._completion(request, " ".join(findings_of(messages)) or answer(question_of(messages)))

    def stream_chat(self, request: Json, send: Callable[[Json], None]) -> None:
        for chunk in chunks_of(self.chat(request)):
            send(chunk)

    def embed(self, request: Json) -> Json:
        given = request.get("input")
        texts = [given] if isinstance(given, str) else given
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ModelError(400, "'input' must be a text or a list of texts")
        encode = encode_base64 if request.get("encoding_format") == "base64" else list
        data = [
            {"object": "embedding", "index": index, "embedding": encode(embedding_of(text))}
            for index, text in enumerate(texts)
        ]
        tokens = sum(count_tokens(text) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": self.name, "data": data, "usage": usage}

    def _completion(self, request: Json, text: str) -> Json:
        words = text.split(" ")
        limit = request.get("max_completion_tokens") or request.get("max_tokens") or len(words)
        written = " ".join(words[:limit])
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": written},
            "finish_reason": "length" if len(words) > limit else "stop",
        }
        prompt = sum(count_tokens(text_of(message)) for message in request["messages"])
        prompt += count_tokens(json.dumps(request.get("tools") or ""))
        completion = count_tokens(written)
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": [choice],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }


def count_tokens(text: str) -> int:
    """Count words, as a stand-in for tokens."""
    return len(text.split())


def telling_words(text: str) -> list[str]:
    """Return the words that say what a text is about, in lower case."""
    return [word for word in re.findall(r"[a-z]+", text.lower()) if len(word) >= SHORTEST_TELLING_WORD]


def answer(prompt: str) -> str:
    """Answer the question that ends a prompt with the sentence before it that shares most words, if any does."""
    *facts, question = re.split(r"(?<=[.!?])\s+|\n+", prompt.strip())
    wanted = set(telling_words(question))
    shared = {fact: len(wanted & set(telling_words(fact))) for fact in facts}
    best = max(facts, key=shared.__getitem__, default="")
    return best if question.endswith("?") and shared.get(best) else f"You asked: {prompt}"


def choose_function(request: Json) -> Json | None:
    """Return the function that shares most words with the question, or None to answer in words."""
    functions = callable_tools(request)
    question = set(telling_words(question_of(request["messages"])))

    def shared(function: Json) -> int:
        return len(question & set(telling_words(f"{function['name']} {function.get('description', '')}")))

    best = max(functions, key=shared, default=None)
    if best and request.get("tool_choice", "auto") == "auto" and not shared(best):
        return None
    return best


def fill_arguments(function: Json, question: str) -> Json:
    """Fill the required parameters of a function from the words of the question."""
    parameters = function.get("parameters") or {}
    properties = parameters.get("properties", {})
    return {name: fill_argument(properties[name], question) for name in parameters.get("required", properties)}


def fill_argument(schema: Json, question: str) -> Any:
    """Return a value that fits `schema`: an option, number or name in the question, or the whole question."""
    if "enum" in schema:
        named = [option for option in schema["enum"] if str(option).lower() in question.lower()]
        return (named or schema["enum"])[0]
    if schema.get("type") in ("number", "integer"):
        number = re.search(r"\d+", question)
        return int(number[0]) if number else 0
    if schema.get("type", "string") == "string":
        names = re.findall(r"(?<=\s)[A-Z]\w+", question)
        return names[-1] if names else question
    return {"boolean": True, "array": [], "object": {}}.get(schema["type"])


def embedding_of(text: str) -> list[float]:
    """Return a vector of unit length that counts the telling words of a text."""
    counts = [0.0] * DIMENSIONS
    for word in telling_words(text) or [text]:
        counts[zlib.crc32(word.encode()) % DIMENSIONS] += 1.0
    length = math.hypot(*counts)
    return [count / length for count in counts]


def encode_base64(embedding: list[float]) -> str:
    """Encode an embedding the way OpenAI's client asks for: little-endian 32-bit floats in base64."""
    return base64.b64encode(struct.pack(f"<{len(embedding)}f", *embedding)).decode()


def main() -> None:
    """Serve until the parent leaves."""
    parser = argparse.ArgumentParser(description="A scripted stand-in for a language model behind OpenAI's API.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    serve(ScriptedModel(), parser.parse_args().port)


if __name__ == "__main__":
    main()
