"""Who asked, in which conversation, by which request: from headers, from fields of the body, from MLflow's context.

Only names that say so are read. `Authorization`, cookies and keys never are: what they hold is no name but a right.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from ... import setting_values
from ...recording.encoding import readable
from .fields import Fields, first_at, folded

#: Characters of an id: MLflow refuses a longer session, and every trace of the same request with it.
LONGEST = 250
_MARK = "…"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of headers, in small letters: of each kind the first that a request has counts.

    Attributes:
        session: Headers that hold the conversation's id.
        user: Headers that hold the user's id.
        request_id: Headers that hold the request's id.
    """

    session: tuple[str, ...] = setting_values.SESSION_HEADERS
    user: tuple[str, ...] = setting_values.USER_HEADERS
    request_id: tuple[str, ...] = setting_values.REQUEST_ID_HEADERS


class Identity(NamedTuple):
    """Whose request it is. Each is None where nothing says it."""

    session: str | None = None
    user: str | None = None
    request_id: str | None = None


def identity_of(headers: Mapping[str, str], names: Names) -> Identity:
    """What a request's headers say.

    Args:
        headers: By name, in small letters.
        names: Which headers count.
    """
    return Identity(
        _first(headers, names.session),
        _first(headers, names.user),
        _first(headers, names.request_id),
    )


def _first(headers: Mapping[str, str], names: Iterable[str]) -> str | None:
    for name in names:
        value = headers.get(name)
        if value is not None:
            found = identifier(value if value.isascii() else _meant(value))
            if found is not None:
                return found
    return None


def _meant(value: str) -> str:
    """A header's text: servers read its bytes as Latin-1, clients write UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def identifier(value: Any) -> str | None:
    """An id as it is recorded: without control characters, at most 250 characters; None for what is no id.

    One that is cut ends in a hash of the whole, so that two long ones stay two.
    """
    if type(value) is int and -(2**63) <= value < 2**64:
        return str(value)
    if type(value) is not str:
        return None
    text = value.strip() if value.isascii() and value.isprintable() else _cleaned(value)
    if len(text) <= LONGEST:
        return text or None
    mark = _MARK + sha256(text.encode()).hexdigest()[:12]
    return text[: LONGEST - len(mark)] + mark


def _cleaned(value: str) -> str:
    return "".join(character for character in readable(value) if character.isprintable()).strip()


#: Names of the body's fields, folded (`fields.folded`).
_SESSIONS = ("sessionid", "conversationid", "threadid", "chatid", "contextid", "sessionhash", "session", "conversation")
_AMBIGUOUS = ("session", "conversation")
_USERS = ("userid", "user", "enduserid", "safetyidentifier")
_REQUESTS = ("clientrequestid", "requestid")
#: Objects of the body that hold such fields too, in this order; of a path, each is folded.
_PLACES = (
    ("context",),
    ("custominputs",),
    ("metadata",),
    ("config", "configurable"),
    ("config", "metadata"),
    ("configurable",),
    ("params",),
    ("params", "message"),
    ("message",),
    ("overrideconfig",),
    ("extra",),
    ("databricksoptions",),
)


def whose(bodies: Iterable[Any], fields: Fields) -> Identity:
    """What the fields of a request's body say; of several objects, the first that says it."""
    found = Identity()
    for body in bodies:
        found = merged(found, _told(body, fields))
        if None not in found:
            break
    return found


def merged(one: Identity, other: Identity) -> Identity:
    """What `one` says, and what `other` says where `one` says nothing."""
    return Identity(*(mine if mine is not None else theirs for mine, theirs in zip(one, other, strict=True)))


def _told(body: Any, fields: Fields) -> Identity:
    if type(body) is not dict or not body:
        return Identity()
    whole = folded(body)
    places = [whole]
    for first, *more in _PLACES:
        place = whole.get(first)
        for name in more:
            place = folded(place).get(name)
        if type(place) is dict and place:
            places.append(folded(place))
    return Identity(
        identifier(first_at(body, fields.session)) or _named(places, _SESSIONS) or _chat(places[0]),
        identifier(first_at(body, fields.user)) or _named(places, _USERS),
        _named(places, _REQUESTS),
    )


def _chat(body: Mapping[str, Any]) -> str | None:
    """The AI SDK's chat, whose id is called nothing else."""
    return identifier(body.get("id")) if "trigger" in body and "messages" in body else None


def _named(places: list[Mapping[str, Any]], names: tuple[str, ...]) -> str | None:
    for place in places:
        for name in names:
            value = place.get(name)
            if value is None:
                continue
            if type(value) is dict:  # `user: {"id": ...}`
                value = value.get("id")
            found = identifier(value)
            # `session` and `conversation` may be all that was said.
            if found is not None and (name not in _AMBIGUOUS or " " not in found):
                return found
    return None


def databricks_request_id() -> str | None:
    """The id that Databricks Model Serving gave to the request being answered; None anywhere else.

    It stands in a context variable of MLflow's, where its serving container puts it. Imports nothing, never raises.
    """
    module = sys.modules.get("mlflow.pyfunc.context")
    if module is None:
        return None
    try:
        return identifier(module.get_prediction_context().request_id)
    except Exception:  # noqa: BLE001 (another project's module: no context, another release, half imported)
        return None
