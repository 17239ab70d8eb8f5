"""What a response answers, read while it passes: next to nothing is done with a piece, and memory stays bounded."""

from __future__ import annotations

from .answers import Answered, failure, is_page, whole_answer
from .content_types import content_type as parsed_type
from .encodings import decoder
from .events import END, begins, ended, kind_of, piece, with_plain_ends
from .fields import Fields
from .folding import Fold

#: Bytes of a response that came as a whole, or of one event of a stream, that are kept.
MOST = 1_000_000
#: Bytes that gather before they are looked at, plain and compressed.
_BATCH, _COMPRESSED_BATCH = 32_768, 8_192
#: Bytes of the end of a streamed answer that are read when there is no room for more of it: they tell how it ended.
_TAIL = 4_096
#: What a frame of a WebSocket is told apart from the next one by, here.
FRAMES = "frames"


class AnswerReader:
    """Reads one response.

    Args:
        status: HTTP's.
        content_type: The header; `FRAMES` where each chunk is a message of a WebSocket.
        content_encoding: The header: `gzip` and `deflate` are decoded, others are not read.
        fields: Where the user's settings say that the answer stands.

    Example:
        >>> reader = AnswerReader(200, "text/event-stream")
        >>> for chunk in (b'data: {"token": "Hel"}', b'\\n\\ndata: {"token": "lo"}', b"\\n\\n"):
        ...     reader.feed(chunk)
        >>> reader.answered().output
        'Hello'
    """

    __slots__ = (
        *("_charset", "_chunks", "_decoder", "_fields", "_is_over", "_kind", "_limit", "_rest", "_size", "_status"),
        "_stream",
    )

    def __init__(
        self,
        status: int,
        content_type: str | None = None,
        content_encoding: str | None = None,
        fields: Fields = Fields(),  # noqa: B008 (frozen)
    ) -> None:
        known = parsed_type(content_type)
        self._status = status
        self._kind: str = FRAMES if content_type == FRAMES else known.kind
        self._charset = known.charset
        self._fields = fields
        self._stream: _Stream | None = None
        self._is_over = self._kind in ("binary", "form", "multipart") or not _has_answer(status)
        self._chunks: list[bytes] = []
        self._size = 0
        self._rest = b""
        try:
            self._decoder = decoder(content_encoding)
        except LookupError:
            self._decoder, self._is_over = None, True
        self._limit = _BATCH if self._decoder is None else _COMPRESSED_BATCH

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body, of any type that has bytes."""
        if self._is_over or not chunk:
            return
        self._chunks.append(chunk if type(chunk) is bytes else bytes(chunk))
        self._size += len(chunk)
        if self._size >= self._limit:
            self._digest()

    def answered(self) -> Answered:
        """What has been answered, as far as it has come. Called once, however the response ended."""
        self._digest()
        if self._stream is not None:
            return self._stream.answered()
        if not self._rest:
            return Answered()
        if self._status >= 400:
            return failure(self._rest, self._charset)
        return whole_answer(self._rest, self._kind, self._charset, self._fields)

    def _digest(self) -> None:
        """Takes what has gathered to where it belongs."""
        chunks, self._chunks, self._size = self._chunks, [], 0
        if self._kind == FRAMES:
            self._stream = self._stream or _Stream(FRAMES, self._fields)
            self._stream.frames(chunks)
            return
        data = b"".join(chunks)
        if self._decoder is not None:
            data = self._decoder.decode(data)
            self._is_over = self._decoder.is_broken
        if self._stream is None and not self._rest:
            self._stream = self._streamed(data)
        if self._stream is not None:
            self._stream.add(data)
            return
        self._rest += data
        if self._kind != "json" and is_page(self._rest):
            self._rest, self._is_over = b"", True
        elif len(self._rest) >= MOST:
            self._rest, self._is_over = self._rest[:MOST], True
        elif self._decoder is None:
            self._limit = MOST - len(self._rest)

    def _streamed(self, start: bytes) -> _Stream | None:
        """The stream that this body is, by its beginning; None where it is none."""
        if self._status >= 400 or not start:
            return None
        kind = self._kind if self._kind in ("events", "lines") else kind_of(start)
        return None if kind is None else _Stream(kind, self._fields)


def _has_answer(status: int) -> bool:
    """Whether a response has a body, and no mere direction to another address."""
    return status >= 200 and not 300 <= status < 400 and status not in (204, 205)


def read_response(
    status: int,
    content_type: str | None,
    body: bytes,
    fields: Fields = Fields(),  # noqa: B008 (frozen)
    content_encoding: str | None = None,
) -> Answered:
    """What a response answers whose body is at hand, or the beginning of it (see `AnswerReader`)."""
    reader = AnswerReader(status, content_type, content_encoding, fields)
    reader.feed(body)
    return reader.answered()


class _Stream:
    """A body that comes in pieces.

    Args:
        kind: `events`, `lines` or `frames`.
        fields: Where the user's settings say that the answer stands.
    """

    __slots__ = ("_fold", "_kind", "_rest", "_skips")

    def __init__(self, kind: str, fields: Fields) -> None:
        self._kind = kind
        self._fold = Fold(fields)
        self._rest = b""
        #: Whether what comes next begins in the midst of a piece that was given up.
        self._skips = False

    def add(self, data: bytes) -> None:
        """More of it: whole pieces are added to the answer, the rest waits."""
        data = self._rest + data
        if self._fold.is_full:
            self._rest, self._skips = data[-_TAIL:], True
            return
        end = ended(self._kind, data)
        is_too_long = len(data) - end > MOST
        if is_too_long:
            end = len(data)
        self._fold_up(data[:end], is_too_long)
        self._rest = data[end:]
        self._skips = self._skips or is_too_long

    def frames(self, chunks: list[bytes]) -> None:
        """Messages of a WebSocket."""
        for chunk in chunks[-1:] if self._fold.is_full else chunks:
            self._fold.add(b"", chunk)

    def answered(self) -> Answered:
        """The answer, with what was cut off."""
        self._fold_up(self._rest, is_cut=True)
        return self._fold.answered()

    def _fold_up(self, data: bytes, is_cut: bool) -> None:
        if not data:
            return
        if self._skips:
            data, self._skips = data[begins(self._kind, data) :], False
        fold, kind = self._fold, self._kind
        data, end = with_plain_ends(kind, data), END[kind]
        at = 0
        while at < len(data):
            stop = data.find(end, at)
            block = data[at:] if stop < 0 else data[at:stop]
            at = len(data) if stop < 0 else stop + len(end)
            found = piece(kind, block)
            if found is not None:
                name, said = found
                fold.add(name, said, is_cut, block[: -len(said)] if said and block.endswith(said) else None, end)
                at = fold.run(data, at)
