"""The half that customers see: sorts a support ticket at once, and leaves the reply to a Celery worker.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=...
    cd examples/serving/celery_worker
    autotrace run celery --app tasks worker &
    autotrace run gunicorn web:app

    curl 127.0.0.1:8000/tickets --json '{"text": "My parcel has not arrived.", "user_id": "alice"}'
    curl 127.0.0.1:8000/tickets/ID

There is nothing of autotrace in it. The request and the worker's task are a trace each, of the same session and user;
the task's is linked to the request's. The broker is a Redis on this machine, or BROKER_URL; without any broker:

    export BROKER_URL=filesystem:// QUEUE_FOLDER=/tmp/tickets RESULT_URL=file:///tmp/tickets
"""

from typing import Any

from celery.result import AsyncResult
from flask import Flask, abort, request
from tasks import MODEL, draft_reply, model
from tasks import app as worker

CATEGORIES = ("delivery", "payment", "other")

app = Flask(__name__)


def category_of(ticket: str) -> str:
    """Ask the model what a ticket is about."""
    prompt = f"Which of {', '.join(CATEGORIES)} is this about? Answer with one word. {ticket}"
    reply = model().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_completion_tokens=5
    )
    said = (reply.choices[0].message.content or "").lower()
    return next((category for category in CATEGORIES if category in said), "other")


@app.post("/tickets")
def open_ticket() -> tuple[dict[str, str], int]:
    """Take the ticket in `{"text": "..."}`; the reply is drafted later."""
    body = request.get_json()
    ticket = body.get("text") if isinstance(body, dict) else None
    if not isinstance(ticket, str):
        abort(400, 'A ticket is opened as {"text": "..."}.')
    category = category_of(ticket)
    return {"id": draft_reply.delay(ticket, category).id, "category": category}, 202


@app.get("/tickets/<uuid:ticket>")
def show_ticket(ticket: Any) -> dict[str, str]:
    """Tell how far the reply is: pending, failure, or success with its draft."""
    result: Any = AsyncResult(str(ticket), app=worker)
    return {"state": result.state.lower(), **({"draft": result.result} if result.successful() else {})}


@app.get("/health")
def health() -> dict[str, str]:
    """Tell a load balancer that the app is up."""
    return {"status": "ok"}
