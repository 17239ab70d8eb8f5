"""An agent behind MLflow's AgentServer, which speaks OpenAI's Responses API.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    cd examples/serving/mlflow_agent_server
    autotrace run serve.py --port 8000

    curl 127.0.0.1:8000/responses --json '{"input": [{"role": "user", "content": "What is the weather in Oslo?"}],
        "context": {"conversation_id": "chat-7", "user_id": "alice"}}'

There is nothing of autotrace in it.
"""

import os

import agent  # noqa: F401  its functions are what AgentServer calls
from mlflow.genai.agent_server import AgentServer

server = AgentServer("ResponsesAgent")
app = server.app

if __name__ == "__main__":
    server.run("serve:app", host=os.environ.get("HOST", "127.0.0.1"))  # takes --port, --workers and --reload
