"""What a request asks: the user's query, as a conversation, a text or a value.

Pure: a request's bytes in, what it asks out. Nothing here raises, whatever is sent: what cannot be read is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...read import text
from ...recording.messages import Message
from .content_types import ContentType
from .content_types import content_type as parsed_type
from .conversation import messages
from .fields import Fields, first_at
from .forms import multipart, urlencoded
from .identity import identifier, merged, whose
from .parts import parts
from .said import Places, Said, is_json, json_value, objects, plain_text, said, said_in


class Asked(NamedTuple):
    """What a request asks, and whose it is. What it does not say is None.

    Attributes:
        input: A text or any JSON value, where the question is no conversation.
        messages: The conversation, where it is one.
        session: The conversation's id, as a field of the body or of the query string has it.
        user: The user's id, likewise.
        request_id: The request's id, likewise.
        model: The model that is asked for.
    """

    input: Any | None = None
    messages: list[Message] | None = None
    session: str | None = None
    user: str | None = None
    request_id: str | None = None
    model: str | None = None


def read_request(method: str, content_type: str | None, query_string: bytes, body: bytes, fields: Fields) -> Asked:
    """What a request asks.

    Args:
        method: HTTP's.
        content_type: The header.
        query_string: What follows `?` in the address.
        body: As it was sent, or the beginning of it.
        fields: Where the user's settings say that things stand.
    """
    if method in ("HEAD", "OPTIONS"):
        return Asked()
    value = _value(parsed_type(content_type), body) if body else None
    query = urlencoded(query_string) if query_string else {}
    found = _question(value, query, fields)
    model = identifier(text(value, "model") or text(query, "model"))
    return Asked(*found, *merged(_whose(value, fields), _whose(query, fields)), model)


def _whose(value: Any, fields: Fields) -> Any:
    return whose(objects(value, PLACES.wrappers), fields)


def _question(value: Any, query: dict[str, Any], fields: Fields) -> Said:
    """The question: in the body, else in the query string, which has more to say than questions."""
    given = first_at(value, fields.input) or first_at(query, fields.input)
    return (
        (said(given, PLACES) if given is not None else None)
        or said_in(value, PLACES)
        or said_in(query, PLACES)
        or said(value, PLACES)
        or Said()
    )


def _value(kind: ContentType, body: bytes) -> Any:
    """What a body says: a JSON value, the fields of a form, or a text."""
    if kind.kind == "form":
        return urlencoded(body)
    if kind.kind == "multipart":
        return multipart(body, kind.boundary)
    if kind.kind == "binary":
        return None
    if kind.kind == "json":
        return json_value(body)
    return (json_value(body) if is_json(body) else None) or plain_text(body, kind.charset)


def _nothing_special(named: Mapping[str, Any]) -> None:
    return None


#: Where what was said before stands, beside a question that is a text.
_HISTORIES = ("history", "chathistory", "conversationhistory", "messagehistory", "previousmessages")
_INSTRUCTIONS = ("instructions", "system", "systemprompt", "systeminstruction", "systemmessage")


def _in_context(named: Mapping[str, Any], found: Said) -> Said:
    """A question with its instructions, and with what was said before."""
    before = next((known for name in _HISTORIES if (known := messages(named.get(name)))), [])
    standing = [made for name in _INSTRUCTIONS if (made := _instructions(named.get(name))) is not None][:1]
    asked = [Message.user(found.value)] if type(found.value) is str else found.messages
    return Said(messages=[*standing, *before, *asked]) if asked and (before or standing) else found


def _instructions(value: Any) -> Message | None:
    given = value.get("parts") if type(value) is dict else value
    found = parts(given)
    return Message.system(found) if found else None


PLACES = Places(
    conversations=("messages", "contents"),
    texts=(
        *("question", "query", "input", "prompt", "message", "newmessage", "userinput", "usermessage", "userquery"),
        *("userprompt", "inputtext", "inputvalue", "text", "content", "msg", "q", "task", "request", "utterance"),
        "messages",
    ),
    wrappers=("input", "inputs", "instances", "dataframerecords", "dataframesplit", "params"),
    special=_nothing_special,
    finished=_in_context,
)
