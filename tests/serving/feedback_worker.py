"""A worker of a served application: it answers requests, and takes feedback on its own answers and on others' answers.

    feedback_worker.py WORKER WORKERS TRACES USERS

All users give feedback on all traces, the first one before the trace has begun; every tenth post is sent again, to
another worker. Between the steps it waits for a line of its standard input, so that all workers go together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

import autotrace
from autotrace.config import load
from autotrace.serving.feedback_endpoint import FeedbackEndpoint
from autotrace.serving.request_ids import RequestIds

JSON = {"content-type": "application/json"}


def trace_id(number: int) -> str:
    """The id of a trace, known before it begins."""
    return f"{(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def value(number: int, user: int) -> Any:
    """What a user says of a trace: a thumb, a mark, or a word."""
    return (user % 2 == 0, (number + user) / 4, f"category {number % 7}")[(number + user) % 3]


def post(number: int, user: int) -> dict[str, Any]:
    """The feedback of a user on a trace; by its request where the trace is there and the user's number is odd."""
    where = {"request_id": f"request ✓ {number}"} if user % 2 else {"trace_id": trace_id(number)}
    said = {"value": value(number, user), "comment": f"user {user} on trace {number}", "user": f"user-{user}"}
    return {**where, **said}


def posts(worker: int, workers: int, traces: int, users: range) -> Iterator[dict[str, Any]]:
    """What is posted to a worker: mostly feedback on traces of others."""
    for number in range(traces):
        for user in users:
            place = number + user
            if place % workers == worker:
                yield post(number, user)
            if (number * 10 + user) % 10 == number % 10 and (place + 1) % workers == worker:
                yield post(number, user)


def main() -> None:
    worker, workers, traces, users = map(int, sys.argv[1:])
    ids = RequestIds(load().home / "journal")
    endpoint = FeedbackEndpoint("/autotrace/feedback", autotrace.log_feedback, ids.find)

    def give(users: range) -> None:
        for body in posts(worker, workers, traces, users):
            answer = endpoint.answer("POST", JSON, json.dumps(body).encode())
            assert answer.status == 202, (answer, body)

    def wait() -> None:
        print("done", flush=True)
        sys.stdin.readline()

    wait()
    give(range(1))
    wait()
    for number in range(worker, traces, workers):
        sender = SpanContext(int(trace_id(number), 16), number + 1, is_remote=True, trace_flags=TraceFlags(1))
        with use_span(NonRecordingSpan(sender)), autotrace.span("answer", input=f"question {number}") as span:
            span.set(output="because")
        ids.note(f"request ✓ {number}", trace_id(number))
    wait()
    give(range(1, users))
    autotrace.flush(60)


if __name__ == "__main__":
    main()
