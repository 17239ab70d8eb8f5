"""Celery tasks that ask a model; the broker is a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from celery import Celery
from openai import OpenAI

folder = Path(os.environ["CELERY_FOLDER"])
app = Celery("tasks", broker="filesystem://", backend=f"file://{folder / 'results'}")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
    },
    worker_hijack_root_logger=False,
)
USAGE: Any = {"include_usage": True}
client = OpenAI()


def messages(question: str) -> Iterable[Any]:
    return [{"role": "user", "content": question}]


@app.task
def ask(question: str, session_id: str, user_id: str) -> str:
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=messages(question))
    return reply.choices[0].message.content or ""


@app.task
def stream(question: str, session_id: str, user_id: str) -> str:
    chunks = client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(question), stream=True, stream_options=USAGE
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
