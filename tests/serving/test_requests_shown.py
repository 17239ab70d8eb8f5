"""What lists of traces show of a request: the question and the answer in words, in the store and in MLflow."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from autotrace.delivery.destinations.mlflow import previews
from autotrace.delivery.destinations.mlflow.attributes import INPUTS, OUTPUTS, attributes
from autotrace.store.messages import request_text, response_text
from autotrace.testing import Spans
from tests.delivery.destinations.mlflow_server import new_trace, span

from .reading.conftest import RECORDINGS, recording
from .servers import answer, body, scope, serve, think

QUESTION, ANSWER = "How warm is Oslo?", "Oslo has 4 degrees."
SEVERAL = {"dataframe_records", "langserve_batch"}
ANSWERED = [name for name in RECORDINGS if recording(name).status == 200 and name not in SEVERAL]


@pytest.mark.parametrize("name", [name for name in ANSWERED if not name.endswith("failure")])
def test_in_words(web: ModuleType, traced: Spans, name: str) -> None:
    """Whatever the shapes of request and response: what the user asked, what the agent said."""
    request, _, content_type, response = recording(name)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        think()
        half = len(response) // 2
        headers = [(b"content-type", content_type.encode())]
        await answer(send, response[:half], response[half:], headers=headers)

    serve(web, app, scope(headers=[("content-type", "application/json")]), incoming=body(request))
    root = traced.named("POST /chat").attributes
    assert (request_text(root), response_text(root)) == (QUESTION, ANSWER)
    assert (previews.request(root, 1000), previews.response(root, 1000)) == (QUESTION, ANSWER)
    told = attributes(span(new_trace(), 1, None, dict(root)))
    assert QUESTION in told[INPUTS]
    assert ANSWER in told[OUTPUTS]
