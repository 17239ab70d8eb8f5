"""The tables of `insights.db`: a row a trace, made from the store, so that questions about many need not read spans.

It holds nothing that the store does not: it may be deleted at any time, and is made anew when `VERSION` changes. Texts
that occur again and again stand in `names` once; a set (the models of a trace) is a text too: sorted, joined by
`SET_MARK`, with a mark before the first and after the last. In all tables `trace` is the `id` of a row in `traces`.
"""

from __future__ import annotations

import sqlite3

VERSION = 2
#: Nanoseconds of a slot.
SLOT_NS = 5 * 10**9
#: Between the members of a set, and around it.
SET_MARK = "\x1f"

#: Columns of `traces` that hold the id of a name, and the kind of it.
NAMED = {
    "status": "status",
    "name": "name",
    "environment": "environment",
    "service": "service",
    "release": "release",
    "session": "session",
    "user": "user",
    "models": "models",
    "providers": "providers",
    "frameworks": "frameworks",
    "tools": "tools",
    "error_types": "error_types",
    "path": "path",
}
#: Those of them that are sets.
SETS = frozenset({"models", "providers", "frameworks", "tools", "error_types"})

STATEMENTS = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE names (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (kind, text))",
    # `id` is the start in ns since 1970, and a little more where several began at once: a range of time is a range of
    # rows. What is not known is NULL; a name that is not known is NULL too.
    """
    CREATE TABLE traces (
        id INTEGER PRIMARY KEY,
        trace_id TEXT NOT NULL UNIQUE,
        duration_ns INTEGER,
        latency INTEGER,
        failed INTEGER NOT NULL,
        status INTEGER NOT NULL,
        name INTEGER NOT NULL,
        environment INTEGER,
        service INTEGER,
        release INTEGER,
        session INTEGER,
        user INTEGER,
        models INTEGER,
        providers INTEGER,
        frameworks INTEGER,
        tools INTEGER,
        error_types INTEGER,
        path INTEGER,
        question INTEGER,
        spans INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        model_calls INTEGER NOT NULL,
        tool_calls INTEGER NOT NULL,
        input_tokens INTEGER,
        output_tokens INTEGER,
        cache_read_tokens INTEGER,
        reasoning_tokens INTEGER,
        cost_usd REAL,
        ttft_ns INTEGER,
        ttft INTEGER,
        up INTEGER NOT NULL,
        down INTEGER NOT NULL,
        retries INTEGER NOT NULL,
        repeats INTEGER NOT NULL
    )
    """,
    # With all that is told of each, and what is most often asked for: a user's traces lie scattered over the table.
    *(
        f"CREATE INDEX traces_{kind}s ON traces ({kind}, failed, input_tokens, output_tokens, cost_usd, up, down, "
        f"environment, service, release, models) WHERE {kind} IS NOT NULL"
        for kind in ("session", "user")
    ),
    "CREATE INDEX traces_ungrouped ON traces (id) WHERE question IS NULL",
    # What a list shows of a trace, cut: what was asked, what was answered, what went wrong, tags as a JSON object.
    "CREATE TABLE texts (trace INTEGER PRIMARY KEY, request TEXT, response TEXT, error TEXT, tags TEXT)",
    # The calls of a trace by model.
    """
    CREATE TABLE usage (
        trace INTEGER NOT NULL,
        model INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cache_read_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        cost_usd REAL,
        PRIMARY KEY (trace, model)
    ) WITHOUT ROWID
    """,
    # Its calls of tools, by tool and bucket of latency.
    """
    CREATE TABLE tool_calls (
        trace INTEGER NOT NULL,
        tool INTEGER NOT NULL,
        latency INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        duration_ns INTEGER NOT NULL,
        PRIMARY KEY (trace, tool, latency)
    ) WITHOUT ROWID
    """,
    # `tag` is a name of the kind "tag": key=value.
    "CREATE TABLE tags (trace INTEGER NOT NULL, tag INTEGER NOT NULL, PRIMARY KEY (trace, tag)) WITHOUT ROWID",
    "CREATE INDEX tags_traces ON tags (tag, trace)",
    # Groups of failures, each with all that is alike of them; `kind`: failures.KINDS.
    """
    CREATE TABLE failure_groups (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        type TEXT NOT NULL,
        place TEXT NOT NULL,
        message TEXT NOT NULL,
        model TEXT NOT NULL,
        UNIQUE (kind, type, place, message, model)
    )
    """,
    """
    CREATE TABLE failures (
        trace INTEGER NOT NULL,
        failure INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (trace, failure)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX failures_traces ON failures (failure, trace)",
    # Groups of questions that are alike: `question` of a trace; 0 is none, NULL is not known yet.
    "CREATE TABLE questions (id INTEGER PRIMARY KEY, leader TEXT NOT NULL, vector BLOB)",
    """
    CREATE TABLE feedback (
        id TEXT PRIMARY KEY,
        trace INTEGER NOT NULL,
        time_ns INTEGER NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        comment TEXT,
        source TEXT
    ) WITHOUT ROWID
    """,
    "CREATE INDEX feedback_traces ON feedback (trace)",
    "CREATE INDEX feedback_times ON feedback (time_ns)",
    # The trace of each span, by the id of its row in the store: what the store's index of words finds.
    "CREATE TABLE spans (id INTEGER PRIMARY KEY, trace INTEGER NOT NULL)",
    # Spans that had not ended when they were read, by the id of their row in the store.
    "CREATE TABLE pending (id INTEGER PRIMARY KEY, status TEXT NOT NULL)",
    # At which `meta.version` anything of an hour (hours since 1970) changed last: what is cached of it holds so long.
    "CREATE TABLE hours (hour INTEGER PRIMARY KEY, version INTEGER NOT NULL)",
    # Likewise of each `SLOT_NS`: of an hour in which much is written, only the last moments are asked anew.
    "CREATE TABLE slots (slot INTEGER PRIMARY KEY, version INTEGER NOT NULL)",
    f"PRAGMA user_version = {VERSION}",
)


def create(connection: sqlite3.Connection) -> None:
    """Makes the tables in an empty database."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in STATEMENTS:
            connection.execute(statement)
    connection.execute("COMMIT")


def set_text(members: set[str]) -> str | None:
    """A set as the text that stands for it in `names`; None for an empty one."""
    return SET_MARK + SET_MARK.join(sorted(members)) + SET_MARK if members else None


def members(text: str) -> list[str]:
    """The members of a set, by the text that stands for it."""
    return [member for member in text.split(SET_MARK) if member]
