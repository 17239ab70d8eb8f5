"""Ranges of time and their buckets; durations in buckets."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.insights.buckets import MOST, bucket, lower_ms, quantile_ms
from autotrace.insights.ranges import DAY_NS, HOUR_NS, MINUTE_NS, buckets, iso, last, moment_ns, width_ns

NOW = 1_780_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "length_ns"),
    [
        ("15m", 15 * MINUTE_NS),
        ("1h", HOUR_NS),
        ("24h", DAY_NS),
        ("7d", 7 * DAY_NS),
        ("4w", 28 * DAY_NS),
        (" 7D ", 7 * DAY_NS),
    ],
)
def test_last(text: str, length_ns: int) -> None:
    """A range ends with the bucket of now, and is as long as it says."""
    start, end = last(text, NOW)
    assert end - start == length_ns
    assert 0 < end - NOW <= width_ns(length_ns)
    assert end % width_ns(length_ns) == 0


@pytest.mark.parametrize("text", ["", "0h", "7", "h", "-1h", "1.5h", "99999d", "7y", "1h;", "\u0667d", "7d\n7d"])
def test_no_length(text: str) -> None:
    """What is no length of time is told so."""
    with pytest.raises(ValueError, match="is no length of time such as"):
        last(text, NOW)


def test_never_before_1970() -> None:
    """However long."""
    assert last("9999w", NOW)[0] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("2026-05-28T20:26:40Z", NOW),
        ("2026-05-28T20:26:40", NOW),
        ("2026-05-28T22:26:40+02:00", NOW),
        ("2026-05-28T20:26:40.250Z", NOW + 250_000_000),
    ],
)
def test_moment(text: str, expected: int) -> None:
    """ISO 8601; without a time zone it is UTC."""
    assert moment_ns(text) == expected


@given(st.one_of(st.text(max_size=30), st.sampled_from(["0001-01-01", "9999-12-31", "1969-12-31", "2026-02-30"])))
def test_no_moment(text: str) -> None:
    """What is none, or too long ago or ahead to be counted, is told so."""
    told = ""
    try:
        assert 0 <= moment_ns(text) < 2**63
    except ValueError as error:
        told = str(error)
    assert not told or "is no moment" in told or "is not between" in told


@given(st.integers(0, 2**62), st.integers(1, 3000 * DAY_NS))
def test_buckets(start: int, length: int) -> None:
    """They follow one another without a gap, at round times, and there are not too many to draw."""
    found = list(buckets(start, start + length))
    assert (found[0][0], found[-1][1]) == (start, start + length)
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert all(begin % width_ns(length) == 0 for begin, _ in found[1:])
    assert len(found) <= 110


def test_no_buckets() -> None:
    """Of a range that is empty."""
    assert list(buckets(5, 5)) == []


def test_iso() -> None:
    """To the second."""
    assert iso(NOW + 999_999_999) == "2026-05-28T20:26:40Z"


@given(st.integers(0, 2**62))
def test_a_duration_lies_in_its_bucket(duration: int) -> None:
    """Between where it begins and where the next one does."""
    number = bucket(duration)
    assert 0 <= number <= MOST
    if duration >= 1000 and number < MOST:
        assert lower_ms(number) * (1 - 1e-12) <= duration / 1e6 <= lower_ms(number + 1) * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.95, 0.99, 1.0])
def test_quantiles(seed: int, share: float) -> None:
    """A quantile is known to 9 % of the exact one."""
    chance = random.Random(seed)
    durations = sorted(int(chance.lognormvariate(20, 1.5)) + 1000 for _ in range(chance.randint(1, 500)))
    counts: dict[int, int] = {}
    for duration in durations:
        counts[bucket(duration)] = counts.get(bucket(duration), 0) + 1
    found = quantile_ms(counts, share)
    exact = durations[max(math.ceil(share * len(durations)) - 1, 0)] / 1e6
    assert found is not None
    assert exact / 2 ** (1 / 8) * (1 - 1e-9) <= found <= exact * 2 ** (1 / 8) * (1 + 1e-9)


def test_no_quantile() -> None:
    """Of nothing."""
    assert quantile_ms({}, 0.5) is None
