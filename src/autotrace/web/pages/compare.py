"""Two selections side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autotrace.errors import FilterError
from autotrace.insights.comparison import comparison
from autotrace.insights.scope import Scope
from autotrace.insights.view import Insights

from .page import Asked, Page

#: What the two sides may differ in; each is a parameter with `a_` or `b_` before it.
FIELDS = ("environment", "service", "release", "model", "user", "tag", "filter")


def data(asked: Asked) -> dict[str, Any]:
    """The same figures of both sides."""
    given = _given(asked)
    scopes = [_narrowed(asked.query.scope, given[side]) for side in "ab"]
    return {
        "sides": {side: {"given": given[side]} for side in "ab"},
        **comparison(asked.insights, asked.site.memory, *scopes),
    }


def context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """What the forms of the sides show, and where each side's traces are."""
    urls, names = {}, {}
    for side in "ab":
        given = dict(found["sides"][side]["given"])
        names[side] = ", ".join(f"{name} {value}" for name, value in given.items()) or "all traces"
        own = given.pop("filter", "")
        urls[side] = asked.query.narrowed(f"({own})", **given) if own else asked.query.url("/traces", **given)
    offered = {name: asked.insights.kinds(name, 200) for name in ("environment", "service", "release", "model")}
    return {"fields": FIELDS, "urls": urls, "names": names, "offered": offered}


def _given(asked: Asked) -> dict[str, dict[str, str]]:
    other = asked.query.other
    given = {side: {name: other[f"{side}_{name}"] for name in FIELDS if other.get(f"{side}_{name}")} for side in "ab"}
    return given if any(given.values()) else _suggested(asked.insights)


def _suggested(insights: Insights) -> dict[str, dict[str, str]]:
    """Where nobody said what to compare: production and development, else the last two releases, else two models."""
    environments = insights.kinds("environment")
    if {"production", "development"} <= set(environments):
        return {"a": {"environment": "production"}, "b": {"environment": "development"}}
    for name in ("release", "model", "environment", "service"):
        known = insights.kinds(name)
        if len(known) > 1:
            return {"a": {name: known[-2]}, "b": {name: known[-1]}}
    return {"a": {}, "b": {}}


def _narrowed(scope: Scope, given: dict[str, str]) -> Scope:
    facets: dict[str, Any] = {name: value for name, value in given.items() if name != "filter"}
    own = given.get("filter", "")
    filters = [f"({each})" for each in (scope.filter, own) if each.strip()]
    if len(" AND ".join(filters)) > 2000:
        raise FilterError("the filters are too long together: at most 2,000 characters")
    return replace(scope, **facets, filter=" AND ".join(filters))


PAGE = Page("compare", "Compare", "/compare", "compare", data, context)
