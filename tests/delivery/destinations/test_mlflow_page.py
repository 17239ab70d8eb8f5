"""A thumb that is given in the page, in a real browser, on a real MLflow server; and the link that leads there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import by_hand
from tests.web.conftest import browser, served  # noqa: F401 - a fixture

from .mlflow_server import Server

PROGRAM = """
import autotrace
with autotrace.span("POST /chat", input="Where is my order?"):
    pass
"""


def test_a_thumb_arrives_in_the_store_and_in_mlflow(
    mlflow_server: Server,
    experiment: str,
    tmp_path: Path,
    browser: Any,  # noqa: F811
) -> None:
    """With its comment, as an assessment of the same trace; the page shows it, and where the trace is in MLflow."""
    home = tmp_path / "home"
    settings = {
        "AUTOTRACE_HOME": str(home),
        "AUTOTRACE_EXIT_TIMEOUT": "30",
        "AUTOTRACE_DESTINATION": "store,mlflow",
        "MLFLOW_TRACKING_URI": mlflow_server.url,
        "MLFLOW_EXPERIMENT_NAME": experiment,
        "NO_PROXY": "*",
    }
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run(command, env={**by_hand(), **settings}, cwd=tmp_path, check=True)
    with served(home, environment=settings) as page:
        trace_id = page.trace()
        tab = browser.new_page()
        tab.goto(f"{page.url}trace/{trace_id}")
        tab.get_by_label("Comment").fill("Not <b>this</b> one.")
        tab.locator("button[value=down]").click()
        tab.wait_for_url("**/trace/*said=1*")
        assert "Not <b>this</b> one." in tab.locator("#feedback").inner_text()
        (stored,) = page.json(f"trace/{trace_id}.json")["feedback"]["verdicts"]
        assert (stored["thumb"], stored["comment"]["text"]) == ("down", "Not <b>this</b> one.")
        tab.close()
        number = mlflow_server.info(trace_id)["trace_location"]["mlflow_experiment"]["experiment_id"]
        place = f"{mlflow_server.url}/#/experiments/{number}/traces?selectedEvaluationId=tr-{trace_id}"
        assert page.json(f"trace/{trace_id}.json")["links"]["mlflow"] == {"what": "trace", "href": place}
    (found,) = mlflow_server.info(trace_id)["assessments"]
    assert (found["feedback"]["value"], found["rationale"]) == (False, "Not <b>this</b> one.")
