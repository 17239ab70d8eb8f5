"""Sends Celery tasks: a question comes in as a line of JSON, and goes out answered. It is not traced."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tasks

lock = threading.Lock()


def ask(asked: dict[str, Any]) -> None:
    try:
        found = {"id": asked["id"], **answer(asked)}
    except Exception as error:
        found = {"id": asked["id"], "error": repr(error)}
    with lock:
        print(json.dumps(found), flush=True)


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["path"] == "/health":
        tasks.nothing.delay().get(timeout=60, interval=0.02)
        return {}
    task = tasks.stream if asked["path"] == "/stream" else tasks.ask
    sent = task.delay(question=asked["question"], session=asked["session"], user=asked["user"])
    said, trace_id = sent.get(timeout=60, interval=0.02)
    return {"answer": said, "trace_id": trace_id}


if __name__ == "__main__":
    tasks.nothing.delay().get(timeout=60, interval=0.1)
    print("ready", flush=True)
    with ThreadPoolExecutor(8) as threads:
        for line in sys.stdin:
            threads.submit(ask, json.loads(line))
