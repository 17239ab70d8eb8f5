"""Who may ask, and what every answer says to the browser: around the whole application."""

from __future__ import annotations

import hmac
import ipaddress
import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What the cookie is called, with the port behind it: a browser gives the cookies of a host to all of its ports.
COOKIE = "autotrace-token"
#: Nothing but what this server sends, and no code within a page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_READS = frozenset({"GET", "HEAD"})
#: A name or an address, with a port perhaps; nothing that one program reads as another host than another program does.
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may ask.

    Attributes:
        hosts: Names that this server is called by; an address or localhost need not be among them.
        token: What who asks must know; None: nothing, which is for who asks from this machine alone.
    """

    hosts: Collection[str] = ()
    token: str | None = None


class Guard:
    """Refuses what does not come from this server's own pages, or from who does not know the token.

    A page of another site may have the browser ask us by an address (`Host` is ours) or by a name of its own that leads
    here (`Host` is its own): names that are not known are refused, and so is a write whose `Origin` is another.
    """

    def __init__(self, application: ASGIApp, rules: Rules) -> None:
        self._application = application
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, by ASGI."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began = time.perf_counter()
        headers = _texts(scope["headers"])

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                took = f"total;dur={(time.perf_counter() - began) * 1000:.1f}".encode()
                message["headers"] = [*message.get("headers", ()), *_HEADERS, (b"server-timing", took)]
            await send(message)

        refused = self._refused(scope, headers)
        if refused is not None:
            await _answer(told, *refused)
        elif self._rules.token is not None and (not _knows(scope, headers, self._rules.token) or _brings(scope)):
            await self._welcome(scope, headers, told)
        else:
            await self._application(scope, receive, told)

    def _refused(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not _is_ours(host, self._rules.hosts):
            return 421, "This server is not called by that name: see autotrace ui --allow-host."
        if scope["method"] in _READS:
            return None
        origin = headers.get("origin")
        same = headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if not same or (origin is not None and _place(origin) != host.lower()):
            return 403, "That came from another site."
        return None

    async def _welcome(self, scope: Scope, headers: Mapping[str, str], send: Send) -> None:
        """Lets in who brings the token in the address, which then is in a cookie and no longer in the address."""
        parameters = _parameters(scope)
        given = [value for name, value in parameters if name == "token"]
        token = self._rules.token or ""
        is_known = _knows(scope, headers, token) or (bool(given) and _same(given[0], token))
        if scope["method"] not in _READS or not is_known:
            told = [(b"www-authenticate", b"Bearer")]
            await _answer(send, 401, "Open the address that autotrace ui printed: it has a token in it.", told)
            return
        rest = urlencode([(name, value) for name, value in parameters if name != "token"])
        # One slash at the beginning: two would lead to another host.
        path = "/" + quote(scope["path"].lstrip("/\\"), safe="/")
        cookie = f"{_cookie(scope)}={quote(token)}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"
        place = path + (f"?{rest}" if rest else "")
        await _answer(send, 303, "", [(b"location", place.encode()), (b"set-cookie", cookie.encode())])


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name; what is there several times is one text, which for most of them is none that we take."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        between = "; " if name == "cookie" else ", "
        found[name] = f"{found[name]}{between}{value}" if name in found else value
    return found


def _is_ours(host: str, hosts: Collection[str]) -> bool:
    """Whether a `Host` is an address, which no other site can give itself, or a name of ours."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found[1] or found[2]).lower().rstrip(".")
    if name == "localhost" or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookie(scope: Scope) -> str:
    server = scope.get("server")
    return f"{COOKIE}-{server[1]}" if server else COOKIE


def _knows(scope: Scope, headers: Mapping[str, str], token: str) -> bool:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(bearer.strip(), token):
        return True
    # Cookies are shared by all that this machine serves: what others have set must not hide ours.
    cookies = (each.strip().partition("=") for each in headers.get("cookie", "").split(";"))
    own = _cookie(scope)
    return any(_same(value, quote(token)) for name, _, value in cookies if name == own)


def _parameters(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _brings(scope: Scope) -> bool:
    """Whether the token stands in the address, where others may read it."""
    return scope["method"] in _READS and any(name == "token" for name, _ in _parameters(scope))


def _place(origin: str) -> str | None:
    """The host and port of an origin; None where there is none that can be read."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


async def _answer(send: Send, status: int, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    body = f"{text}\n".encode()
    length = (b"content-length", str(len(body)).encode())
    told = [(b"content-type", b"text/plain; charset=utf-8"), length, (b"cache-control", b"no-store"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
