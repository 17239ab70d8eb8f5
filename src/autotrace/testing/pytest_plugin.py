"""Fixtures that pytest finds by itself where autotrace is installed. Nothing is imported before a test asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .recorded import Spans

pytest.register_assert_rewrite("autotrace.testing.contract", "autotrace.testing.recorded")


@pytest.fixture
def spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Tracing, switched on for this test, and the spans that have ended (`autotrace.testing.Spans`).

    The provider is private, ids count from 1, each look at the clock is a second later, and every error of
    autotrace's or a plugin's own raises. At the end no wrapper, no open operation and no current span may be left.
    Settings of the environment do not count.
    """
    from .recorded import isolated

    with isolated(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def fake_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports the fake framework under a name, for this test: `acme = fake_framework("acme")`."""

    def imported(name: str) -> ModuleType:
        import importlib
        import sys

        from .fake import fake_framework

        monkeypatch.syspath_prepend(fake_framework(name, tmp_path / "frameworks"))
        for module in [known for known in sys.modules if known == name or known.startswith(name + ".")]:
            monkeypatch.delitem(sys.modules, module)
        found = importlib.import_module(name)
        for module in [known for known in sys.modules if known.startswith(name + ".")]:
            monkeypatch.setitem(sys.modules, module, sys.modules[module])
        return found

    return imported


@pytest.fixture(scope="class")
def _framework_before(request: pytest.FixtureRequest) -> dict[int, tuple[Any, dict[str, Any]]]:
    """What a contract's framework holds before its first test switches tracing on."""
    from importlib import import_module

    from autotrace.activation import active

    from .contract.snapshots import held

    active().reset()
    import_module(request.cls.framework)
    before = request.cls._before = held(request.cls.framework)
    return before
