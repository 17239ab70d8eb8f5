"""What a body is, by its content type: as far as its question or its answer can be read from it."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["json", "lines", "events", "form", "multipart", "html", "text", "binary", "unknown"]

#: What stands before `;`, where that is all that has to be known.
_KINDS: dict[str, Kind] = {
    "application/json": "json",
    "text/json": "json",
    "application/x-ndjson": "lines",
    "application/ndjson": "lines",
    "application/jsonl": "lines",
    "application/x-jsonlines": "lines",
    "application/json-lines": "lines",
    "application/jsonlines": "lines",
    "application/stream+json": "lines",
    "text/event-stream": "events",
    "application/x-www-form-urlencoded": "form",
    "multipart/form-data": "multipart",
    "text/html": "html",
    "application/xhtml+xml": "html",
}
#: Python's names of what texts are still written in, beside UTF-8. Others have decoders that are slow or no text's.
_CHARSETS = {
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
_PARAMETER = re.compile(r';\s*(charset|boundary)\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)


class ContentType(NamedTuple):
    """A content type, as far as it matters.

    Attributes:
        kind: How the body is read. `unknown`: there was no content type.
        charset: Python's name of what its text is written in.
        boundary: What stands between the parts of a `multipart` body.
    """

    kind: Kind
    charset: str = "utf-8"
    boundary: str = ""


def content_type(header: str | None) -> ContentType:
    """The content type that a header tells."""
    name, _, rest = (header or "").partition(";")
    name = name.strip().lower()
    kind = _KINDS.get(name)
    if kind is None:
        if not name:
            kind = "unknown"
        elif name.endswith("+json"):
            kind = "json"
        else:
            kind = "text" if name.startswith("text/") else "binary"
    if not rest:
        return ContentType(kind)
    found = {match[1].lower(): match[2] or match[3] for match in _PARAMETER.finditer(";" + rest[:1000])}
    charset = _CHARSETS.get(found.get("charset", "").lower(), "utf-8")
    return ContentType(kind, charset, found.get("boundary", ""))
