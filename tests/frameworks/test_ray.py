"""A real Ray under `autotrace run`: what its workers do is a trace each, wherever they run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from autotrace.store.reader import Reader, Trace

from ..conftest import by_hand

if os.environ.get("REQUIRE_RAY") != "1":
    pytest.importorskip("ray", reason="Ray is not in this environment (tox -e ray has it)")

START = """
import asyncio, json, socket, urllib.request
import autotrace, ray

ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)

def ask(text):
    with autotrace.span("chat", input=text):
        return f"because {text}"
"""
FUNCTIONS = """
@ray.remote
def answer(question, tone="kind"):
    return ask(question)

@ray.remote
def add(x, y):
    return x + y

@ray.remote
def fail(reason):
    ask(reason)
    raise LookupError(reason)

@ray.remote
def words(text):
    for word in text.split():
        yield ask(word)

@ray.remote
class Agent:
    def __init__(self, name):
        self.name = name

    def ask(self, question):
        return ask(f"{question}, {self.name}")

@ray.remote
class Later:
    async def ask(self, question):
        await asyncio.sleep(0)
        return ask(question)

    async def words(self, text):
        for word in text.split():
            await asyncio.sleep(0)
            yield ask(word)

with autotrace.context(session="s-1"), autotrace.span("driver"):
    assert ray.get(answer.remote("why", tone="gruff")) == "because why"
    assert ray.get(add.remote(1, 2)) == 3
    try:
        ray.get(fail.remote("no"))
        raise SystemExit("it did not fail")
    except LookupError:
        pass
    assert [ray.get(one) for one in words.remote("a b")] == ["because a", "because b"]
    assert ray.get(Agent.remote("please").ask.remote("how")) == "because how, please"
    later = Later.remote()
    assert ray.get([later.ask.remote(str(number)) for number in range(3)]) == [f"because {n}" for n in range(3)]
    streamed = later.words.options(num_returns="streaming").remote("c d")
    assert [ray.get(one) for one in streamed] == ["because c", "because d"]
ray.shutdown()
"""
SERVE = """
from fastapi import FastAPI
from ray import serve
from starlette.requests import Request
from starlette.responses import StreamingResponse

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
small = {"num_cpus": 0.1}

@serve.deployment(ray_actor_options=small)
class Model:
    def generate(self, prompt):
        return ask(prompt)

    async def words(self, text):
        for word in text.split():
            await asyncio.sleep(0)
            yield ask(word)

    def fail(self):
        ask("fail")
        raise LookupError("no")

    def add(self, x, y):
        return x + y

@serve.deployment(ray_actor_options=small)
class Plain:
    def __init__(self, model):
        self.model = model

    async def __call__(self, request: Request):
        question = (await request.json())["question"]
        if question == "stream":
            return StreamingResponse(ask(word) for word in "ab")
        return {"answer": await self.model.generate.remote(question)}

api = FastAPI()

@serve.deployment(ray_actor_options=small)
@serve.ingress(api)
class Api:
    @api.post("/ask/{topic}")
    async def ask(self, topic: str, asked: dict):
        return {"answer": ask(asked["question"])}

serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(Plain.bind(Model.bind()), name="plain", route_prefix="/plain")
serve.run(Api.bind(), name="api", route_prefix="/api")

def post(path, question):
    headers = {"content-type": "application/json", "x-session-id": "s-" + question, "x-user-id": "ann"}
    body = json.dumps({"question": question}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)) as response:
        return response.read().decode()

assert post("/api/ask/life", "why") == '{"answer":"because why"}'
assert post("/plain", "stream") == "because abecause b"
assert post("/plain", "handle") == '{"answer":"because handle"}'
model = serve.get_deployment_handle("Model", "plain")
with autotrace.context(session="s-1"), autotrace.span("driver"):
    assert model.generate.remote("how").result() == "because how"
    assert model.add.remote(1, 2).result() == 3
    assert list(model.options(stream=True).words.remote("c d")) == ["because c", "because d"]
    try:
        model.fail.remote().result()
        raise SystemExit("it did not fail")
    except LookupError:
        pass
serve.shutdown()
ray.shutdown()
"""


def traces(folder: Path, program: str) -> list[Trace]:
    """The traces that a program leaves, by their start."""
    (folder / "program.py").write_text(START + program)
    # Ray's sockets stand in its folder, and their paths must be short.
    environment = {**by_hand(), "AUTOTRACE_HOME": str(folder / "home"), "RAY_USAGE_STATS_ENABLED": "0"}

    def autotrace(*command: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "autotrace", *command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    autotrace("run", "program.py")
    autotrace("drain")
    with Reader(folder / "home" / "traces.db") as reader:
        found = [reader.trace(trace_id) for trace_id in reader.trace_ids()]
    return [trace for trace in found if trace is not None]


def shown(found: Sequence[Trace]) -> list[tuple[str, str, str | None, str | None, int]]:
    """Name, status, input, session and number of calls of each."""
    told = [trace.summary for trace in found]
    return sorted((one.name, one.status, one.request, one.session, one.span_count - 1) for one in told)


def test_functions_and_actors(tmp_path: Path) -> None:
    """Each run of a function or method that leads to traced calls, also in pieces; none of Ray's own."""
    found = traces(tmp_path, FUNCTIONS)
    assert shown(found) == [
        ("driver", "ok", None, "s-1", 0),
        ("process Agent.ask", "ok", '{"question":"how"}', None, 1),
        ("process Later.ask", "ok", '{"question":"0"}', None, 1),
        ("process Later.ask", "ok", '{"question":"1"}', None, 1),
        ("process Later.ask", "ok", '{"question":"2"}', None, 1),
        ("process Later.words", "ok", '{"text":"c d"}', None, 2),
        ("process answer", "ok", '{"question":"why","tone":"gruff"}', None, 1),
        ("process fail", "error", '{"reason":"no"}', None, 1),
        ("process words", "ok", '{"text":"a b"}', None, 2),
    ]
    (answer,) = (trace for trace in found if trace.summary.name == "process answer")
    root = answer.payload(answer.spans[0])
    assert answer.summary.response == "because why"
    assert root.kind == "consumer"
    assert root.attributes["autotrace.request.id"] == root.attributes["ray.task_id"]


def test_deployments(tmp_path: Path) -> None:
    """Requests, and calls by handles, which are linked to what called and know whose they are."""
    found = traces(tmp_path, SERVE)
    assert shown(found) == [
        ("POST /api/ask/{topic}", "ok", "why", "s-why", 1),
        ("POST /plain", "ok", None, "s-stream", 2),
        ("driver", "ok", None, "s-1", 0),
        ("process Model.fail", "error", "{}", "s-1", 1),
        ("process Model.generate", "ok", '{"prompt":"handle"}', "s-handle", 1),
        ("process Model.generate", "ok", '{"prompt":"how"}', "s-1", 1),
        ("process Model.words", "ok", '{"text":"c d"}', "s-1", 2),
    ]
    by_driver = [trace for trace in found if trace.summary.session == "s-1" and trace.summary.name != "driver"]
    (driver,) = (trace.summary.trace_id for trace in found if trace.summary.name == "driver")
    assert {trace.linked for trace in by_driver} == {((driver, "driver"),)}
    assert {trace.summary.environment for trace in (*by_driver, found[0], found[1])} == {"production"}
