"""Which traces are asked for, and the SQL that finds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

#: What is said of a process stands on each of its spans.
_OF_PROCESS = ("environment", "service", "release")
#: What an update says, in SQL. JSON that cannot be read says nothing.
_SAID = {
    "session": "{0}.session",
    "user": "CASE WHEN json_valid({0}.content) THEN json_extract({0}.content, '$.user') END",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """What a trace must be like to be chosen; what is not set does not matter.

    Attributes:
        since_ns: It began at this time (ns since 1970) or later.
        errors: A span of it failed.
        session: It belongs to this session.
        user: It belongs to this user.
        environment: A span of it has this environment; `service` and `release` likewise, all on the same span.
    """

    since_ns: int | None = None
    errors: bool = False
    session: str | None = None
    user: str | None = None
    environment: str | None = None
    service: str | None = None
    release: str | None = None

    def without_time(self) -> Selection:
        """This one, whenever the trace began."""
        return replace(self, since_ns=None)

    def where(self, has_updates: bool, trace_id: str | None = None) -> tuple[str, dict[str, Any]]:
        """A condition of SQL on rows of `spans`, true of each by which its trace may be chosen, and its parameters.

        Args:
            has_updates: Whether the store has a table of what was said of traces later.
            trace_id: The only trace that is looked at: what is looked up for it alone is quick.
        """
        of_trace = "" if trace_id is None else " AND trace_id = :trace_id"
        conditions = {column: f"{column} = :{column}" for column in _OF_PROCESS}
        for column in _SAID:
            subquery = _last_said(column, of_trace) if has_updates else _spans_of(column, of_trace)
            conditions[column] = f"trace_id IN ({subquery})"
        conditions["since_ns"] = "start_ns >= :since_ns"
        values = {name: getattr(self, name) for name in conditions if getattr(self, name) is not None}
        chosen = [conditions[name] for name in values]
        if self.errors:
            failed = f"SELECT trace_id FROM spans WHERE status = 'error'{of_trace}"  # noqa: S608 (constants)
            chosen.append(f"trace_id IN ({failed})")
        if trace_id is not None:
            values["trace_id"] = trace_id
            chosen.append("trace_id = :trace_id")
        return " AND ".join(chosen) or "1", values


ALL = Selection()


def _spans_of(column: str, of_trace: str) -> str:
    return f"SELECT trace_id FROM spans WHERE {column} = :{column}{of_trace}"  # noqa: S608


def _last_said(column: str, of_trace: str) -> str:
    """Traces by what was said of them last, else by what their spans say."""
    said, later = (_SAID[column].format(alias) for alias in ("said", "later"))
    return f"""
        {_spans_of(column, of_trace)}
            AND trace_id NOT IN (SELECT trace_id FROM updates AS said WHERE {said} IS NOT NULL{of_trace})
        UNION SELECT trace_id FROM updates AS said WHERE {said} = :{column}{of_trace} AND NOT EXISTS (
            SELECT 1 FROM updates AS later WHERE later.trace_id = said.trace_id AND {later} IS NOT NULL
            AND later.time_ns > said.time_ns
        )
    """  # noqa: S608
