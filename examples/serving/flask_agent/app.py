"""A LangChain agent behind Flask, for any WSGI server.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    cd examples/serving/flask_agent
    autotrace run gunicorn app:app --workers 2

There is nothing of autotrace in it. `flask run` serves the same file while one writes it.
"""

import os
from typing import Any, Literal

from flask import Flask, abort, request
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

OPENING_HOURS = {"Louvre": "from 9 to 18, not on Tuesdays", "Munch": "from 10 to 21", "Prado": "from 10 to 20"}


def get_opening_hours(museum: Literal["Louvre", "Munch", "Prado"]) -> str:
    """When a museum is open"""
    return f"The {museum} is open {OPENING_HOURS[museum]}."


agent: Any = create_agent(
    ChatOpenAI(model=MODEL, temperature=0, max_completion_tokens=60),  # reads OPENAI_BASE_URL and OPENAI_API_KEY
    tools=[get_opening_hours],
    system_prompt="Answer in one short sentence.",
    name="guide",
)

app = Flask(__name__)


@app.post("/ask")
def ask() -> dict[str, str]:
    """Answer the question in `{"question": "..."}`."""
    body = request.get_json()
    question = body.get("question") if isinstance(body, dict) else None
    if not isinstance(question, str):
        abort(400, 'A question is asked as {"question": "..."}.')
    state = agent.invoke({"messages": [{"role": "user", "content": question}]})
    return {"answer": state["messages"][-1].content}


@app.get("/health")
def health() -> dict[str, str]:
    """Tell a load balancer that the app is up."""
    return {"status": "ok"}
