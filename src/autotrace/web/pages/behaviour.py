"""Behaviour: what users ask, and the ways that agents take."""

from __future__ import annotations

from typing import Any

from autotrace.insights.behaviour import behaviour

from ..drawing import spark
from .page import Asked, Page


def data(asked: Asked) -> dict[str, Any]:
    """Groups of questions, paths, repeated calls."""
    return behaviour(asked.insights, asked.site.memory, asked.query.scope)


def context(asked: Asked, found: dict[str, Any]) -> dict[str, Any]:
    """A drawing of each one's course."""
    return {
        "question_sparks": [spark(each["course"], "Traces over time") for each in found["questions"]],
        "path_sparks": [spark(each["course"], "Traces over time") for each in found["paths"]],
    }


PAGE = Page("behaviour", "Behaviour", "/behaviour", "behaviour", data, context)
