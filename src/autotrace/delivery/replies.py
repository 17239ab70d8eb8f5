"""What a server answers, and what that means: taken, later (`RetryLater`), or never (`Refused`)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, NoReturn

from .destinations import RetryLater

#: Seconds that a server may make us wait by `Retry-After`.
RETRY_AFTER_LIMIT_S = 300.0
#: Characters of a server's words that an error repeats.
WORDS_LIMIT = 200
#: What was sent is to blame: too large, of a kind that is not taken, or wrong in itself.
_REFUSALS = frozenset({400, 413, 415, 422})
_CREDENTIALS = frozenset({401, 403})
_BUSY = frozenset({408, 425, 429})
#: Shorter texts are no secrets, and stand in many an answer.
_SECRET_LENGTH = 6
#: Headers that say nothing in secret; a server's words may well be about them.
_OPEN_HEADERS = frozenset({"user-agent", "content-type", "content-encoding", "accept"})


class Reply(NamedTuple):
    """A server's answer.

    Attributes:
        status: The status code; redirects are not followed.
        headers: By their names in small letters.
        body: Decoded, and cut to the limit; where the status is not 2xx, without our own credentials.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(Exception):
    """What was sent is to blame: it would be refused for ever.

    Args:
        status: The status code, or a word for it.
        words: The server's reasons, cut and escaped.
    """

    def __init__(self, status: int | str, words: str = "") -> None:
        super().__init__(f"{status}: {words}" if words else str(status))
        self.status = status
        self.words = words


def retry_after(reply: Reply, now: float) -> float | None:
    """Seconds that the server wants to be left alone for, at most five minutes; None when it does not say.

    Args:
        reply: Its answer; `Retry-After` may be seconds or a date.
        now: Seconds since 1970.
    """
    text = reply.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d*)?", text):
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError, OSError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT_S)


def raise_for(
    reply: Reply, said: str | None = None, address: str = "the address", credentials: str = "the credentials"
) -> None:
    """Returns where the status is 2xx.

    Args:
        reply: The server's answer.
        said: The server's words where the caller can read them better than `words` does.
        address: What the user sets the address with, for the error.
        credentials: What the user sets the credentials with, for the error.

    Raises:
        Refused: 400, 413, 415, 422.
        RetryLater: Any other status; with `seconds` where the server names them.
    """
    if 200 <= reply.status < 300:
        return
    told = words(reply) if said is None else printable(said)
    if reply.status in _REFUSALS:
        raise Refused(reply.status, told)
    _raise_retry(reply, told, address, credentials)


def _raise_retry(reply: Reply, told: str, address: str, credentials: str) -> NoReturn:
    status = reply.status
    if status in _CREDENTIALS:
        advice = f"check {credentials}"
    elif status == 407:
        advice = "the proxy wants credentials"
    elif status in _BUSY or (status >= 500 and status != 501):
        advice = ""
    else:
        advice = f"check {address}"
    parts = [f"the server answers {status}", advice, told]
    raise RetryLater(": ".join(part for part in parts if part), retry_after(reply, time.time()))


def words(reply: Reply) -> str:
    """What the server says of an error, cut, and with nothing in it that could move a cursor."""
    text = reply.body[: 16 * 1024].decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            text = _message(json.loads(text)) or text
        except (ValueError, RecursionError):
            pass
    elif text.startswith("<"):
        text = re.sub(r"\s+", " ", re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.I | re.S)).strip()
    return printable(text)


def _message(answer: dict[str, Any]) -> str:
    for name in ("message", "detail", "error", "error_description", "error_code"):
        found = answer.get(name)
        if isinstance(found, dict):
            found = _message(found)
        if isinstance(found, str) and found:
            return found
    return ""


def printable(text: str) -> str:
    """The text, cut, with everything that is not printable shown as an escape."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:WORDS_LIMIT])
    return shown if len(shown) <= WORDS_LIMIT and len(text) <= WORDS_LIMIT else shown[: WORDS_LIMIT - 1] + "…"


def without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """What a server says without what it was told in secret: the headers' values, and `xyz` of `Bearer xyz`."""
    given = [value for name, value in headers.items() if name.lower() not in _OPEN_HEADERS]
    secrets = {secret for value in given for secret in (value, value.rpartition(" ")[2])}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SECRET_LENGTH:
            text = text.replace(secret, "***")
    return text
