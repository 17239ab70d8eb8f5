"""What authors of plugins test with: docs/testing.md shows each.

pytest finds the fixtures by itself once autotrace is installed (`pytest_plugin.py`); nothing else here is imported
before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import ApplicationContract, InstrumentationContract
    from .fake import fake_framework
    from .openai_server import OpenAIServer
    from .recorded import RecordedSpan, Spans
    from .replay import ReplayServer

__all__ = [
    "ApplicationContract",
    "InstrumentationContract",
    "OpenAIServer",
    "RecordedSpan",
    "ReplayServer",
    "Spans",
    "fake_framework",
]

_HOMES = {
    "ApplicationContract": "contract",
    "InstrumentationContract": "contract",
    "OpenAIServer": "openai_server",
    "RecordedSpan": "recorded",
    "ReplayServer": "replay",
    "Spans": "recorded",
    "fake_framework": "fake",
}


if not TYPE_CHECKING:  # a checker would take any name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
