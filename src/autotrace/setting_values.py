"""What the value of a setting may look like, and what it means. Each function raises ValueError for any other."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

Capture = Literal["full", "truncated", "off"]

#: The destinations that need no plugin.
DESTINATIONS = ("store", "mlflow", "otlp", "console")
#: Headers that hold the id of the conversation, of the user and of the request, where no setting names them. Of the
#: user ids only: what proxies call an e-mail address or a preferred name is left alone.
SESSION_HEADERS = (
    "x-session-id",
    "x-conversation-id",
    "x-thread-id",
    "x-chat-id",
    "x-openwebui-chat-id",
    "x-amzn-bedrock-agentcore-runtime-session-id",
)
USER_HEADERS = (
    "x-user-id",
    "x-forwarded-user",
    "x-auth-request-user",
    "x-openwebui-user-id",
    "x-amzn-oidc-identity",
    "x-amzn-bedrock-agentcore-runtime-user-id",
    "x-ms-client-principal-id",
    "x-goog-authenticated-user-id",
)
REQUEST_ID_HEADERS = (
    "x-request-id",
    "x-correlation-id",
    "x-databricks-request-id",
    "x-amzn-requestid",
    "x-amzn-request-id",
    "x-amz-request-id",
    "x-ms-request-id",
    "request-id",
)
#: Headers, and fields of a body, that are never read: who has what they hold has the rights of another.
_CREDENTIALS = re.compile(r"(^|-)(authorization|cookie2?|token|secret|password|api-?key|signature|credential|jwt)(-|$)")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_PATH = re.compile(r"[^.\s]{1,200}(\.[^.\s]{1,200}){0,20}")
_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, **{f"{unit}B": 1000**power for power, unit in enumerate("KMGT", 1)}}
_BYTES.update({f"{unit}IB": 1024**power for power, unit in enumerate("KMGT", 1)})
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


def capture(value: Any) -> Capture:
    """How much content is kept."""
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in ("full", "truncated", "off"):
        return cast(Capture, word)
    if word in TRUE:
        return "full"
    if word and word in FALSE | {"none"}:
        return "off"
    raise ValueError(f"{value!r} is not one of full, truncated, off")


def flag(value: Any) -> bool:
    """A switch."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in TRUE | FALSE:
        return value.strip().lower() in TRUE
    raise ValueError(f"{value!r} is neither true nor false")


def names(value: Any) -> tuple[str, ...]:
    """Names: one, several with commas between them, or a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError(f"{value!r} is neither a name, names with commas between them, nor a list of names")


def modules(value: Any) -> tuple[str, ...]:
    """Names of modules, each once."""
    found = tuple(dict.fromkeys(names(value)))
    for name in found:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{name!r} is not the name of a module, such as 'myapp.tracing'")
    return found


def headers(value: Any) -> tuple[str, ...]:
    """Names of headers in small letters, each once; `none` for none at all."""
    found = tuple(dict.fromkeys(name.lower() for name in names(value)))
    for name in found:
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header, such as 'x-session-id'")
        if _CREDENTIALS.search(name):
            raise ValueError(f"{name!r} holds a credential, which is never recorded")
    return () if found == ("none",) else found


def id_paths(value: Any) -> tuple[str, ...]:
    """Dotted paths into JSON to what names somebody, each once."""
    found = paths(value)
    for name in found:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", "-", name.rpartition(".")[2]).lower()
        if _CREDENTIALS.search(words):
            raise ValueError(f"{name!r} holds a credential, which is never recorded")
    return found


def paths(value: Any) -> tuple[str, ...]:
    """Dotted paths into JSON, each once."""
    found = tuple(dict.fromkeys(names(value)))
    for name in found:
        if not _PATH.fullmatch(name):
            raise ValueError(f"{name!r} is not a path to a field, such as 'data.question' or 'turns.0.text'")
    return found


def disabled(value: Any) -> frozenset[str]:
    """Names in small letters. A switch in their place goes for all."""
    if isinstance(value, bool):
        return frozenset({"all"} if value else ())
    found = frozenset(name.strip().lower() for name in names(value))
    if found & TRUE:
        return found - TRUE | {"all"}
    return found - FALSE


def hosts(value: Any) -> tuple[str, ...]:
    """Hosts: `agents.example.org`, `*.example.org`, `localhost:8001`."""
    found = tuple(name.lower() for name in names(value))
    for name in found:
        if not _HOST.fullmatch(name):
            raise ValueError(f"{name!r} is no host: a name such as agents.example.org, *.example.org or localhost:8001")
    return found


def destination_names(value: Any) -> tuple[str, ...]:
    """Names of destinations, each once: those that there are, or what may be a plugin's."""
    found = tuple(dict.fromkeys(name.lower() for name in names(value)))
    unknown = [name for name in found if not _NAME.fullmatch(name)]
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))}: no such destination; there are {', '.join(DESTINATIONS)}")
    return found


def origins(value: Any) -> tuple[str, ...]:
    """Origins of web pages as browsers write them, each once; `*` alone where it is among them."""
    found = []
    for name in names(value):
        origin = name.strip().lower().removesuffix("/")
        parts = _ORIGIN.fullmatch(origin)
        if parts is None and origin != "*":
            raise ValueError(f"{name!r} is not an origin, such as https://chat.example.org or http://localhost:3000")
        found.append(origin if parts is None else origin.removesuffix(_USUAL_PORTS.get(parts[1], "")))
    return ("*",) if "*" in found else tuple(dict.fromkeys(found))


def duration(value: Any) -> float:
    """Seconds, more than none: a number of them, or a text such as `90s`, `15m`, `2h`, `30d`, `4w`."""
    return _amount(value, _SECONDS, "s", "a time such as 90s, 15m, 2h or 30d")


def size(value: Any) -> int:
    """Bytes, 1 or more: a number of them, or a text such as `500MB`, `1GiB`."""
    found = int(_amount(value, _BYTES, "B", "a size such as 500MB or 1GiB"))
    if found < 1:
        raise ValueError(f"{value!r} is less than a byte")
    return found


def share(value: Any) -> float:
    """A share of a whole, from 0 to 1; `10%` is 0.1."""
    text_ = value.strip() if isinstance(value, str) else value
    try:
        found = float(text_[:-1]) / 100 if isinstance(text_, str) and text_.endswith("%") else float(text_)
    except (TypeError, ValueError):
        found = -1.0
    if isinstance(value, bool) or not 0 <= found <= 1:
        raise ValueError(f"{value!r} is not a share between 0 and 1")
    return found


def amount(value: Any) -> float:
    """A number, 0 or more."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if isinstance(value, bool) or not 0 <= found < math.inf:
        raise ValueError(f"{value!r} is not a number of 0 or more")
    return found


def _amount(value: Any, units: Mapping[str, float], usual: str, wanted: str) -> float:
    found = _AMOUNT.fullmatch(str(value).strip()) if isinstance(value, str | int | float) else None
    unit = "" if found is None else (found[2] or usual)
    unit = unit if unit in units else (unit.upper() if unit.upper() in units else unit.lower())
    if isinstance(value, bool) or found is None or unit not in units or not 0 < float(found[1]) < math.inf:
        raise ValueError(f"{value!r} is not {wanted}")
    return float(found[1]) * units[unit]


def text(value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a text")
    return value.strip()


def count(value: Any) -> int:
    """A whole number, 1 or more."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a whole number") from None
    if number < 1:
        raise ValueError(f"{value!r} is less than 1")
    return number


def path(value: Any) -> Path:
    """A path; `~` is the home of its user."""
    if isinstance(value, Path):
        return value
    try:
        return Path(text(value)).expanduser()
    except RuntimeError:
        raise ValueError(f"{value!r}: there is no such user") from None
