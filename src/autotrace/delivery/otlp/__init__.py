"""OTLP: records of the journal as OpenTelemetry's messages, and back, and those as lines of JSON.

`request` and `records` are each other's inverse: what is exported and imported again is what it was. In that,

* a span that its process did not end (`I`) ends where its last event is, with an error;
* feedback (`F`) is a span without length, with the `gen_ai.evaluation.*` attributes;
* the start of a span (`S`) and what was said of a trace afterwards (`U`) are passed over;
* attributes that OTLP has no type for (a mapping, a list of unlike things) are JSON texts.

Importing this package imports protobuf: only a thread that delivers does, and commands.
"""

from .json_lines import from_json, to_json
from .reading import records
from .spans import Encoded, Unencodable, assemble, encode, request

__all__ = ["Encoded", "Unencodable", "assemble", "encode", "from_json", "records", "request", "to_json"]
