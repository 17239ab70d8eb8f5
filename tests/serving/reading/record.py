"""Writes recordings/: what requests and responses of serving libraries look like, made by the libraries themselves.

    pip install mlflow httpx langserve langgraph langchain "pydantic-ai-slim[ag-ui]" a2a-sdk
    python tests/serving/reading/record.py

Models are scripted; nothing leaves the process. Not run by the tests: what it has written is committed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).parent / "recordings"
QUESTION = "How warm is Oslo?"
WORDS = ("Oslo ", "has ", "4 ", "degrees.")


def exchange(name: str, library: str, app: Any, path: str, body: Any, headers: dict[str, str] | None = None) -> None:
    """Sends a request to an ASGI application, and writes it down with its response."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=60) as client:
            return await client.post(path, json=body, headers=headers)

    reply = asyncio.run(send())
    write(name, library, body, reply.status_code, reply.headers.get("content-type"), reply.text)


def write(name: str, library: str, body: Any, status: int, content_type: str | None, text: str) -> None:
    """Writes a recording."""
    found = {
        "made_with": f"{library} {version(library)}",
        "request": body,
        "response": {"status": status, "content_type": content_type, "body": text},
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{name}: {status} {text[:100]!r}")


def responses_agent() -> Any:
    """An MLflow ResponsesAgent with one tool."""
    from mlflow.pyfunc import ResponsesAgent
    from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse, ResponsesAgentStreamEvent

    class Agent(ResponsesAgent):
        def items(self) -> list[dict[str, Any]]:
            return [
                self.create_reasoning_item("rs_1", "The user asks for the weather."),
                self.create_function_call_item("fc_1", "call_1", "get_weather", '{"city": "Oslo"}'),
                self.create_function_call_output_item("call_1", '{"degrees": 4}'),
                self.create_text_output_item("".join(WORDS), "msg_1"),
            ]

        def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
            return ResponsesAgentResponse(output=self.items(), custom_outputs={"stage": "done"})

        def predict_stream(self, request: ResponsesAgentRequest) -> Iterator[ResponsesAgentStreamEvent]:
            *before, last = self.items()
            for item in before:
                yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)
            for word in WORDS:
                yield ResponsesAgentStreamEvent(**self.create_text_delta(word, "msg_1"))
            yield ResponsesAgentStreamEvent(type="response.output_item.done", item=last)

    return Agent()


RESPONSES_REQUEST = {
    "input": [{"role": "user", "content": QUESTION}],
    "context": {"conversation_id": "chat-7", "user_id": "alice"},
    "custom_inputs": {"tone": "brief"},
}


def agent_server() -> None:
    """MLflow's AgentServer."""
    from mlflow.genai.agent_server import AgentServer, invoke, stream

    agent = responses_agent()

    @invoke()
    def answer(request: Any) -> Any:
        if "fail" in str(request):
            raise ValueError("no such city")
        return agent.predict(request)

    @stream()
    def answer_in_pieces(request: Any) -> Any:
        for number, event in enumerate(agent.predict_stream(request)):
            if "fail" in str(request) and number == 5:
                raise ValueError("no such city")
            yield event

    app = AgentServer("ResponsesAgent").app
    asked = {"x-mlflow-return-trace-id": "true"}
    exchange("agent_server", "mlflow", app, "/invocations", RESPONSES_REQUEST, asked)
    exchange("agent_server_stream", "mlflow", app, "/responses", {**RESPONSES_REQUEST, "stream": True}, asked)
    failing = {"input": [{"role": "user", "content": "fail"}]}
    exchange("agent_server_failure", "mlflow", app, "/invocations", failing)
    exchange("agent_server_stream_failure", "mlflow", app, "/invocations", {**failing, "stream": True})
    exchange("agent_server_refusal", "mlflow", app, "/invocations", {"input": 7})


def scoring_server() -> None:
    """MLflow's scoring server (`mlflow models serve`): a ChatAgent, a ResponsesAgent, a plain model."""
    import mlflow
    import pandas as pd
    from mlflow.pyfunc import ChatAgent, PythonModel, scoring_server
    from mlflow.types.agent import ChatAgentMessage, ChatAgentResponse

    class Chat(ChatAgent):
        def predict(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> ChatAgentResponse:
            call = {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
            }
            return ChatAgentResponse(
                messages=[
                    ChatAgentMessage(role="assistant", content="", id="m1", tool_calls=[call]),
                    ChatAgentMessage(
                        role="tool", content='{"degrees": 4}', id="m2", tool_call_id="call_1", name="get_weather"
                    ),
                    ChatAgentMessage(role="assistant", content="".join(WORDS), id="m3"),
                ],
                finish_reason="stop",
            )

        def predict_stream(self, messages: Any, context: Any = None, custom_inputs: Any = None) -> Any:
            yield from ()

    class Plain(PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return ["".join(WORDS) for _ in range(len(model_input))]

    def served(model: Any, **more: Any) -> Any:
        path = Path(tempfile.mkdtemp()) / "model"
        mlflow.pyfunc.save_model(path, python_model=model, **more)
        return scoring_server.init(mlflow.pyfunc.load_model(str(path)))

    app = served(Chat())
    body = {
        "messages": [{"role": "user", "content": QUESTION}],
        "context": {"conversation_id": "chat-7", "user_id": "alice"},
        "custom_inputs": {"tone": "brief"},
    }
    exchange("chat_agent", "mlflow", app, "/invocations", body)
    exchange("chat_agent_refusal", "mlflow", app, "/invocations", {"messages": "x"})
    exchange("responses_agent", "mlflow", served(responses_agent()), "/invocations", RESPONSES_REQUEST)
    plain = served(Plain(), input_example=pd.DataFrame({"question": ["why?"]}))
    split = {"dataframe_split": {"columns": ["question"], "data": [[QUESTION]]}}
    exchange("dataframe_split", "mlflow", plain, "/invocations", split)
    records = {
        "dataframe_records": [{"question": QUESTION}, {"question": "And Rome?"}],
        "params": {"session_id": "s-1"},
    }
    exchange("dataframe_records", "mlflow", plain, "/invocations", records)
    exchange("mlflow_wrong_format", "mlflow", plain, "/invocations", {"question": QUESTION})


def chat_agent_stream() -> None:
    """What an MLflow ChatAgent streams, sent as server-sent events as Databricks' serving does."""
    from mlflow.types.agent import ChatAgentChunk

    deltas = [
        {"role": "assistant", "id": "m1", "content": "", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
        ]},
        {"role": "tool", "id": "m2", "content": '{"degrees": 4}', "tool_call_id": "call_1", "name": "get_weather"},
        *({"role": "assistant", "id": "m3", "content": word} for word in WORDS),
    ]  # fmt: skip
    chunks = [ChatAgentChunk(delta=delta).model_dump(exclude_none=True) for delta in deltas]
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
    write("chat_agent_stream", "mlflow", body, 200, "text/event-stream", text)


def langchain_model() -> Any:
    """A scripted chat model of LangChain's."""
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    return GenericFakeChatModel(messages=iter([AIMessage("".join(WORDS)) for _ in range(100)]))


def langserve_routes() -> None:
    """LangServe: invoke, batch, stream, stream_log, stream_events."""
    from fastapi import FastAPI
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langserve import add_routes

    app = FastAPI()
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
    add_routes(app, prompt | langchain_model() | StrOutputParser(), path="/chain", config_keys=["configurable"])
    add_routes(app, prompt | langchain_model(), path="/model", config_keys=["configurable"])
    body = {"input": {"question": QUESTION}, "config": {"configurable": {"session_id": "chat-7", "user_id": "alice"}}}
    for route in ("chain", "model"):
        for way in ("invoke", "stream", "stream_log", "stream_events"):
            exchange(f"langserve_{route}_{way}", "langserve", app, f"/{route}/{way}", body)
    several = {"inputs": [{"question": QUESTION}, {"question": "And Rome?"}]}
    exchange("langserve_batch", "langserve", app, "/chain/batch", several)
    exchange("langserve_refusal", "langserve", app, "/chain/invoke", {"input": {}})


def langgraph_app() -> None:
    """LangGraph behind FastAPI, as its users write it: the state, and streams in each of its modes."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse
    from langchain_core.messages import AIMessage, ToolMessage, messages_to_dict
    from langgraph.graph import END, START, MessagesState, StateGraph

    model = langchain_model()

    async def tool(state: MessagesState) -> Any:
        call = {"name": "get_weather", "args": {"city": "Oslo"}, "id": "call_1"}
        return {
            "messages": [
                AIMessage("", tool_calls=[call], id="ai-1"),
                ToolMessage('{"degrees": 4}', tool_call_id="call_1", id="tool-1"),
            ]
        }

    async def answer(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("tool", tool)
    builder.add_node("answer", answer)
    builder.add_edge(START, "tool")
    builder.add_edge("tool", "answer")
    builder.add_edge("answer", END)
    graph = builder.compile()
    app = FastAPI()

    @app.post("/invoke")
    async def invoke(body: dict[str, Any]) -> Any:
        return await graph.ainvoke({"messages": body["messages"]})

    @app.post("/dicts")
    async def dicts(body: dict[str, Any]) -> Any:
        state = await graph.ainvoke({"messages": body["messages"]})
        return {"messages": messages_to_dict(state["messages"])}

    @app.post("/stream/{mode}")
    async def stream(mode: str, body: dict[str, Any]) -> Any:
        async def events() -> AsyncIterator[str]:
            async for chunk in graph.astream({"messages": body["messages"]}, stream_mode=mode):
                yield f"event: {mode}\ndata: {json.dumps(chunk, default=lambda one: one.model_dump())}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    body = {"messages": [{"role": "user", "content": QUESTION}], "thread_id": "chat-7"}
    exchange("langgraph_invoke", "langgraph", app, "/invoke", body)
    exchange("langgraph_dicts", "langgraph", app, "/dicts", body)
    for mode in ("messages", "updates", "values"):
        exchange(f"langgraph_{mode}", "langgraph", app, f"/stream/{mode}", body)


def pydantic_ai_ui() -> None:
    """Pydantic AI's adapters for AG-UI and for the AI SDK."""
    from pydantic_ai import Agent
    from pydantic_ai.models.function import DeltaToolCall, FunctionModel
    from pydantic_ai.ui.ag_ui import AGUIAdapter
    from pydantic_ai.ui.vercel_ai import VercelAIAdapter
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def scripted(messages: Any, info: Any) -> AsyncIterator[Any]:
        if len(messages) < 3:
            yield {0: DeltaToolCall("get_weather", '{"city": "Oslo"}', tool_call_id="call_1")}
        else:
            for word in WORDS:
                yield word

    agent = Agent(FunctionModel(stream_function=scripted))

    @agent.tool_plain
    def get_weather(city: str) -> int:
        return 4

    def route(adapter: Any) -> Callable[..., Any]:
        async def respond(request: Any) -> Any:
            return await adapter.dispatch_request(request, agent=agent)

        return respond

    app = Starlette(
        routes=[
            Route("/ag-ui", route(AGUIAdapter), methods=["POST"]),
            Route("/ai-sdk", route(VercelAIAdapter), methods=["POST"]),
        ]
    )
    run = {
        "threadId": "chat-7",
        "runId": str(uuid.uuid4()),
        "state": {},
        "messages": [{"id": "u1", "role": "user", "content": QUESTION}],
        "tools": [],
        "context": [],
        "forwardedProps": {},
    }
    exchange("ag_ui", "pydantic-ai-slim", app, "/ag-ui", run)
    chat = {
        "id": "chat-7",
        "trigger": "submit-message",
        "messages": [{"id": "u1", "role": "user", "parts": [{"type": "text", "text": QUESTION}]}],
    }
    exchange("ai_sdk", "pydantic-ai-slim", app, "/ai-sdk", chat)


def main() -> None:
    known = [agent_server, scoring_server, chat_agent_stream, langserve_routes, langgraph_app, pydantic_ai_ui]
    chosen = set(sys.argv[1:])
    for record in known:
        if not chosen or record.__name__ in chosen:
            record()


if __name__ == "__main__":
    main()
