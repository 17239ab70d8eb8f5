"""A program with a pool of processes: `pool.py fork|spawn`. Questions come in, and answers go out, as lines of JSON."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import threading
from typing import Any

from openai import OpenAI

import autotrace

USAGE: Any = {"include_usage": True}
client = OpenAI()


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """One task. No request tells whose it is, so the program does."""
    if asked["path"] == "/health":
        return {"id": asked["id"]}
    messages: Any = [{"role": "user", "content": asked["question"]}]
    who = autotrace.context(session=asked["session"], user=asked["user"])
    with who, autotrace.span("task", input=asked["question"]) as span:
        if asked["path"] == "/stream":
            chunks = client.chat.completions.create(
                model="gpt-4o-mini", messages=messages, stream=True, stream_options=USAGE
            )
            said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        else:
            reply = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
            said = reply.choices[0].message.content or ""
        span.set(output=said)
        return {"id": asked["id"], "answer": said, "trace_id": autotrace.current_trace_id()}


def answer_or_error(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return answer(asked)
    except Exception as error:
        return {"id": asked["id"], "error": repr(error)}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print("ready", flush=True)
        lock = threading.Lock()

        def tell(found: Any) -> None:
            with lock:
                print(json.dumps(found), flush=True)

        for line in sys.stdin:
            pool.apply_async(answer_or_error, (json.loads(line),), callback=tell)


if __name__ == "__main__":
    main()
