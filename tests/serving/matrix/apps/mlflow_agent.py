"""An agent of MLflow's that asks a model: what `agent_server.py` and `mlflow models serve` have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlflow
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse, ResponsesAgentStreamEvent
from openai import OpenAI


class Agent(ResponsesAgent):
    """Hands the last question on to a model."""

    def __init__(self) -> None:
        self.client = OpenAI()

    def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        reply = self.client.chat.completions.create(model="gpt-4o-mini", messages=messages(request))
        text = reply.choices[0].message.content or ""
        return ResponsesAgentResponse(output=[self.create_text_output_item(text=text, id="item-1")])

    def predict_stream(self, request: ResponsesAgentRequest) -> Iterator[ResponsesAgentStreamEvent]:
        usage: Any = {"include_usage": True}
        chunks = self.client.chat.completions.create(
            model="gpt-4o-mini", messages=messages(request), stream=True, stream_options=usage
        )
        text = ""
        for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                text += chunk.choices[0].delta.content
                yield ResponsesAgentStreamEvent(
                    **self.create_text_delta(delta=chunk.choices[0].delta.content, item_id="item-1")
                )
        item = self.create_text_output_item(text=text, id="item-1")
        yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)


def messages(request: ResponsesAgentRequest) -> Any:
    return [{"role": "user", "content": item.model_dump()["content"]} for item in request.input]


agent = Agent()
mlflow.models.set_model(agent)
