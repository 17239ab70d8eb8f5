"""Every error that autotrace raises on purpose.

AutotraceError
├── ConfigError        a setting that cannot be used: names the key, the value and where it was found
├── FeedbackError      feedback on no trace, or with a value that cannot be used
├── FilterError        a filter, a sorting or a page of a list of traces that cannot be read
├── PluginError        a plugin that cannot be used: names the plugin and what to do
└── StoreError         a store that cannot be opened
    ├── StoreTooNew    written by a newer autotrace
    └── StoreCorrupt   not a database, or a damaged one

None of them ever reaches a traced program by itself: they are raised where the user asked for
something by name (`autotrace.autolog(capture_content="nonsense")`), and logged everywhere else.
"""

from __future__ import annotations


class AutotraceError(Exception):
    """The root of all errors that autotrace raises.

    Example:
        >>> issubclass(ConfigError, AutotraceError)
        True
    """


class ConfigError(AutotraceError, ValueError):
    """A setting that cannot be used.

    Example:
        >>> ConfigError("AUTOTRACE_HOME", "environment", "7 is no path").problem
        '7 is no path'

    Args:
        key: The setting, as the user wrote it (`AUTOTRACE_CAPTURE_CONTENT`, `capture_content`).
        source: Where it was found (`environment`, `autolog()`, a file's path).
        problem: What is wrong and what would be right.
    """

    def __init__(self, key: str, source: str, problem: str) -> None:
        super().__init__(f"{key} ({source}): {problem}")
        self.key = key
        self.source = source
        self.problem = problem


class FeedbackError(AutotraceError, ValueError):
    """Feedback that names no trace, or whose value cannot be used.

    Example:
        >>> raise FeedbackError("there is no current trace")
        Traceback (most recent call last):
        autotrace.errors.FeedbackError: there is no current trace
    """


class FilterError(AutotraceError, ValueError):
    """A filter that cannot be read, or a place in a list of traces that there is not.

    Example:
        >>> raise FilterError('"duration>abc": give a time such as 500ms, 3s, 2m', 14)
        Traceback (most recent call last):
        autotrace.errors.FilterError: filter, at 14: "duration>abc": give a time such as 500ms, 3s, 2m

    Args:
        problem: What is wrong and what would be right.
        position: The character of the filter at which it is, counted from 1; None: it is none of the filter's.
    """

    def __init__(self, problem: str, position: int | None = None) -> None:
        super().__init__(problem if position is None else f"filter, at {position}: {problem}")
        self.problem = problem
        self.position = position


class PluginError(AutotraceError):
    """A plugin that cannot be used.

    Example:
        >>> PluginError("autotrace-acme", "it offers nothing").plugin
        'autotrace-acme'

    Args:
        plugin: Its distribution.
        problem: What is wrong, and what to do.
    """

    def __init__(self, plugin: str, problem: str) -> None:
        super().__init__(f"plugin {plugin}: {problem}")
        self.plugin = plugin
        self.problem = problem


class StoreError(AutotraceError):
    """A store that cannot be opened."""


class StoreTooNew(StoreError):
    """A store written by a newer autotrace than this one."""


class StoreCorrupt(StoreError):
    """A store that is not a database, or a damaged one."""
