"""Streamlit's scripts, run by its own runner: each run that leads to a traced call is a trace."""

from __future__ import annotations

import os
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from ..conftest import Collected

if os.environ.get("REQUIRE_NOTEBOOKS") != "1":
    pytest.importorskip("streamlit", reason="Streamlit is not installed: tox -e notebooks")

pytestmark = pytest.mark.filterwarnings("ignore")  # of Streamlit's

SCRIPT = """
import autotrace
import streamlit as st

question = st.chat_input("Ask")
if st.button("Nothing"):
    st.write("nothing")
if st.button("Again"):
    st.session_state.question = "again"
    st.rerun()
question = question or st.session_state.pop("question", None)
if question:
    with autotrace.span("chat", input=question):
        st.write("because " + question)
    if question == "fail":
        raise LookupError("no answer")
    if question == "stop":
        st.stop()
"""


@pytest.fixture
def page(spans: Collected, tmp_path: Any) -> Any:
    """The page, opened."""
    from streamlit.testing.v1 import AppTest

    script = tmp_path / "chat.py"
    script.write_text(SCRIPT)
    page = AppTest.from_file(str(script)).run(timeout=30)
    assert not page.exception
    assert spans.finished == []
    return page


def test_a_run_is_a_trace(page: Any, spans: Collected) -> None:
    """What was said to the page is its input; all runs of one tab are a session."""
    page.chat_input[0].set_value("why").run()
    assert page.markdown[0].value == "because why"
    page.button[0].click().run()
    page.chat_input[0].set_value("how").run()
    roots = [span for span in spans.finished if span.name == "rerun chat.py"]
    assert [(span.attributes["input.value"], span.status.status_code) for span in roots] == [
        ("why", StatusCode.OK),
        ("how", StatusCode.OK),
    ]
    assert {(span.kind, span.parent) for span in roots} == {(SpanKind.SERVER, None)}
    assert len({span.attributes["session.id"] for span in roots}) == 1
    chats = [span for span in spans.finished if span.name == "chat"]
    assert [span.parent.span_id for span in chats] == [span.get_span_context().span_id for span in roots]


def test_a_run_that_runs_again(page: Any, spans: Collected) -> None:
    """A script that asks to be run again is one run, whose work may come in the second."""
    page.button[1].click().run()
    assert page.markdown[0].value == "because again"
    assert [span.name for span in spans.finished] == ["chat", "rerun chat.py"]
    assert "input.value" not in spans.named("rerun chat.py").attributes


def test_errors(page: Any, spans: Collected) -> None:
    """What the page shows as an error is the trace's; a script that stops by itself has not failed."""
    page.chat_input[0].set_value("stop").run()
    page.chat_input[0].set_value("fail").run()
    assert page.exception[0].message == "no answer"
    stopped, failed = (span for span in spans.finished if span.name == "rerun chat.py")
    assert stopped.status.status_code is StatusCode.OK
    assert (failed.status.status_code, failed.attributes["error.type"]) == (StatusCode.ERROR, "LookupError")
