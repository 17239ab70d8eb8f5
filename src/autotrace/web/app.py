"""The application: addresses, and how a page becomes HTML or JSON."""

from __future__ import annotations

import asyncio
import hmac
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import anyio
import orjson
from anyio import to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from autotrace.errors import AutotraceError, FilterError, StoreError
from autotrace.insights import ranges, trouble
from autotrace.insights.tree import quoted
from autotrace.insights.view import Insights
from autotrace.store.visible import visible

from . import figures
from .guard import Guard, Rules
from .hiding import hidden, refuse
from .live import Live
from .pages import PAGES
from .pages.page import Asked, NotThere, Page
from .query import RANGES, Query, query, without_filter, without_place
from .site import MOST_AT_ONCE, Site
from .verdicts import judge

_HERE = Path(__file__).parent
_STATIC = {"style.css": "text/css", "trace.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
#: Addresses in the navigation, with what they are called.
NAVIGATION = ("overview", "traces", "sessions", "users", "failures", "behaviour", "compare")
#: Names that a list to choose from has at most.
_CHOICES = 200
#: Seconds that a form may take to come.
_FORM_S = 10.0
_TITLES = {404: "Not there", 405: "Not there", 503: "Not now"}

Endpoint = Callable[[Request], Awaitable[Response]]


def application(site: Site, rules: Rules = Rules()) -> ASGIApp:  # noqa: B008 (it is frozen)
    """The whole of it, by ASGI.

    Args:
        site: What is served.
        rules: Who may ask.
    """
    return Guard(_Application(site).starlette, rules)


class _Application:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._live = Live(self._version)
        site.ends.append(self._end)
        self._limiter: anyio.CapacityLimiter | None = None
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_harmless,
        )
        for name in ("count", "duration", "usd", "share", "change", "moment", "exactly", "ago", "field"):
            self._templates.filters[name] = getattr(figures, name)
        self._templates.filters["quoted"] = quoted
        missing = {HTTPException: self._missing}
        self.starlette = Starlette(routes=self._routes(), lifespan=self._lifespan, exception_handlers=missing)
        # It would lead to an address made of what the request calls this server.
        self.starlette.router.redirect_slashes = False

    def _routes(self) -> list[Route]:
        routes = [
            Route("/", self._home),
            Route("/status.json", self._status),
            Route("/events", self._events),
            Route("/static/{name}", self._static),
            Route("/trace/{trace_id}/feedback", self._feedback, methods=["POST"]),
        ]
        for page in PAGES:
            routes.append(Route(f"{page.path}.json", self._page(page, as_json=True)))
            routes.append(Route(page.path, self._page(page, as_json=False)))
        return routes

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._site.close()

    async def _missing(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        text = "There is no such page." if status == 404 else "That cannot be done at this address."
        found = await self._run(
            lambda: self._problem(query({}), text, status, as_json=request.url.path.endswith(".json"))
        )
        found.headers.update(getattr(error, "headers", None) or {})
        return found

    async def _home(self, request: Request) -> Response:
        return RedirectResponse(query(request.query_params).url("/overview"), 307)

    def _page(self, page: Page, *, as_json: bool) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await self._run(lambda: self._answer(page, request, as_json=as_json))

        return endpoint

    async def _run(self, work: Callable[[], Response]) -> Response:
        """Does what reads files in a thread, a few at a time."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(MOST_AT_ONCE)
        return await to_thread.run_sync(work, limiter=self._limiter)

    def _answer(self, page: Page, request: Request, *, as_json: bool) -> Response:
        asked_for = query(request.query_params)
        try:
            with self._site.insights() as insights:
                if insights is None:
                    return self._nothing(page, asked_for, as_json=as_json)
                asked = Asked(self._site, insights, asked_for, dict(request.path_params))
                try:
                    data = self._data(page, asked)
                except FilterError as error:
                    if as_json:
                        return _json({"error": str(error)}, 400)
                    asked, data = self._without(page, asked, error)
                if self._site.hides_content:
                    data = hidden(data)
                if as_json:
                    problem = asked.query.problem
                    notes = [*([problem] if problem else []), *_troubles(insights)]
                    notes += [*insights.notes, *insights.store.notes]
                    return _json({**data, "notes": notes}, 400 if problem else 200)
                return self._html(page, asked, data)
        except NotThere as missing:
            return self._problem(asked_for, str(missing), 404, as_json=as_json)
        except FilterError as error:  # neither in the filter nor in the order, without which it was tried
            return self._problem(asked_for, str(error), 400, as_json=as_json)
        except (AutotraceError, OSError) as error:
            return self._problem(asked_for, str(error), 503, as_json=as_json)

    def _data(self, page: Page, asked: Asked) -> dict[str, Any]:
        if self._site.hides_content:
            refuse(asked.query)
        return page.data(asked)

    def _without(self, page: Page, asked: Asked, error: FilterError) -> tuple[Asked, dict[str, Any]]:
        """What a page shows without what cannot be read: the order of a list, or the filter, or both.

        Raises:
            FilterError: It is something else.
        """
        for leave_out in (without_place, without_filter):
            try:
                one = replace(asked, query=leave_out(asked.query, error))
                return one, self._data(page, one)
            except FilterError:
                continue
        both = replace(asked, query=without_filter(without_place(asked.query, error), error))
        return both, self._data(page, both)

    def _html(self, page: Page, asked: Asked, data: dict[str, Any]) -> Response:
        progress = asked.insights.progress()
        context = {
            **self._frame(asked.query, page),
            "data": data,
            "page": page,
            "problem": asked.query.problem,
            "troubles": _troubles(asked.insights),
            "notes": [*asked.insights.notes, *asked.insights.store.notes],
            "choices": {
                name: asked.insights.kinds(name, _CHOICES) for name in ("environment", "service", "release", "model")
            },
            "version": asked.insights.version(),
            "reading": None if progress.is_complete else progress.left,
            "ahead": _ahead(asked),
            "twin": asked.query.url(f"{_filled(page.path, asked.path)}.json", **asked.query.other),
            **page.context(asked, data),
        }
        return _page(self._templates.get_template(f"{page.name}.html").render(context))

    def _frame(self, found: Query, page: Page | None) -> dict[str, Any]:
        return {
            "query": found,
            "navigation": [(name, name.capitalize(), found.url(f"/{name}")) for name in NAVIGATION],
            "here": page.name if page is not None else "",
            "section": page.section if page is not None else "",
            "ranges": RANGES,
            "csrf": self._site.csrf,
            "hides_content": self._site.hides_content,
            "home": str(self._site.config.home),
            "title": page.title if page is not None else "Not there",
        }

    def _nothing(self, page: Page, found: Query, *, as_json: bool) -> Response:
        text = 'No traces yet: add "import autotrace.auto" to a program, or start it with "autotrace run".'
        if as_json:
            return _json({"error": text}, 404)
        return _page(self._templates.get_template("nothing.html").render(self._frame(found, page)))

    def _problem(self, found: Query, text: str, status: int, *, as_json: bool) -> Response:
        if as_json:
            return _json({"error": text}, status)
        context = {**self._frame(found, None), "text": text, "title": _TITLES.get(status, "Not so")}
        return _page(self._templates.get_template("problem.html").render(context), status)

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return PlainTextResponse("There is no such file.\n", 404)
        content = (_HERE / "static" / name).read_bytes()
        return Response(content, media_type=_STATIC[name], headers={"cache-control": "no-cache"})

    async def _status(self, request: Request) -> Response:
        return await self._run(lambda: self._progress(request.query_params.get("trace")))

    def _progress(self, trace_id: str | None) -> Response:
        try:
            with self._site.insights() as insights:
                if insights is None:
                    return _json({"complete": False, "behind": None})
                progress = insights.progress()
                told: dict[str, Any] = {"complete": progress.is_complete, "behind": progress.left}
                told["version"] = insights.version()
                if trace_id is not None:
                    told["trace"] = insights.trace_version(trace_id)
                return _json({**told, **trouble.told(insights.meta)})
        except (AutotraceError, OSError) as error:
            return _json({"error": str(error)}, 503)

    async def _events(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers={"cache-control": "no-store"})
        if self._live.is_full:
            return PlainTextResponse("Too many pages are open.\n", 503, headers={"retry-after": "30"})
        return StreamingResponse(
            self._live.events(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    def _end(self) -> None:
        self._live.is_over = True

    def _version(self) -> str:
        try:
            with self._site.insights() as insights:
                return "" if insights is None else f"{insights.version()}"
        except (AutotraceError, OSError):
            return ""

    async def _feedback(self, request: Request) -> Response:
        try:
            form = await asyncio.wait_for(_form(request), _FORM_S)
        except (asyncio.TimeoutError, ClientDisconnect):
            form = {}
        scope = query(request.query_params)
        return await self._run(lambda: self._judge(request.path_params["trace_id"], form, scope))

    def _judge(self, trace_id: str, form: Mapping[str, str], scope: Query) -> Response:
        if not hmac.compare_digest(form.get("csrf", "").encode("utf-8", "replace"), self._site.csrf.encode()):
            return self._problem(
                query({}), "The page was too old: go back, reload it, and try again.", 403, as_json=False
            )
        try:
            is_there = judge(self._site, trace_id, form)
        except NotThere as missing:
            return self._problem(query({}), str(missing), 404, as_json=False)
        except StoreError as error:
            return self._problem(query({}), str(error), 503, as_json=False)
        except AutotraceError as error:
            return self._problem(query({}), str(error), 400, as_json=False)
        return RedirectResponse(scope.url(f"/trace/{trace_id}", said="1" if is_there else "later") + "#feedback", 303)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, of at most 64 kB."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > 64 * 1024:
            return {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        return {}


def _troubles(insights: Insights) -> list[str]:
    """What keeps the page from showing all that is in the store."""
    return trouble.sentences(trouble.told(insights.meta))


def _ahead(asked: Asked) -> dict[str, Any] | None:
    """Traces that no range until now has in it, because a clock is ahead; None where there are none."""
    if "from" in asked.query.given or "to" in asked.query.given:
        return None
    end = asked.query.scope.end_ns
    count, last = asked.insights.ahead(end)
    if not count:
        return None
    url = asked.query.within(ranges.iso(end), ranges.iso(last + ranges.SECOND_NS))
    return {"count": count, "url": url}


def _filled(path: str, given: Mapping[str, str]) -> str:
    for name, value in given.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def _page(html: str, status: int = 200) -> Response:
    return Response(
        html.encode("utf-8", "replace"),
        status,
        media_type="text/html; charset=utf-8",
        headers={"cache-control": "no-store"},
    )


def _json(value: Any, status: int = 200) -> Response:
    try:
        body = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except TypeError:  # lone surrogates, integers beyond 64 bits, infinities among keys
        body = json.dumps(_finite(value), ensure_ascii=True).encode()
    return Response(body, status, media_type="application/json", headers={"cache-control": "no-store"})


def _harmless(value: Any) -> Any:
    """What a template writes: of texts, what could act on who reads them is shown as its escape."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
