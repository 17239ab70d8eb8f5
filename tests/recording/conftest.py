"""The fake framework, patched, in this process."""

from __future__ import annotations

from types import ModuleType

import pytest

from autotrace import activation


@pytest.fixture
def acme(fakes_on_path: None, spans: object) -> ModuleType:
    """The framework, traced; its spans are collected."""
    import acme as framework

    activation.autolog()
    return framework
