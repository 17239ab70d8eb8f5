"""Attributes as OTLP's key-value pairs, and back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ..encoding import dumps

_INT64 = range(-(2**63), 2**63)
#: Types whose lists OTLP's readers take.
_SCALARS = (str, bool, int, float)


def readable(text: str) -> str:
    """The text, or where UTF-8 cannot say it (a lone surrogate), one with `?` in that place."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def put_attributes(pairs: Any, attributes: Mapping[str, Any]) -> None:
    """Adds attributes to a repeated field of key-value pairs; those that are null say nothing and are left out."""
    add = pairs.add  # filling what `add` gives takes a third of the time that constructors take
    for key, value in attributes.items():
        if value is not None:
            pair = add()
            pair.key = readable(key)
            _put(pair.value, value)


def _put(target: AnyValue, value: Any) -> None:
    kind = type(value)
    if kind is str:
        target.string_value = readable(value)
    elif kind is int:
        if value in _INT64:
            target.int_value = value
        else:
            target.string_value = str(value)
    elif kind is bool:
        target.bool_value = value
    elif kind is float:
        target.double_value = value
    elif kind in (list, tuple) and _is_uniform(value):
        target.array_value.SetInParent()
        for item in value:
            _put(target.array_value.values.add(), item)
    else:
        target.string_value = readable(dumps(value).decode("utf-8"))


def _is_uniform(items: list[Any] | tuple[Any, ...]) -> bool:
    kinds = set(map(type, items))
    return not kinds or (len(kinds) == 1 and not kinds.isdisjoint(_SCALARS))


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """The attributes that some key-value pairs are; bytes as base64, as in OTLP's JSON."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    field = value.WhichOneof("value")
    if field is None:
        return None
    if field == "array_value":
        return [_value(item) for item in value.array_value.values]
    if field == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    found = getattr(value, field)
    return b64encode(found).decode("ascii") if isinstance(found, bytes) else found
