"""The pages, a module each: what one shows, as JSON can hold it; a template of the same name makes HTML of that."""

from __future__ import annotations

from . import behaviour, compare, failures, overview, people, trace, traces
from .page import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    traces.PAGE,
    trace.PAGE,
    people.SESSIONS,
    people.SESSION,
    people.USERS,
    people.USER,
    failures.PAGE,
    failures.ONE,
    behaviour.PAGE,
    compare.PAGE,
)
