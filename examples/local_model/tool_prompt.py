"""Turns tools into prompts that a model without tool calling can follow. `server.py` says why and how far."""

from __future__ import annotations

import json
from typing import Any

from conversation import findings_of, question_of, text_of

Json = dict[str, Any]

_INSTRUCTION = "Choose the function that answers the question. Reply with JSON."
_EXAMPLE_VALUES: Json = {
    "string": "...",
    "number": 1,
    "integer": 1,
    "boolean": True,
    "array": [],
    "object": {},
}
_TOOL_SETTINGS = ("tools", "tool_choice", "parallel_tool_calls")


def call_request(request: Json, functions: list[Json]) -> Json:
    """Ask for a call of one of `functions` as JSON; the schemas leave the model no other way to answer.

    Each function is shown as an example exchange: its description, and a call with placeholder arguments.
    """
    messages = [{"role": "system", "content": _INSTRUCTION}]
    for function in functions:
        messages.append({"role": "user", "content": function.get("description") or function["name"]})
        messages.append({"role": "assistant", "content": json.dumps(_example_call(function))})
    messages.append({"role": "user", "content": question_of(request["messages"])})
    schema = {"oneOf": [_call_schema(function) for function in functions]}
    answer_format = {"type": "json_schema", "json_schema": {"name": "call", "strict": True, "schema": schema}}
    return {**_without_tools(request), "n": 1, "messages": messages, "response_format": answer_format}


def answer_request(request: Json) -> Json:
    """Ask for an answer in words, with the tool results written above the user's question as facts."""
    messages = request["messages"]
    findings = findings_of(messages)
    plain = [
        {"role": message["role"], "content": text_of(message)}
        for message in messages
        if message["role"] != "tool" and not message.get("tool_calls")
    ]
    if findings:
        question = _last_of_user(plain)
        question["content"] = "Facts: {}\n\n{}".format("\n".join(findings), question["content"])
    return {**_without_tools(request), "messages": plain}


def _without_tools(request: Json) -> Json:
    return {key: value for key, value in request.items() if key not in _TOOL_SETTINGS}


def _last_of_user(messages: list[Json]) -> Json:
    for message in reversed(messages):
        if message["role"] == "user":
            return message
    messages.append({"role": "user", "content": ""})
    return messages[-1]


def _call_schema(function: Json) -> Json:
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": _parameters_of(function)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _example_call(function: Json) -> Json:
    properties = _parameters_of(function).get("properties", {})
    arguments = {
        name: schema["enum"][0] if "enum" in schema else _EXAMPLE_VALUES.get(schema.get("type"))
        for name, schema in properties.items()
    }
    return {"name": function["name"], "arguments": arguments}


def _parameters_of(function: Json) -> Json:
    parameters: Json = function.get("parameters") or {"type": "object"}
    return parameters
