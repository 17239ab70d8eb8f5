"""Celery tasks that ask a model; the broker is a folder."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.transport import filesystem
from kombu.utils.json import dumps
from openai import OpenAI

import autotrace


def put(channel: Any, queue: str, payload: Any, **_: Any) -> None:
    """A message appears when it is whole: kombu's own is a file that a worker may read before it is written."""
    path = Path(channel.data_folder_out, f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg")
    path.with_suffix(".new").write_text(dumps(payload))
    path.with_suffix(".new").rename(path)


filesystem.Channel._put = put
folder = Path(os.environ["CELERY_FOLDER"])
for name in ("queue", "control", "results"):
    (folder / name).mkdir(parents=True, exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend=f"file://{folder / 'results'}")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.05,
    }
)
USAGE: Any = {"include_usage": True}
client = OpenAI()


def messages(question: str) -> Iterable[Any]:
    return [{"role": "user", "content": question}]


@app.task
def ask(question: str, session: str, user: str) -> tuple[str, str | None]:
    """The answer, and the trace that it is in. Nothing tells whose a task is, so the program does."""
    autotrace.update_trace(session=session, user=user)
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=messages(question))
    return reply.choices[0].message.content or "", autotrace.current_trace_id()


@app.task
def stream(question: str, session: str, user: str) -> tuple[str, str | None]:
    """The same, from what comes piece by piece."""
    autotrace.update_trace(session=session, user=user)
    chunks = client.chat.completions.create(
        model="gpt-4o-mini", messages=messages(question), stream=True, stream_options=USAGE
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return said, autotrace.current_trace_id()


@app.task
def nothing() -> None:
    """Asks nobody."""
