"""A server on loopback that plays recordings of any HTTP provider, streams and failures included.

    with ReplayServer("recordings/messages.json") as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="sk-test", max_retries=0)
        client.messages.create(...)
        assert server.requests[0].json["max_tokens"] == 100
        assert server.unmatched == []

A recording is a cassette of VCR.py, as JSON or (if PyYAML is installed) as YAML:

    {"version": 1, "interactions": [{
        "request": {"method": "POST", "uri": "https://api.anthropic.com/v1/messages"},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"request-id": ["req_1"]},
            "body": {"events": [
                {"event": "message_start", "data": {"type": "message_start"}},
                {"event": "message_stop", "data": {"type": "message_stop"}}
            ]}
        }
    }]}

A body is what VCR.py writes (`{"string": ...}`, `{"base64_string": ...}`, a text, null) or, by hand, `{"json": ...}`
or `{"events": [...]}`; these two need no content-type header. An event's `data` is JSON or a text.

A request is answered by the first interaction not yet played that has its method and its path; when all that match
were played, they begin again. The recording's host does not matter. Its query counts if it has one, in any order. Its
body counts, as JSON, if another interaction with the same method, path and query has a body too.

A stream (text/event-stream, or lines of JSON as application/x-ndjson) is sent event by event. Other bodies are sent
whole. Headers are sent as recorded, but those that describe the transfer (content-length, transfer-encoding,
content-encoding, connection, keep-alive), which the server writes itself.
"""

from __future__ import annotations

from autotrace.testing.replay.request import Request
from autotrace.testing.replay.server import ReplayServer

__all__ = ["ReplayServer", "Request"]
