"""Feedback that is given in the page: the only thing that it writes."""

from __future__ import annotations

from collections.abc import Mapping

from autotrace.errors import FeedbackError

from .pages.page import NotThere
from .site import Site

#: Characters of a comment that are taken.
_LONGEST = 5000
_VALUES = {"up": True, "down": False}


def judge(site: Site, trace_id: str, form: Mapping[str, str]) -> bool:
    """Passes on a thumb, with a comment or without.

    Args:
        site: What is served.
        trace_id: As the address has it.
        form: `value` is `up` or `down`; `comment`, `user`.

    Returns:
        Whether it is in the store; else it is still on its way.

    Raises:
        NotThere: There is no such trace.
        FeedbackError: It cannot be said.
    """
    with site.insights() as insights:
        if insights is None or insights.store.matches(trace_id, 1) != [trace_id]:
            raise NotThere("There is no such trace.")
    if form.get("value") not in _VALUES:
        raise FeedbackError("choose a thumb up or down")
    if site.judge is None:
        raise FeedbackError("nothing is recorded here: autotrace is switched off")
    comment, user = form.get("comment", "").strip()[:_LONGEST], form.get("user", "").strip()[:200]
    number = site.judge(trace_id, _VALUES[form["value"]], comment or None, user or None)
    with site.insights() as insights:
        given = [] if insights is None else insights.store.feedback(trace_id)
    return any(each.id == number for each in given)
