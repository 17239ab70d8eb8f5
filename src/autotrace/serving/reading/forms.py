"""The fields of a form, as a browser sends it, and of a query string: as an object of JSON would have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from .lenient_json import loads

#: Fields of one form that are read.
MOST = 200
#: Bytes of one that are read where it has no parts.
LARGEST = 400_000
_NAME = re.compile(rb'[;\s]name="([^"\r\n]{1,200})"', re.IGNORECASE)
_FILE = re.compile(rb"[;\s]filename\*?=", re.IGNORECASE)


def urlencoded(text: bytes) -> dict[str, Any]:
    """The fields of `a=1&b=two+words`."""
    return _fields(_pairs(text[:LARGEST].decode("utf-8", "replace")))


def multipart(body: bytes, boundary: str) -> dict[str, Any]:
    """The fields of a `multipart/form-data` body; files are left out."""
    return _fields(_parts(body, boundary.encode("utf-8", "replace"))) if boundary else {}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in text.split("&", MOST)[:MOST]:
        name, _, value = pair.partition("=")
        yield unquote_plus(name), unquote_plus(value)


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, str]]:
    for part in body.split(b"--" + boundary, MOST + 1)[1 : MOST + 1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head[:2000])
        if name is not None and not _FILE.search(head[:2000]):
            yield name[1].decode("utf-8", "replace"), content.removesuffix(b"\r\n").decode("utf-8", "replace")


def _fields(pairs: Iterator[tuple[str, str]]) -> dict[str, Any]:
    """By name, the first of each; JSON in a field counts as what it stands for."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name and value and name not in found:
            found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    inner = loads(text) if text[0] in "{[" else None
    return text if inner is None else inner
