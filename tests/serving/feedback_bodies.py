"""Bodies of feedback, made from the published schema: such as it takes, and such as it does not.

Every text in them holds `CANARY`, so that whatever is repeated anywhere is seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

PAGE = json.loads((Path(__file__).parents[2] / "docs" / "feedback.openapi.json").read_text(encoding="utf-8"))
SCHEMA: Mapping[str, Any] = PAGE["components"]["schemas"]["Feedback"]
#: What says whether a body fits the schema.
VALIDATOR = Draft202012Validator(SCHEMA)
CANARY = "canary-Zq7"
TRACE = "0af7651916cd43dd8448eb211c80319c"

_ANY_CHARACTER = st.characters(codec="utf-8")


def texts(alphabet: st.SearchStrategy[str] = _ANY_CHARACTER, least: int = 0) -> st.SearchStrategy[str]:
    """Texts with the canary in them."""
    return st.tuples(st.text(alphabet, max_size=20), st.text(alphabet, min_size=least, max_size=20)).map(CANARY.join)


def fitting(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a part of the schema."""
    check = Draft202012Validator(schema)
    found = [_fitting(schema, kind) for kind in _kinds(schema)] or [fitting(one) for one in schema["oneOf"]]
    return st.one_of(found).filter(check.is_valid)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _fitting(schema: Mapping[str, Any], kind: str) -> st.SearchStrategy[Any]:
    if kind == "string":
        return _fitting_text(schema)
    if kind == "number":
        return st.one_of(st.integers(-(2**63) + 1, 2**63 - 1), st.floats(-9e18, 9e18))
    if kind == "object":
        keys = st.from_regex(schema["propertyNames"]["pattern"], fullmatch=True)
        return st.dictionaries(keys, fitting(schema["additionalProperties"]), max_size=schema["maxProperties"])
    return st.booleans() if kind == "boolean" else st.none()


def _fitting_text(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    pattern = re.compile(schema["pattern"])
    if not pattern.search(CANARY):  # an id
        return st.from_regex(schema["pattern"], fullmatch=True)
    usual = texts(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")))
    lines = st.just(f"{CANARY}\r\n\tand more").filter(pattern.search)
    longest = st.just("\U0001f600" * schema["maxLength"])
    rare = [lines, longest] if pattern.search("\n") else [longest]
    return st.one_of(*[usual] * 9, *rare)


#: What fits each property.
FITTING = {name: fitting(schema) for name, schema in SCHEMA["properties"].items()}


def _right(identifier: str) -> st.SearchStrategy[dict[str, Any]]:
    wanted = {identifier, *SCHEMA["required"]}
    others = FITTING.keys() - wanted - {"trace_id", "request_id"}
    optional = {name: FITTING[name] for name in sorted(others)}
    return st.fixed_dictionaries({name: FITTING[name] for name in sorted(wanted)}, optional=optional)


#: Objects that the schema takes.
RIGHT = st.one_of(_right("trace_id"), _right("request_id"))


_NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
#: Any value of JSON.
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, texts()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts(), inner, max_size=3)),
    max_leaves=4,
)


def _breaking(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a part of the schema does not take, most of them all but right."""
    near: list[Any] = [2**63, -(2**63), 1.0e300, 10**30, "", " ", "0" * 16, "0" * 32, "tr-" + "0" * 32, TRACE[:31]]
    near += [TRACE + "0", f"{TRACE}\n", f" {TRACE}", "g" * 32, "٣" * 32, [], [CANARY], {}, {CANARY: 1}]
    near += [f"{CANARY}{sign}" for sign in "\x00\x07\x08\x0b\x0c\x1b\x1f\x7f\x80\x9b\n"]
    near += [CANARY + "x" * length for length in (250, 1000, 10_000)]
    near += [{"a.b": 1}, {"mlflow.user": "x"}, {"": 1}, {"a": None}, {"a": []}, {"a": {}}, {"a" * 65: 1}]
    near += [{str(number): 1 for number in range(21)}, {"a": 2**64}, {"a": CANARY + "x" * 1000}, {"a": "\x1b"}]
    check = Draft202012Validator(schema)
    unfit = [value for value in near if not check.is_valid(value)]
    return st.one_of(st.sampled_from(unfit), ANYTHING.filter(lambda value: not check.is_valid(value)))


_CHANGES = st.one_of(
    *(st.tuples(st.just(name), _breaking(schema)) for name, schema in SCHEMA["properties"].items()),
    st.tuples(texts(), ANYTHING),
)
Body = dict[str, Any]


def wrong(right: st.SearchStrategy[Body]) -> st.SearchStrategy[Any]:
    """Values of JSON that the schema does not take: right but for one property, or for one too many or too few; or no
    objects at all.
    """
    changed = st.builds(lambda body, change: {**body, change[0]: change[1]}, right, _CHANGES)
    lacking = st.builds(
        lambda body, end: {name: value for name, value in body.items() if not name.endswith(end)},
        right,
        st.sampled_from(["value", "_id"]),
    )
    both = right.map(lambda body: {**body, "trace_id": TRACE, "request_id": CANARY})
    return st.one_of(changed, changed, changed, lacking, both, ANYTHING).filter(
        lambda body: not VALIDATOR.is_valid(body)
    )


#: Ways in which a value can be written as JSON.
WRITING = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 2])})


def written(body: Any, how: Mapping[str, Any]) -> bytes:
    """JSON of a value."""
    return json.dumps(body, **how).encode()


def _as_text(change: Callable[[str], str]) -> Callable[[bytes], bytes]:
    return lambda body: change(body.decode()).encode()


#: What makes of a right body, an object of JSON, something that is none.
DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "nothing": lambda body: b"",
    "cut off": lambda body: body[:-1],
    "half": lambda body: body[: len(body) // 2],
    "two": lambda body: body + body,
    "in a list": lambda body: b"[" + body + b"]",
    "in a text": lambda body: json.dumps(body.decode()).encode(),
    "a mark of the byte order": lambda body: b"\xef\xbb\xbf" + body,
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "UTF-32": lambda body: body.decode().encode("utf-32-le"),
    "no UTF-8": lambda body: body.replace(b'"value"', b'"user":"\xff\xfe","value"'),
    "overlong UTF-8": lambda body: body.replace(b'"value"', b'"user":"\xc0\xaf","value"'),
    "a surrogate": lambda body: body.replace(b'"value"', b'"user":"\\ud800","value"'),
    "an encoded surrogate": lambda body: body.replace(b'"value"', b'"user":"\xed\xa0\x80","value"'),
    "NUL": lambda body: body + b"\0",
    "a comment": _as_text(lambda body: body + "// " + CANARY),
    "single quotes": _as_text(lambda body: body.replace('"', "'")),
    "a comma too many": _as_text(lambda body: body[:-1] + ",}"),
    "NaN": lambda body: b'{"trace_id":"%s","value":NaN}' % TRACE.encode(),
    "Infinity": lambda body: b'{"trace_id":"%s","value":-Infinity}' % TRACE.encode(),
    "an endless number": lambda body: b'{"trace_id":"%s","value":1e999}' % TRACE.encode(),
    "a number of 5000 digits": lambda body: b'{"trace_id":"%s","value":%s}' % (TRACE.encode(), b"9" * 5000),
    "a key twice": _as_text(lambda body: '{"value":false,' + body[1:]),
    "a key of the metadata twice": lambda body: (
        b'{"trace_id":"%s","value":1,"metadata":{"a":1,"a":2}}' % TRACE.encode()
    ),
    "a key twice, once deep": _as_text(lambda body: '{"value":' + "[" * 1000 + "]" * 1000 + "," + body[1:]),
    "deep": lambda body: b"[" * 30_000 + b"]" * 30_000,
    "deep objects": lambda body: b'{"metadata":' * 5000 + b"1" + b"}" * 5000,
    "deep and open": lambda body: b'{"value":' + b"[" * 60_000,
    "quotes": lambda body: b'{"value":"' + b'\\"' * 30_000,
    "too long": lambda body: body + b" " * 70_000,
    "too long a text": lambda body: b'{"trace_id":"%s","value":"%s"}' % (TRACE.encode(), b"x" * 70_000),
}
#: Headers with which no body is taken, however right it is.
HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    *(
        {"content-type": kind}
        for kind in (
            *("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=" + CANARY),
            *("text/plain; application/json", "text/plain;charset=application/json", "application/json, text/plain"),
            *("application/jsonx", "application/ld+json", "application/json; charset=utf-16", CANARY, "application"),
            *(f"application/json; {CANARY}=1", "*/*", "application/json\r\n" + CANARY, "text/json"),
        )
    ),
    *({"content-type": "application/json", "content-encoding": one} for one in ("gzip", "br", "deflate, gzip", CANARY)),
    *({"content-type": "application/json", "content-length": one} for one in ("65537", "9" * 5000)),
)
METHODS = (
    "GET",
    "HEAD",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "post",
    "",
    CANARY,
    "POST\r\n" + CANARY,
)
ORIGINS = (
    "null",
    "https://evil.example",
    "https://chat.example.org.evil",
    "http://chat.example.org",
    f"x\r\n{CANARY}: 1",
)
