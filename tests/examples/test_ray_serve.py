"""An agent on Ray Serve: where Ray is installed (tox -e ray), for it takes half a minute and a gigabyte."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from autotrace.testing import OpenAIServer

from .serving import Example, commands, free_port, model_settings, require, until

QUESTION = "What is the weather in Oslo?"


def test_a_question_is_one_trace(model: OpenAIServer, tmp_path: Path) -> None:
    """What a replica answers is one trace, with whose it is, and both model calls beneath."""
    if find_spec("ray") is None:
        require("REQUIRE_RAY", "Ray is not in this environment (tox -e ray has it)")
    settings = {**model_settings(model.url, "gpt-4o-mini"), "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(tmp_path)}
    example = Example("ray_serve", tmp_path, settings)
    (command,) = commands(example.folder / "app.py")
    config = tmp_path / "serve.yaml"
    port = free_port()
    config.write_text(
        f"http_options: {{host: 127.0.0.1, port: {port}}}\napplications: [{{import_path: 'app:agent'}}]\n"
    )
    with example.serve(
        [*command[:-1], str(config), "--app-dir", "."], ready="/-/healthz", port=port, start_s=180
    ) as server:
        asked = {"question": QUESTION, "session_id": "chat-7", "user_id": "alice"}
        response = server.client.post("/ask", json=asked)
        assert response.status_code == 200, server.log.read_text()
        (trace,) = until(example.traces, server.log.read_text)

    assert response.headers["x-autotrace-trace-id"] == trace["trace_id"]
    assert (trace["request"], trace["response"]) == (QUESTION, response.json()["answer"])
    assert (trace["session"], trace["user"], trace["environment"]) == ("chat-7", "alice", "production")
    assert [span["operation"] for span in example.spans(trace["trace_id"])[1:]] == ["chat", "chat"]
