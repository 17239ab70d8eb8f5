"""OpenAI's API as the test server serves it: the replies, and the server that sends them or misbehaves.

Replies are pure functions of the request. Everything in them is derived from its meaning (its JSON or form fields,
without `stream`, `stream_options` and `encoding_format`), so that the same question gets the same ids, texts and
token figures, streamed or not, whereas different questions get different figures.

Tests import from `autotrace.testing.openai_server`.
"""
