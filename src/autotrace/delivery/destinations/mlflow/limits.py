"""What MLflow has room for, and how what is longer is cut: never silently.

A text beyond its bound would be refused, and with it every trace of the same request.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import orjson

#: Characters of a session, a user and any other trace metadata.
METADATA = 250
#: Characters of the id that the caller gave its request: what every database of MLflow's holds.
REQUEST_ID = 50
TAG_KEY = 250
TAG_VALUE = 4096
TRACE_NAME = 250
#: Characters of a trace's request and response in MLflow's list of traces.
PREVIEW = 1000
PREVIEW_DATABRICKS = 10000
ASSESSMENT_NAME = 250
RATIONALE = 10000

_MARK = "…"
_TAG_KEY = re.compile(r"[^\w.\- /:]", re.ASCII)


def cut(text: str, limit: int) -> str:
    """The text, ending in `…` where something is missing; NUL, which databases refuse, is shown as `␀`."""
    text = text.replace("\0", "␀")
    return text if len(text) <= limit else text[: limit - 1] + _MARK


def identifier(text: str, limit: int) -> str:
    """An id: one that is cut ends in a hash of the whole, so that two long ones stay two."""
    text = text.replace("\0", "␀")
    if len(text) <= limit:
        return text
    mark = _MARK + sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return text[: limit - len(mark)] + mark


def tag(key: str, value: Any) -> tuple[str, str] | None:
    """A tag as MLflow takes it; None for those that are MLflow's own."""
    if not key or key.startswith("mlflow."):
        return None
    name = identifier(_TAG_KEY.sub("_", key), TAG_KEY)
    # Names are paths: MLflow refuses `/a`, `a//b`, `a/../b`.
    name = "/".join(part if part.strip(".") else "_" for part in name.split("/"))
    return name, cut(text_of(value), TAG_VALUE)


def text_of(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    """A value that came from JSON as JSON again."""
    return orjson.dumps(value, default=str).decode()


def literal(text: str) -> str:
    """A text as MLflow's server reads it back unchanged: it takes what looks like JSON for JSON."""
    if text[:1] in ('"', "{", "["):
        try:
            orjson.loads(text)
        except ValueError:
            return text
        return json_text(text)
    return text


def parsed(value: Any) -> Any:
    """What a JSON text says; the text itself where it is none."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return value
