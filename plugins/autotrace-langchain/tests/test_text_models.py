"""Models that complete texts: several texts in one request are several runs, whose tokens count once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import autotrace
from autotrace.testing.openai_server import OpenAIServer

from .conftest import QUESTION, Models, Spans, input_text, output_text, tokens

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated.*", "ignore::PendingDeprecationWarning", "ignore:unclosed:ResourceWarning"
)

TEXTS = [QUESTION, "Where does the owl sleep?", "What do swifts eat?"]
WAYS: dict[str, Callable[[Any], Any]] = {
    "batch": lambda model: model.batch(TEXTS),
    "abatch": lambda model: asyncio.run(model.abatch(TEXTS)),
    "generate": lambda model: [found[0].text for found in model.generate(TEXTS).generations],
    "agenerate": lambda model: [found[0].text for found in asyncio.run(model.agenerate(TEXTS)).generations],
}


@pytest.mark.parametrize("with_provider", [True, False], ids=["with openai", "alone"])
@pytest.mark.parametrize("way", WAYS)
def test_a_batch_in_one_request(
    spans: Spans, server: OpenAIServer, chat: Models, way: str, with_provider: bool
) -> None:
    """Each text has a span with its own answer; the request's tokens count once, whoever tells them (laws L14, L17)."""
    autotrace.autolog("openai", disable=not with_provider)
    answers = WAYS[way](chat.text())
    assert len(server.requests) == 1
    assert spans.tree() == "\n".join(["text_completion gpt-3.5-turbo-instruct"] * 3)
    assert spans.billed == tokens(server.billed) != (0, 0)
    for span, text, answer in zip(spans.all(), TEXTS, answers, strict=True):
        assert text in input_text(span)
        assert f'You asked: \\"{text}\\"' in output_text(span)
        assert f'You asked: "{text}"' in answer
