"""Lets the instrumentors that are installed here trace the frameworks that no plugin of ours does.

Which there are is read from metadata (installed.py), which are used is decided by rule (selection.py), what their spans
say is translated (translation.py). Nothing of an instrumentor is imported before its framework has been.
"""

from __future__ import annotations

from collections.abc import Sequence

from autotrace import Instrumentation, hookimpl

from .installed import found
from .selection import selected


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces: a framework for each that an installed instrumentor names."""
    return selected(*found())
