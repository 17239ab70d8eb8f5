"""Embeddings."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct

from autotrace.testing.openai_api.ask import Ask
from autotrace.testing.openai_api.billing import Billed
from autotrace.testing.openai_api.reply import Reply, encode, error


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
