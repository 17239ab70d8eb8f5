"""Bodies that were sent compressed, bit by bit, and no more of them than they are worth."""

from __future__ import annotations

import zlib

#: Bytes that any body may grow to, and how many times its size a larger one may. Text becomes 5 to 20 times larger;
#: what becomes 1000 times larger was made to fill a memory.
FREE = 1_000_000
GROWTH = 50


class Decoder:
    """Decodes what is told to be `gzip` or `deflate`.

    Attributes:
        is_broken: What came is not what it was told to be, or grew too large: nothing more is decoded.
    """

    __slots__ = ("_room", "_stream", "is_broken")

    def __init__(self, encoding: str) -> None:
        # 47: with the head of gzip or of zlib.
        self._stream = zlib.decompressobj(47) if encoding == "gzip" else None
        self._room = FREE
        self.is_broken = False

    def decode(self, data: bytes) -> bytes:
        """What the next bytes stand for: as far as it goes."""
        if self.is_broken or not data:
            return b""
        self._room += GROWTH * len(data)
        try:
            if self._stream is None:
                self._stream = _deflated(data)
            found = self._stream.decompress(data, self._room)
        except zlib.error:
            self.is_broken = True
            return b""
        self._room -= len(found)
        self.is_broken = self._room <= 0
        return found


def _deflated(data: bytes) -> zlib._Decompress:
    """`deflate` means zlib's format, and some send the bare one that zlib wraps."""
    is_zlib = data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
    return zlib.decompressobj(47 if is_zlib else -15)


def decoder(encoding: str | None) -> Decoder | None:
    """What decodes a body; None where it is not compressed.

    Raises:
        LookupError: Nothing here decodes it.
    """
    name = (encoding or "").strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return Decoder("gzip")
    if name == "deflate":
        return Decoder("deflate")
    raise LookupError(name)
