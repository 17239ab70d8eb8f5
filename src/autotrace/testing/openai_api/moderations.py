"""Moderations."""

from __future__ import annotations

from autotrace.testing.openai_api.ask import JSON, Ask
from autotrace.testing.openai_api.reply import Reply, encode


def moderation(ask: Ask) -> Reply:
    """`POST /moderations`: free; flags what contains "violence"."""
    inputs = ask.body.get("input", "")
    inputs = inputs if isinstance(inputs, list) else [inputs]
    value = {"id": ask.id("modr-"), "model": "omni-moderation-latest", "results": [_judge(x) for x in inputs]}
    return Reply(encode(value))


def _judge(value: object) -> JSON:
    names = "harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm"
    names += " self-harm/instructions self-harm/intent sexual sexual/minors violence violence/graphic"
    flagged = "violence" in str(value)
    found = {name: flagged and name == "violence" for name in names.split()}
    scores = {name: 0.9 if hit else 0.01 for name, hit in found.items()}
    applied = {name: ["text"] for name in found}
    return {
        "flagged": flagged,
        "categories": found,
        "category_scores": scores,
        "category_applied_input_types": applied,
    }
