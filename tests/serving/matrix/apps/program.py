"""An agent in one file: `program.py QUESTION` answers by hand, and a server serves `app`. It knows nothing of us."""

from __future__ import annotations

import sys
from typing import Any

from fastapi import FastAPI
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


@tool
def look_up(item: str) -> str:
    """What is known of an item."""
    return f"{item} is in stock"


agent: Any = create_agent(ChatOpenAI(model="gpt-4o-mini"), [look_up], system_prompt="You keep a shop.")
app = FastAPI()


class Question(BaseModel):
    question: str


def answer(question: str) -> str:
    said: str = agent.invoke({"messages": [{"role": "user", "content": question}]})["messages"][-1].content
    return said


@app.post("/ask")
def ask(asked: Question) -> dict[str, str]:
    return {"answer": answer(asked.question)}


@app.get("/health")
def health() -> dict[str, bool]:
    return {"ok": True}


if __name__ == "__main__":
    print(answer(sys.argv[1]))
