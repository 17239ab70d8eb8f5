"""Reads an OpenAI conversation: the question, what the tools found, and which tools may be called now."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def text_of(message: Json) -> str:
    """Return the text of a message, whose content is a string, a list of parts, or nothing."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def question_of(messages: list[Json]) -> str:
    """Return what the user said last."""
    return next((text_of(message) for message in reversed(messages) if message["role"] == "user"), "")


def findings_of(messages: list[Json]) -> list[str]:
    """Return the tool results that have arrived since the user spoke last."""
    findings: list[str] = []
    for message in messages:
        if message["role"] == "user":
            findings.clear()
        elif message["role"] == "tool":
            findings.append(text_of(message))
    return findings


def callable_tools(request: Json) -> list[Json]:
    """Return the functions of which this turn may call one; none means that the turn answers in words.

    `tool_choice` decides. Under `auto` a rule does: a turn that the user opened may call, a turn that follows
    a tool result answers.
    """
    functions = [tool["function"] for tool in request.get("tools") or [] if "function" in tool]
    choice = request.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        wanted = choice.get("function", {}).get("name")
        return [function for function in functions if function["name"] == wanted]
    if choice == "required" or (choice == "auto" and request["messages"][-1]["role"] == "user"):
        return functions
    return []
