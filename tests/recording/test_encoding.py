"""Any value as JSON and as an attribute: whatever it is, nothing raises, nothing is consumed, nothing of it is run."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import itertools
import json
import math
import pathlib
import types
import uuid
from collections import OrderedDict, UserDict, deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.recording.encoding import MAX_DEPTH, plain, plain_json, readable, scalar, to_json


class Hostile:
    """An object that does not want to be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    __str__ = __repr__

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("Hostile()")  # for hypothesis alone

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("iter")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    __hash__ = object.__hash__


class HostileMapping(Mapping[str, Any]):
    """A mapping that raises when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("iter")

    def __len__(self) -> int:
        return 1


class HostileText(str):
    """Text that raises when it is printed."""

    def __str__(self) -> str:
        raise RuntimeError("str")


class NotGiven:
    """An SDK's sentinel."""


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: float
    y: Any = None


class Model:
    """Shaped like a pydantic model."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields, hidden="default")
        self.__pydantic_fields_set__ = set(fields)

    def model_dump(self) -> Any:
        raise AssertionError("a user's serializers are not run")


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "Ll"]))
    | st.binary()
    | st.complex_numbers()
    | st.datetimes(timezones=st.timezones() | st.none())
    | st.decimals()
    | st.uuids()
    | st.sampled_from([Hostile(), HostileMapping(), HostileText("x"), NotGiven(), Colour.RED, Level.HIGH, object, len])
    | st.builds(numpy.float32, st.floats(width=32))
    | st.builds(numpy.array, st.lists(st.integers(-5, 5))),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.booleans() | st.none() | st.floats() | st.tuples(), inner)
        | st.builds(Point, st.floats(), inner)
        | st.builds(lambda value: Model(value=value), inner)
        | st.builds(UserDict, st.dictionaries(st.text(), inner))
        | st.builds(deque, st.lists(inner))
        | st.frozensets(st.integers() | st.text())
    ),
    max_leaves=20,
)


def strict(text: str) -> Any:
    """What a strict reader makes of a JSON text."""
    text.encode()

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
def test_any_value_is_json(value: Any) -> None:
    """Any value becomes valid JSON, on the quick way and on the slow one."""
    strict(to_json(value))
    strict(plain_json(plain(value)))
    strict(plain_json(plain(value, str.upper)))


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
def test_any_value_is_an_attribute(value: Any) -> None:
    """Any value becomes what OpenTelemetry takes, or nothing."""
    found = scalar(value)
    items = found if isinstance(found, list) else [found]
    assert len({type(item) for item in items}) <= 1
    for item in items:
        assert item is None or type(item) in (str, bool, int, float)
        if type(item) is str:
            item.encode()
        if type(item) is float:
            assert math.isfinite(item)
        if type(item) is int:
            assert -(2**63) <= item < 2**63


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_json_values_stay(value: Any) -> None:
    """What is JSON already says the same afterwards, on both ways."""
    assert strict(to_json(value)) == value == strict(plain_json(plain(value)))


NOW = datetime.datetime(2026, 11, 23, 8, 30, tzinfo=datetime.timezone.utc)
PLAINLY: dict[str, tuple[Any, Any]] = {
    "nan": (math.nan, None),
    "infinity": (-math.inf, None),
    "bytes": (b"\xff\x00", "<bytes of 2 bytes>"),
    "bytearray": (bytearray(3), "<bytearray of 3 bytes>"),
    "memoryview": (memoryview(b"abcd"), "<memoryview of 4 bytes>"),
    "enum": (Colour.RED, "red"),
    "int enum": (Level.HIGH, 3),
    "dataclass": (Point(1.5, [Colour.RED]), {"x": 1.5, "y": ["red"]}),
    "pydantic": (Model(a=1, b=Point(2.0)), {"a": 1, "b": {"x": 2.0, "y": None}}),
    "mapping": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "ordered": (OrderedDict(a=1), {"a": 1}),
    "tuple": ((1, (2,)), [1, [2]]),
    "set": ({1}, [1]),
    "numpy scalar": (numpy.float64(1.5), 1.5),
    "numpy int": (numpy.int32(7), 7),
    "numpy bool": (numpy.bool_(True), True),
    "numpy array": (numpy.zeros((2, 3)), "<ndarray of shape 2x3>"),
    "generator": ((x for x in [1]), "<generator>"),
    "object": (object(), "<object>"),
    "timezone": (NOW.tzinfo, "UTC"),
    "own object": (pytest.approx, "<function>"),
    "function": (len, "<builtin_function_or_method>"),
    "datetime": (NOW, "2026-11-23T08:30:00+00:00"),
    "date": (NOW.date(), "2026-11-23"),
    "uuid": (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "decimal": (decimal.Decimal("1.50"), "1.50"),
    "path": (pathlib.PurePosixPath("a/b"), "a/b"),
    "keys": ({1: "a", None: "b", (1,): "c"}, {"1": "a", "<NoneType>": "b", "<tuple>": "c"}),
    "big int": (2**70, 2**70),
    "surrogate": ("a\ud800b", "a\ufffdb"),
    "surrogate pair": ("\ud83d\ude00", "\U0001f600"),
    "surrogate key": ({"\udc00": 1}, {"\ufffd": 1}),
    "text subclass": (HostileText("x"), "x"),
    "key subclass": ({HostileText("x"): 1}, {"x": 1}),
}


@pytest.mark.parametrize("case", PLAINLY)
def test_what_becomes_of(case: str) -> None:
    """Each kind of value has one plain form, on the quick way and on the slow one."""
    value, expected = PLAINLY[case]
    assert strict(to_json({"v": value})) == {"v": expected}
    assert strict(plain_json(plain({"v": value}))) == {"v": expected}


@pytest.mark.parametrize("value", [NotGiven(), None])
def test_what_was_not_given(value: Any) -> None:
    """None and an SDK's "not given" are no attribute."""
    assert scalar(value) is None


def test_scalars() -> None:
    """What OpenTelemetry takes stays; arrays of one kind stay arrays; the rest is JSON."""
    assert scalar(["a", "b"]) == ["a", "b"]
    assert scalar((1, 2)) == [1, 2]
    assert scalar([1, "a"]) == '[1,"a"]'
    assert scalar([]) == "[]"
    assert scalar({"a": 1}) == '{"a":1}'
    assert scalar(2**63) == str(2**63)
    assert scalar(True) is True
    assert scalar(numpy.int64(5)) == 5
    assert scalar(Level.HIGH) == 3
    assert scalar(b"abc") == '"<bytes of 3 bytes>"'
    assert scalar([math.nan, 1.0]) == "[null,1.0]"
    assert scalar([2**70, 1]) == f"[{2**70},1]"


def test_nothing_is_consumed() -> None:
    """Iterators and generators are never begun (law L23)."""
    generator = (number for number in range(3))
    endless = itertools.count()
    to_json({"g": generator, "e": endless, "m": map(str, [1])})
    plain([generator, endless])
    scalar(generator)
    assert list(generator) == [0, 1, 2]
    assert next(endless) == 0


def test_unreadable() -> None:
    """What cannot be read is told by its type; the rest of the value is kept."""
    value = {"ok": 1, "bad": Hostile(), "worse": HostileMapping(), "more": [Hostile()]}
    found = strict(to_json(value))
    assert found["ok"] == 1
    assert found["bad"] == f"<{__name__}.Hostile object>"
    assert found["more"] == [f"<{__name__}.Hostile object>"]
    assert found["worse"] == f"<{__name__}.HostileMapping object>"


@pytest.mark.parametrize("huge", [10**5000, -(10**5000), {10**5000: 10**5000}, [10**5000]], ids=range(4))
def test_numbers_too_long_to_print(huge: Any) -> None:
    """An integer that Python itself refuses to print is told by its size."""
    assert "bits" in to_json(huge)
    assert "bits" in str(scalar(huge))


def test_cycles() -> None:
    """What holds itself, even many times over, is cut off; and deep nesting is."""
    cycle: dict[str, Any] = {}
    cycle.update(a=cycle, b=[cycle, cycle, cycle])
    strict(to_json(cycle))
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    text = to_json(deep)
    assert strict(text)
    assert text.count("[") == MAX_DEPTH
    model = Model(a=1)
    model.__dict__["a"] = model
    strict(to_json(model))


def test_readable() -> None:
    """Text that is well formed is returned as it is, the very object."""
    text = "grüße \U0001f600"
    assert readable(text) is text
