"""What plugins for SDKs made by Stainless share."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autotrace import Call, stainless


class Options(SimpleNamespace):
    """A request's options, copied as models of pydantic 1 are."""

    def copy(self) -> Options:
        return type(self)(**vars(self))


class NewerOptions(Options):
    """The same, copied as models of pydantic 2 are, where `copy` warns."""

    def model_copy(self) -> Options:
        return super().copy()

    def copy(self) -> Options:
        raise DeprecationWarning("copy")


@pytest.mark.parametrize("kind", [Options, NewerOptions])
def test_options_are_changed_in_a_copy(kind: type[Options]) -> None:
    """An amended call has other options and is the same otherwise, however they were passed; the program's stay."""
    given = kind(url="/chat", seed=None)
    parameters = ("cast_to", "options")
    by_position = Call(None, (str, given, True), {"stream": True}, parameters)
    by_name = Call(None, (str,), {"options": given, "stream": True}, parameters)

    amended = stainless.amended(by_position, seed=7)
    assert (amended.args, dict(amended.kwargs)) == ((str, kind(url="/chat", seed=7), True), {"stream": True})
    amended = stainless.amended(by_name, seed=7)
    assert (amended.args, dict(amended.kwargs)) == ((str,), {"options": kind(url="/chat", seed=7), "stream": True})

    assert given == kind(url="/chat", seed=None)
    assert by_name.kwargs["options"] is given


def test_pieces_of_an_amended_call_may_be_hidden() -> None:
    """What says which pieces of the stream the change has brought is handed on."""

    def hides(piece: Any) -> bool:
        return piece == "usage"

    call = Call(None, (), {"options": Options()})
    assert stainless.amended(call, hides, seed=7).hides is hides
    assert stainless.amended(call, seed=7).hides is None
