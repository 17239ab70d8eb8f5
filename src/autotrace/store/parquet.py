"""Spans as a Parquet file: a row a span, columns as in the store, and the wide parts as JSON.

Needs pyarrow, the extra `parquet`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from autotrace.errors import AutotraceError

from .journalled import Group
from .reader import Trace
from .spans import Span
from .traces import lead

#: Spans of a row group.
_ROWS = 5000
_TEXTS = (
    "name",
    "operation",
    "status",
    "provider",
    "model",
    "framework",
    "error_type",
    "session",
    "user",
    "environment",
    "service",
    "release",
)
_TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
_JSON = ("attributes", "events", "links", "resource", "feedback", "updates")


class ParquetFile:
    """A file that traces are added to, one after another; a context manager.

    Args:
        path: The file; what is there is replaced.

    Raises:
        AutotraceError: pyarrow is not installed.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError as error:
            raise AutotraceError(f"Parquet needs pyarrow ({error}): pip install 'autotrace-ai[parquet]'") from error
        self._arrow = pyarrow
        self._schema = _schema(pyarrow)
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, trace: Trace, groups: Iterable[Group]) -> None:
        """Adds the spans of a trace; what was said of it stands on its root.

        Args:
            trace: As it is read.
            groups: The same one as it was journalled.
        """
        updates = [entry.body for group in groups for entry in group.entries if entry.kind == "U"]
        root = lead(trace.spans)
        for span in trace.spans:
            said = [
                each.as_json()
                for each in trace.summary.feedback
                if each.span_id == span.span_id or (span is root and each.span_id is None)
            ]
            self._rows.append(_row(trace, span, said, updates if span is root else []))
        if len(self._rows) >= _ROWS:
            self._flush()

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


def _schema(pyarrow: Any) -> Any:
    time = pyarrow.timestamp("ns", "UTC")
    fields = [("trace_id", pyarrow.string()), ("span_id", pyarrow.string()), ("parent_id", pyarrow.string())]
    fields += [("root", pyarrow.bool_()), ("start_time", time), ("end_time", time), ("duration_ms", pyarrow.float64())]
    fields += [("time_to_first_chunk_ms", pyarrow.float64())]
    fields += [(name, pyarrow.string()) for name in _TEXTS]
    fields += [(f"{name}_tokens", pyarrow.int64()) for name in _TOKENS]
    fields += [("message", pyarrow.string())]
    fields += [(name, pyarrow.string()) for name in _JSON]
    return pyarrow.schema(fields)


def _row(trace: Trace, span: Span, feedback: list[Any], updates: list[Any]) -> dict[str, Any]:
    content = trace.payload(span)
    wide = {"attributes": content.attributes, "events": content.events, "links": content.links}
    wide |= {"resource": content.resource, "feedback": feedback, "updates": updates}
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "root": span.root,
        "start_time": span.start_ns,
        "end_time": span.end_ns,
        "duration_ms": span.duration_ms,
        "time_to_first_chunk_ms": None if span.ttft_ns is None else span.ttft_ns / 1e6,
        **{name: getattr(span, name) for name in _TEXTS},
        **{f"{name}_tokens": getattr(span.tokens, name) for name in _TOKENS},
        "message": content.message,
        **{name: orjson.dumps(value, default=dict).decode() for name, value in wide.items()},
    }
