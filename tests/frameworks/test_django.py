"""Requests to applications made with Django, by WSGI and by ASGI."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import clear_url_caches, include, path, re_path

import autotrace
from autotrace.testing import ApplicationContract, Spans
from autotrace.testing.contract.server import serve

#: The routes of the application under test, where Django looks for them.
urlpatterns: list[Any] = []


@pytest.fixture(scope="module", autouse=True)
def configured() -> None:
    """Django's settings: once in a process."""
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="key",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        LOGGING_CONFIG=None,
    )
    django.setup()


def routed(answers: Any, streams: Any) -> None:
    """Makes these two the application's."""
    urlpatterns[:] = [path("answers/<str:name>", answers), path("streams/<str:name>", streams)]
    clear_url_caches()


class Django(ApplicationContract):
    framework = "django"
    route = "/answers/<str:name>"
    answers_errors = True
    handler: Any

    def application(self, answer: Any, pieces: Any) -> Any:
        def answers(request: Any, name: str) -> Any:
            return HttpResponse(answer(request.body), content_type="application/json")

        def streams(request: Any, name: str) -> Any:
            return StreamingHttpResponse(pieces(request.body), content_type="text/plain")

        routed(answers, streams)
        return self.handler()


class TestDjangoByWsgi(Django):
    protocol = "wsgi"
    handler = WSGIHandler


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators:Warning")
class TestDjangoByAsgi(Django):
    protocol = "asgi"
    handler = ASGIHandler

    def async_application(self, answer: Any, pieces: Any) -> Any:
        async def answers(request: Any, name: str) -> Any:
            return HttpResponse(await answer(request.body), content_type="application/json")

        async def streams(request: Any, name: str) -> Any:
            return StreamingHttpResponse(pieces(request.body), content_type="text/plain")

        routed(answers, streams)
        return self.handler()


def think(name: str = "think") -> None:
    """Something that is traced."""
    with autotrace.span(name):
        pass


def test_requests_at_both_handlers(traced: Spans) -> None:
    """Views, sync and async, included routes, and what Django answers for an exception."""

    def view(request: Any, id: int) -> Any:  # noqa: A002
        think()
        if id == 500:
            raise LookupError("no such model")
        return JsonResponse({"answer": "because"})

    async def async_view(request: Any, id: int) -> Any:  # noqa: A002
        think()
        return JsonResponse({"answer": "because"})

    patterns = [path("sync/<int:id>", view), path("async/<int:id>", async_view), re_path(r"^re/(?P<id>\d+)$", view)]
    urlpatterns[:] = [path("api/", include(patterns))]
    clear_url_caches()
    for protocol, handler in (("wsgi", WSGIHandler), ("asgi", ASGIHandler)):
        for name, status in (("sync/7", 200), ("async/7", 200), ("re/7", 200), ("sync/500", 500), ("none", 404)):
            assert serve(handler(), protocol, f"/api/{name}", b"{}", {}).status == status
        assert traced.outline().splitlines() == [
            *("POST /api/sync/<int:id>", "  think", "POST /api/async/<int:id>", "  think"),
            *("POST /api/re/(?P<id>\\d+)", "  think", "POST /api/sync/<int:id> !", "  think"),
        ]
        traced.clear()
