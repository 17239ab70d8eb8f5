"""What is to blame in a batch is found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.delivery.destinations import RetryLater
from autotrace.delivery.replies import Refused
from autotrace.delivery.splitting import deliver_split


@given(st.lists(st.booleans(), max_size=200))
def test_only_what_is_to_blame_is_given_up(good: list[bool]) -> None:
    """Every good unit is taken once, in order; every bad one comes back; and the requests are bounded."""
    units = list(enumerate(good))
    taken: list[tuple[int, bool]] = []
    requests = 0

    def send(batch: Sequence[tuple[int, bool]]) -> None:
        nonlocal requests
        requests += 1
        if not all(is_good for _, is_good in batch):
            raise Refused(400, "bad")
        taken.extend(batch)

    refused = deliver_split(units, send)
    assert taken == [unit for unit in units if unit[1]]
    assert [unit for unit, _ in refused] == [unit for unit in units if not unit[1]]
    bad = len(refused)
    assert requests <= max(1, 2 * len(units) - 1)
    if bad == 1:
        assert requests <= 2 * len(units).bit_length() + 1


def test_the_server_goes_away_in_between() -> None:
    """What else is raised ends it."""

    def send(batch: Sequence[int]) -> None:
        raise Refused(413) if len(batch) > 1 else RetryLater("gone")

    with pytest.raises(RetryLater, match="gone"):
        deliver_split([1, 2], send)
