"""What a page is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autotrace.insights.view import Insights

from ..query import Query
from ..site import Site


class NotThere(Exception):
    """There is nothing at this address; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a page.

    Attributes:
        site: What is served.
        insights: Questions to the traces.
        query: What the address asks for.
        path: The parts of the path that differ: `trace_id`, `failure`.
    """

    site: Site
    insights: Insights
    query: Query
    path: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        name: Of its template.
        title: As people call it.
        path: Its address.
        section: What it belongs to in the navigation.
        data: What it shows, as JSON can hold it; that is its twin `.json`, too.
        context: What the template is given beside that.
    """

    name: str
    title: str
    path: str
    section: str
    data: Callable[[Asked], dict[str, Any]]
    context: Callable[[Asked, dict[str, Any]], dict[str, Any]] = lambda asked, data: {}
