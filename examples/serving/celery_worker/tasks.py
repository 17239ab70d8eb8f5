"""The worker's half: drafts the reply to a support ticket.

    celery --app tasks worker

See web.py for how both are started.
"""

import os
from pathlib import Path

from celery import Celery
from openai import OpenAI

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

app = Celery("tickets", broker=os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.broker_connection_retry_on_startup = True
app.conf.result_backend = os.environ.get("RESULT_URL", app.conf.broker_url)
if app.conf.broker_url.startswith("filesystem:"):  # without any broker: a folder that web and worker share
    queue = Path(os.environ["QUEUE_FOLDER"])
    queue.mkdir(parents=True, exist_ok=True)
    app.conf.broker_transport_options = {
        name: str(queue) for name in ("data_folder_in", "data_folder_out", "control_folder")
    }

client: OpenAI | None = None


def model() -> OpenAI:
    """Return this process's client: connections must not be shared by the processes that Celery forks."""
    global client
    client = client or OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
    return client


@app.task
def draft_reply(ticket: str, category: str) -> str:
    """Draft the reply to a ticket."""
    prompt = f"Write a short, friendly reply to a customer. Their problem is about {category}: {ticket}"
    reply = model().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_completion_tokens=100
    )
    return reply.choices[0].message.content or ""
