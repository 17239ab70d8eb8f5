"""What AgentServer calls. A module of its own: uvicorn imports `agent_server` again, and nothing registers twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from mlflow.genai.agent_server import invoke, stream
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse, ResponsesAgentStreamEvent
from mlflow_agent import agent
from starlette.concurrency import iterate_in_threadpool


@invoke()
async def answer(request: ResponsesAgentRequest) -> ResponsesAgentResponse:
    # What is no coroutine would be called in the event loop, and hold all other requests up.
    return await asyncio.to_thread(agent.predict, request)


@stream()
async def answer_in_pieces(request: ResponsesAgentRequest) -> AsyncIterator[ResponsesAgentStreamEvent]:
    async for event in iterate_in_threadpool(agent.predict_stream(request)):
        yield event
