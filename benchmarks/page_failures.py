"""What goes wrong in the made-up shop: exceptions as SDKs and tools raise them, with what varies in their messages."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

_HOME = "/srv/assistant"
_SDK = f"{_HOME}/.venv/lib/python3.12/site-packages"


class Failure(NamedTuple):
    """An exception: its class, what it says, where it was raised, and how often the SDK had tried again before."""

    type: str
    message: str
    stack: str
    retries: int = 0
    status: int | None = None

    def event(self, time_ns: int) -> dict[str, Any]:
        """As a span has it."""
        attributes = {
            "exception.type": self.type,
            "exception.message": self.message,
            "exception.stacktrace": f"{self.stack}{self.type}: {self.message}\n",
        }
        return {"name": "exception", "time": time_ns, "attributes": attributes}


def retry(time_ns: int, left: int, error: str, status: int | None) -> dict[str, Any]:
    """That an SDK tried again."""
    attributes = {"autotrace.retry.left": left, "error.type": error, "http.response.status_code": status}
    return {"name": "retry", "time": time_ns, "attributes": {k: v for k, v in attributes.items() if v is not None}}


def of_model(chance: random.Random, provider: str, model: str) -> Failure:
    """What a provider refuses, or never answers."""
    kind = chance.choices(("rate", "timeout", "bad", "server"), (45, 25, 15, 15))[0]
    if provider == "anthropic":
        return _of_anthropic(chance, kind)
    if provider == "gcp.gemini":
        return _of_google(chance, kind, model)
    return _of_openai(chance, kind, model)


def of_tool(chance: random.Random, tool: str) -> Failure:
    """What a tool raises; each tool has one thing that it mostly fails with."""
    number = chance.getrandbits(32)
    order, line = f"A-{number % 9_000_000 + 1_000_000}", 20 + sum(tool.encode()) % 90
    kinds = (
        Failure("KeyError", "'warehouse'", ""),
        Failure("ValueError", f"order {order} has no parcel", ""),
        Failure("httpx.ConnectTimeout", f"timed out after {number % 9 + 1}.0 s: http://{tool}.internal:8080/v1", ""),
        Failure("LookupError", f"no customer {number % 99991} in shard {number % 16}", ""),
        Failure(
            "json.decoder.JSONDecodeError",
            f"Expecting value: line 1 column {number % 400 + 1} (char {number % 400})",
            "",
        ),
        Failure("sqlite3.OperationalError", "database is locked", ""),
        Failure("PermissionError", f"token of session {number:08x} expired {number % 500} s ago", ""),
    )
    usual = kinds[sum(tool.encode()) % len(kinds)]
    failure = usual if chance.random() < 0.7 else chance.choice(kinds)
    return failure._replace(
        stack=_frames(("assistant/agent.py", 118, "run"), (f"assistant/tools/{tool}.py", line, tool))
    )


def _of_openai(chance: random.Random, kind: str, model: str) -> Failure:
    used, wanted = chance.randrange(20_000, 30_000), chance.randrange(400, 9_000)
    if kind == "rate":
        text = (
            f"Error code: 429 - {{'error': {{'message': 'Rate limit reached for {model} in organization "
            f"org-{chance.getrandbits(48):012x} on tokens per min (TPM): Limit 30000, Used {used}, Requested {wanted}. "
            f"Please try again in {wanted / 500:.3f}s.', 'type': 'tokens', 'code': 'rate_limit_exceeded'}}}}"
        )
        return Failure("openai.RateLimitError", text, _sdk("openai", "_request", 1037), 2, 429)
    if kind == "timeout":
        return Failure("openai.APITimeoutError", "Request timed out.", _sdk("openai", "_request", 982), 2)
    if kind == "bad":
        text = (
            "Error code: 400 - {'error': {'message': \"This model's maximum context length is 128000 tokens. However, "
            f'your messages resulted in {128_000 + wanted} tokens. Please reduce the length of the messages."}}}}'
        )
        return Failure("openai.BadRequestError", text, _sdk("openai", "_request", 1037), 0, 400)
    text = f"Error code: 503 - upstream connect error, request req_{chance.getrandbits(64):016x}"
    return Failure("openai.InternalServerError", text, _sdk("openai", "_request", 1037), 2, 503)


def _of_anthropic(chance: random.Random, kind: str) -> Failure:
    request = f"req_{chance.getrandbits(64):016x}"
    if kind == "timeout":
        return Failure(
            "anthropic.APITimeoutError", "Request timed out or interrupted.", _sdk("anthropic", "_request", 1024), 2
        )
    if kind == "bad":
        text = f"prompt is too long: {chance.randrange(200_001, 240_000)} tokens > 200000 maximum"
        return Failure(
            "anthropic.BadRequestError",
            f"Error code: 400 - {text} ({request})",
            _sdk("anthropic", "_request", 1071),
            0,
            400,
        )
    name, status = ("RateLimitError", 429) if kind == "rate" else ("OverloadedError", 529)
    text = f"Error code: {status} - {{'type': 'error', 'request_id': '{request}'}}"
    return Failure(f"anthropic.{name}", text, _sdk("anthropic", "_request", 1071), 2, status)


def _of_google(chance: random.Random, kind: str, model: str) -> Failure:
    stack = _sdk("google/genai", "raise_error", 220)
    if kind == "bad":
        return Failure("google.genai.errors.ClientError", "400 INVALID_ARGUMENT. contents are required.", stack, 0, 400)
    if kind == "rate":
        wait = chance.randrange(1, 60)
        return Failure(
            "google.genai.errors.ClientError",
            f"429 RESOURCE_EXHAUSTED. Quota exceeded for {model}, retry in {wait}s",
            stack,
            0,
            429,
        )
    return Failure("google.genai.errors.ServerError", "503 UNAVAILABLE. The model is overloaded.", stack, 0, 503)


def _sdk(package: str, function: str, line: int) -> str:
    return _frames(("assistant/agent.py", 96, "answer")) + (
        f'  File "{_SDK}/{package}/resources/chat.py", line 1211, in create\n    return self._post(\n'
        f'  File "{_SDK}/{package}/_base_client.py", line {line}, in {function}\n    raise self._make_status_error()\n'
    )


def _frames(*frames: tuple[str, int, str]) -> str:
    return "".join(
        f'  File "{_HOME}/{file}", line {line}, in {function}\n    return {function}_of(*arguments)\n'
        for file, line, function in frames
    )
