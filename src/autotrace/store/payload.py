"""The content of a span as the store keeps it: JSON behind one byte that tells whether it is compressed."""

from __future__ import annotations

import zlib
from typing import Any, cast

import orjson

PLAIN = b"\x00"
ZLIB = b"\x01"
#: Bytes of JSON above which compression pays: that of a usual call's takes more time, in the traced process, than
#: everything else that is done for it, and saves a few KB.
COMPRESS_ABOVE = 32 * 1024


def encode(content: dict[str, Any]) -> bytes:
    """The JSON of a span's content, compressed when it is long."""
    text = orjson.dumps(content)
    if len(text) <= COMPRESS_ABOVE:
        return PLAIN + text
    return ZLIB + zlib.compress(text, 1)


def decode(blob: bytes) -> dict[str, Any]:
    """The content that `encode` was given.

    Raises:
        ValueError: The bytes are damaged.
    """
    kind, text = blob[:1], blob[1:]
    if kind == ZLIB:
        try:
            text = zlib.decompress(text)
        except zlib.error as error:
            raise ValueError(f"a payload cannot be decompressed: {error}") from None
    elif kind != PLAIN:
        raise ValueError(f"a payload begins with {kind!r}")
    return cast(dict[str, Any], orjson.loads(text))
