"""A request as the model sees it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a test wants the answer: its text, the number of its chunks, usage on every chunk."""

    text: str | None = None
    chunks: int | None = None
    running_usage: bool = False


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
