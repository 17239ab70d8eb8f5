"""What passes between a served application and who asks it, as far as a trace wants it: question, answer, who asked.

Pure: bytes and headers in, values out. Nothing that is sent makes any of it raise, or work for long.

    asked = read_request(method, content_type, query_string, body, fields)
    reader = AnswerReader(status, content_type, content_encoding, fields)
    reader.feed(chunk)              # for each chunk that passes
    answered = reader.answered()    # however it ended
"""

from .answer_reader import FRAMES, AnswerReader, read_response
from .answers import Answered
from .fields import Fields
from .identity import Identity, Names, databricks_request_id, identifier, identity_of, merged
from .questions import Asked, read_request

__all__ = [
    "FRAMES",
    "AnswerReader",
    "Answered",
    "Asked",
    "Fields",
    "Identity",
    "Names",
    "databricks_request_id",
    "identifier",
    "identity_of",
    "merged",
    "read_request",
    "read_response",
]
