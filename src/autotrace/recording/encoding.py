"""Any value to JSON text, whatever it is, without ever consuming, changing or failing on it.

orjson does the common case in a microsecond or two. What it refuses (lone surrogates, integers beyond 64 bits,
keys that are no strings, objects of unknown kind, cycles) takes the slow way: a plain copy, limited in depth.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

#: Deeper nesting than any tool schema needs; beyond it a marker stands.
MAX_DEPTH = 32
#: Values that one value may hold; more than a request does. Ends what holds itself many times over.
MAX_VALUES = 200_000
#: Names of the sentinels by which SDKs say "not given"; they are no values.
ABSENT = frozenset({"NotGiven", "Omit", "NOT_GIVEN", "Unset", "UnsetType"})

#: Modules of the standard library whose objects are told by their text.
_TEXTUAL = frozenset({"datetime", "decimal", "fractions", "ipaddress", "pathlib", "pathlib._local", "uuid"})

#: Keys of a JSON schema under which stand names of parameters and types, each with a schema, not with a value.
_NAMESPACES = frozenset({"properties", "patternProperties", "$defs", "definitions"})
HIDDEN = "<secret>"

Text = Callable[[str], str]


def to_json(value: Any) -> str:
    """JSON text of any value. Never raises, never iterates an iterator, never calls a value's own `repr`.

    NaN and infinities become null; bytes and unknown objects become a marker that names type and size.
    """
    try:
        return orjson.dumps(value, default=_known).decode()
    except (TypeError, ValueError, RecursionError):
        return plain_json(plain(value))


def plain_json(value: Any) -> str:
    """JSON text of what `plain` returned."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def plain(value: Any, text: Text | None = None, secret: Callable[[str], bool] | None = None) -> Any:
    """A copy of `value` made of dict, list, str, int, float, bool and None only.

    Args:
        value: Anything.
        text: Applied to every string that is content (keys are not).
        secret: Whether what stands under a key is to be hidden.
    """
    return _Copier(text, secret).copy(value, 0)


class _Copier:
    """Copies one value, as far as it goes: no deeper than MAX_DEPTH, no more than MAX_VALUES values."""

    __slots__ = ("_left", "_secret", "_text")

    def __init__(self, text: Text | None, secret: Callable[[str], bool] | None) -> None:
        self._text = text
        self._secret = secret
        self._left = MAX_VALUES

    def copy(self, value: Any, depth: int, names: bool = False) -> Any:
        """The copy of a part that lies `depth` deep; `names`: its keys name schemas."""
        kind = type(value)
        if kind is str:
            value = readable(value)
            return self._text(value) if self._text else value
        if value is None or kind is bool:
            return value
        if kind is int:
            return _whole(value)
        if kind is float:
            return value if math.isfinite(value) else None
        self._left -= 1
        if depth >= MAX_DEPTH:
            return f"<nested deeper than {MAX_DEPTH}>"
        if self._left < 0:
            return "<left out>"
        try:
            opened = _opened(value)
        except Exception:  # noqa: BLE001 (a user's object)
            return _described(value)
        if type(opened) is list:
            return [self.copy(item, depth + 1) for item in opened]
        if type(opened) is dict:
            return {
                key: HIDDEN if self._hides(key, item, names) else self.copy(item, depth + 1, key in _NAMESPACES)
                for key, item in opened.items()
                if type(item).__name__ not in ABSENT
            }
        return self.copy(opened, depth + 1, names)

    def _hides(self, key: str, item: Any, names: bool) -> bool:
        """Whether `item` is a secret: that there is none (None, False, an empty text) may be told."""
        if self._secret is None or not self._secret(key):
            return False
        kind = type(item)
        return not (item is None or kind is bool or (kind is str and not item) or (names and kind is dict))


def _opened(value: Any) -> Any:
    """A dict or a list of what a value holds, or a simpler value that stands for it."""
    if isinstance(value, Mapping):
        return {_key(key): item for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, str | int | float) and not isinstance(value, enum.Enum):
        return _base(value)
    known = _known(value)
    return {_key(key): item for key, item in known.items()} if type(known) is dict else known


def _key(key: Any) -> str:
    kind = type(key)
    if isinstance(key, str) and not isinstance(key, enum.Enum):
        return readable(str.__str__(key))
    if kind is int:
        return str(_whole(key))
    return str(key) if kind is bool or kind is float else f"<{kind.__name__}>"


def _whole(value: int) -> int | str:
    """An integer, unless it is longer than Python itself would print."""
    return value if -(2**63) <= value < 2**63 or value.bit_length() <= 1000 else f"<int of {value.bit_length()} bits>"


def readable(text: str) -> str:
    """`text` with lone surrogates replaced, so that it can be encoded as UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def scalar(value: Any) -> str | bool | int | float | list[str] | list[bool] | list[int] | list[float] | None:
    """`value` as an attribute that OpenTelemetry takes, or None for what says nothing (None, NotGiven, Omit, NaN)."""
    kind = type(value)
    if kind is str:
        return readable(value)
    if kind is bool:
        return value  # type: ignore[no-any-return]
    if kind is float:
        return value if math.isfinite(value) else None  # JSON has no word for the others
    if kind is int:
        return value if -(2**63) <= value < 2**63 else str(_whole(value))  # OTLP carries 64 bits
    if value is None or kind.__name__ in ABSENT:
        return None
    if isinstance(value, enum.Enum):
        return scalar(value.value)
    if isinstance(value, str | int | float):
        return scalar(_base(value))
    if isinstance(value, list | tuple) and value:
        first = type(value[0])
        if first in (str, bool, int, float) and all(type(item) is first for item in value):
            found = [scalar(item) for item in value]
            if all(type(item) is first for item in found):
                return found  # type: ignore[return-value]
    if kind.__module__.partition(".")[0] == "numpy" and getattr(value, "ndim", 1) == 0:
        return scalar(value.item())
    return to_json(value)


def _base(value: str | int | float) -> str | int | float:
    """The plain value of an instance of a subclass of str, int or float."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value)


def _known(value: Any) -> Any:
    """What orjson should encode in place of an object that it does not know."""
    kind = type(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{kind.__name__} of {len(value)} bytes>"
    if kind.__name__ in ABSENT:
        return None
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str | int | float):
        return _base(value)
    if kind.__module__ in _TEXTUAL:
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    given = getattr(value, "__pydantic_fields_set__", None)
    if isinstance(given, set):
        # By its fields, not by model_dump: that runs a user's serializers and consumes lazy iterables.
        return {name: item for name, item in vars(value).items() if name in given}
    if kind.__module__.partition(".")[0] == "numpy":
        return _array(value)
    if hasattr(kind, "__dataclass_fields__"):
        return {name: getattr(value, name, None) for name in kind.__dataclass_fields__}
    return _described(value)


def _described(value: Any) -> str:
    kind = type(value)
    return (
        f"<{kind.__module__}.{kind.__qualname__} object>" if kind.__module__ != "builtins" else f"<{kind.__qualname__}>"
    )


def _array(value: Any) -> Any:
    """A numpy scalar as a number; an array as its shape."""
    shape = getattr(value, "shape", ())
    if shape == () and hasattr(value, "item"):
        return value.item()
    return f"<{type(value).__name__} of shape {'x'.join(map(str, shape))}>"
