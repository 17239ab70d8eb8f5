"""Asks for the usage of a stream that the program did not ask for, and hides what comes of it.

Law: the user sees exactly the chunks that he would have seen, and nothing of his is changed. So: only for hosts
known to support it (or all, by setting), never against what the program says itself, never where the user reads
the raw bytes, and on a copy of the request.
"""

from __future__ import annotations

from typing import Any

from autotrace import Amendment, Call, stainless

from .endpoints import endpoint, reports_stream_usage

_RAW = "x-stainless-raw-response"
_FIELD = "stream_options"


def amend(call: Call) -> Amendment | None:
    """The same request with `stream_options.include_usage`, where that is wanted and harmless."""
    options = call.argument("options")
    wanted = call.settings.get("stream_usage", "auto")
    if not call.argument("stream") or wanted == "never" or not _may_be_asked(options):
        return None
    if wanted == "auto" and not reports_stream_usage(stainless.server(call.instance)[0]):
        return None
    body = options.json_data
    given = body.get(_FIELD)
    asked = {**given, "include_usage": True} if isinstance(given, dict) else {"include_usage": True}
    return stainless.amended(call, hides, json_data={**body, _FIELD: asked})


def _may_be_asked(options: Any) -> bool:
    """Whether it is a chat or a completion whose usage the program has said nothing about."""
    known = endpoint(str(options.method).lower(), str(options.url))
    body, extra = options.json_data, options.extra_json
    if known is None or known.api not in ("chat", "completions") or type(body) is not dict:
        return False
    if isinstance(extra, dict) and _FIELD in extra:
        return False
    headers = options.headers
    if isinstance(headers, dict) and any(str(name).lower() == _RAW for name in headers):
        return False
    given = body.get(_FIELD)
    return given is None or (isinstance(given, dict) and "include_usage" not in given)


def hides(chunk: Any) -> bool:
    """Whether `chunk` is the one that carries nothing but the usage; the `usage: null` of all others is taken away."""
    if getattr(chunk, "usage", None) is None:
        given = getattr(chunk, "__pydantic_fields_set__", None)
        if isinstance(given, set):
            given.discard("usage")
        return False
    return not chunk.choices
