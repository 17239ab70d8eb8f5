"""MLflow's AgentServer in front of the agent, as MLflow's own template starts it."""

from __future__ import annotations

import agent_functions  # noqa: F401 - which registers them
from mlflow.genai.agent_server import AgentServer

server = AgentServer("ResponsesAgent")
app = server.app

if __name__ == "__main__":
    server.run("agent_server:app", host="127.0.0.1")
