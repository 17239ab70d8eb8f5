"""A long-lived process stays as it is: memory, threads, open files."""

from __future__ import annotations

import json

from .conftest import Program

#: 50,000 calls take minutes: `FLAT_CALLS=50000` in the environment does that.
MEASURE = """
import gc, json, resource, threading
import autotrace

class Answer:
    def __init__(self, text): self.text = text

@autotrace.trace(operation="chat")
def ask_model(text):
    return {"answer": text * 20}

@autotrace.trace
def pieces(text):
    for number in range(5):
        yield text

def rss():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def figures():
    autotrace.flush()
    return {"rss": rss(), "threads": threading.active_count(), "files": len(os.listdir("/proc/self/fd"))}

calls = int(os.environ.get("FLAT_CALLS", "2000"))
def work(count):
    for number in range(count):
        ask_model(f"question {number}")
        if number % 5 == 0:
            for piece in pieces("abc"):
                break
        if number % 100 == 0:
            stream = ask("hello", stream=True)
            next(stream)
            stream.close()
        if number % 1000 == 999:
            autotrace.flush()
work(max(2000, calls // 3))  # what a process has to grow by, it has by then
before = figures()
work(calls)
print(json.dumps([before, figures()]))
"""


def test_memory_threads_and_files_stay_flat(program: Program) -> None:
    """L39: thousands of calls, broken-off streams among them, leave memory, threads and open files as they were."""
    status, output, errors = program.run(MEASURE)
    assert (status, errors) == (0, "")
    before, after = json.loads(output)
    assert after["rss"] - before["rss"] < 1_500_000
    assert after["threads"] == before["threads"]
    assert after["files"] <= before["files"]
