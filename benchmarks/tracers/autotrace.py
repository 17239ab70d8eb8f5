"""autotrace: the single import; spans go to the journal and from there to SQLite, under AUTOTRACE_HOME."""

import autotrace
import autotrace.auto


def flush() -> None:
    """Wait until every finished span has reached the local store."""
    autotrace.flush()
