"""What makes spans in a benchmark of delivery: a module per tracer.

Each has `begin()`, which sets the tracer up, and `trace()`, which makes one trace of `SPANS` spans with `CONTENT` on
each; and, where it has them, `flush(seconds)`, which says whether all was delivered, and `figures()`, more that it has
to tell.
"""

#: Spans of a trace, and the texts that each of them carries: 4 KiB, as JSON of messages.
SPANS = 5
_WORDS = "The committee met on Tuesday to review the quarterly figures and found that costs had risen. "
CONTENT = '[{"role":"user","parts":[{"type":"text","content":"' + (_WORDS * 50)[:4000] + '"}]}]'
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1008,
    "gen_ai.usage.output_tokens": 120,
    "gen_ai.input.messages": CONTENT,
}
