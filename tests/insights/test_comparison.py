"""Two selections side by side: what is more than noise, and what is not."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from statistics import mean, variance
from typing import Any

import pytest

from autotrace.insights import ranges
from autotrace.insights.buckets import bucket
from autotrace.insights.comparison import ROWS, comparison, means, proportions, quantiles
from autotrace.insights.opening import opened
from autotrace.insights.parts import Memory
from autotrace.insights.scope import Scope
from tests.store.conftest import BEGAN, Store

from .traffic import traffic, write

EVER = Scope(BEGAN, BEGAN + 3 * ranges.DAY_NS)


def two_sided(z: float) -> float:
    """The chance of a normal variate so far from nothing, by the complementary error function."""
    return math.erfc(abs(z) / math.sqrt(2))


@pytest.mark.parametrize(
    ("hits", "of", "other_hits", "other_of"), [(15, 100, 5, 100), (30, 200, 60, 180), (0, 50, 7, 60), (10, 10, 3, 12)]
)
def test_shares(hits: int, of: int, other_hits: int, other_of: int) -> None:
    """The square of z is the chi-squared statistic of the table of four, which has nothing to do with z's formula."""
    table = [[hits, of - hits], [other_hits, other_of - other_hits]]
    whole = of + other_of
    columns = [table[0][0] + table[1][0], table[0][1] + table[1][1]]
    statistic = 0.0
    for row, count in zip(table, (of, other_of), strict=True):
        for found, column in zip(row, columns, strict=True):
            expected = count * column / whole
            statistic += (found - expected) ** 2 / expected
    chance = proportions(hits, of, other_hits, other_of)
    assert chance == pytest.approx(two_sided(math.sqrt(statistic)), rel=1e-9)
    assert chance == pytest.approx(proportions(other_hits, other_of, hits, of))


def test_a_share_by_hand() -> None:
    """15 of 100 against 5 of 100: z is 0.1 / sqrt(0.1 * 0.9 * 0.02), 2.357."""
    assert proportions(15, 100, 5, 100) == pytest.approx(0.01842, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_means(seed: int) -> None:
    """By the variances of the samples, each by the number of its sample."""
    chance = random.Random(seed)
    one = [chance.gauss(100, 10) for _ in range(40)]
    other = [chance.gauss(104, 30) for _ in range(25)]
    spreads = []
    for sample in (one, other):
        mean = sum(sample) / len(sample)
        spreads.append(sum((value - mean) ** 2 for value in sample) / (len(sample) - 1) / len(sample))
    expected = two_sided((sum(one) / 40 - sum(other) / 25) / math.sqrt(sum(spreads)))
    moments = [(sum(sample), sum(value * value for value in sample), len(sample)) for sample in (one, other)]
    assert means(*moments[0], *moments[1]) == pytest.approx(expected, rel=1e-6)
    assert means(*moments[1], *moments[0]) == pytest.approx(expected, rel=1e-6)


def test_means_that_do_not_vary() -> None:
    """The same always, on both sides: no difference where it is the same, and certainly one where it is not."""
    assert means(200, 2000, 20, 300, 3000, 30) == 1
    assert means(200, 2000, 20, 330, 3630, 30) == 0


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_quantiles(share: float) -> None:
    """How much of one side lies above the quantile of both, against drawing as many from both at random."""
    one, other = {10: 700, 20: 200, 30: 100}, {10: 500, 20: 250, 30: 250}
    # Of both together: 1,200 in the first bucket, 450, 350.
    inside = {0.5: 10, 0.9: 30, 0.99: 30}[share]
    part = {0.5: 200 / 1200, 0.9: 200 / 350, 0.99: 20 / 350}[share]
    scores = [
        [1.0 if bucket > inside else part if bucket == inside else 0.0 for bucket in side for _ in range(side[bucket])]
        for side in (one, other)
    ]
    expected = two_sided((sum(scores[0]) - 1000 * mean(scores[0] + scores[1])) / spread_of_draws(*scores))
    assert quantiles(one, other, share) == pytest.approx(expected, rel=1e-9)
    assert quantiles(other, one, share) == pytest.approx(expected, rel=1e-9)


def spread_of_draws(drawn: list[float], left: list[float]) -> float:
    """How far a sum of as many scores, drawn from both without being put back, is spread."""
    both = drawn + left
    return math.sqrt(len(drawn) * len(left) / len(both) * variance(both))


def test_a_quantile_between_buckets_is_a_share() -> None:
    """Where nothing lies in its bucket on both sides of it, this is the test of shares, but for one trace."""
    one, other = {10: 900, 30: 100}, {10: 900, 40: 80, 50: 20}
    assert quantiles(one, other, 0.9) == 1
    one, other = {10: 940, 30: 60}, {10: 860, 30: 140}
    chance = quantiles(one, other, 0.9)
    assert chance is not None
    assert math.log(chance) == pytest.approx(math.log(proportions(60, 1000, 140, 1000) or 1), rel=0.01)


def test_a_bucket_with_nearly_all_hides_no_difference() -> None:
    """Durations that lie in few buckets: what is outside the quantile's own tells as much as where they are spread."""
    one, other = {10: 960, 11: 40}, {10: 900, 11: 100}
    assert (quantiles(one, other, 0.5) or 1) < 1e-5
    assert quantiles({10: 999, 11: 1}, {10: 996, 11: 4}, 0.5) is None


def test_a_tail_is_found_where_it_is() -> None:
    """Where two of a hundred became ten times slower, p99 is marked, and the median is not."""
    chance = random.Random(3)
    found: dict[float, int] = {0.5: 0, 0.9: 0, 0.99: 0}
    for _ in range(60):
        before = [chance.lognormvariate(20, 0.3) for _ in range(2000)]
        after = [chance.lognormvariate(20, 0.3) * (10 if chance.random() < 0.02 else 1) for _ in range(2000)]
        histograms = [Counter(bucket(int(value)) for value in each) for each in (before, after)]
        for share in found:
            found[share] += (quantiles(*histograms, share) or 0) < 0.01
    assert found[0.99] == 60
    assert found[0.5] <= 5
    assert found[0.9] < 30  # which has moved a little


def test_what_is_above_a_quantile_tells_nothing_of_those_below() -> None:
    """Where the slowest of a hundred became slower still, and none else, p50 and p90 are as they were."""
    chance = random.Random(11)
    found: dict[float, int] = {0.5: 0, 0.9: 0, 0.99: 0}
    for _ in range(200):
        histograms = []
        for slow in (0.004, 0.03):
            values = [chance.lognormvariate(20, 0.5) for _ in range(1000)]
            # Of those that take longer than nine of ten anyway, some take ten times as long.
            limit = math.exp(20 + 0.5 * 1.6449)
            many = slow / 0.05
            histograms.append(
                Counter(bucket(int(each * 10 if each > limit and chance.random() < many else each)) for each in values)
            )
        for share in found:
            found[share] += (quantiles(histograms[0], histograms[1], share) or 0) < 0.01
    assert found[0.99] >= 175
    assert max(found[0.5], found[0.9]) <= 6


@pytest.mark.parametrize("alike", [0, 0.7])
def test_a_tail_that_does_not_differ(alike: float) -> None:
    """One of a hundred is marked at p99 too, also where many durations are the same."""
    chance = random.Random(5)
    marked = 0
    for _ in range(300):
        histograms = [
            Counter(bucket(int(5e8 if chance.random() < alike else chance.lognormvariate(20, 1))) for _ in range(count))
            for count in (600, 900)
        ]
        marked += (quantiles(histograms[0], histograms[1], 0.99) or 1) < 0.01
    assert marked <= 9


def test_all_alike() -> None:
    """What lies in one bucket does not differ."""
    assert quantiles({5: 40}, {5: 30}, 0.5) == 1
    assert proportions(0, 40, 0, 30) == 1


def test_few_say_nothing() -> None:
    """Below ten on either side nobody can tell."""
    assert proportions(9, 9, 0, 1000) is None
    assert means(9, 9, 9, 1000, 1000, 1000) is None
    assert quantiles({1: 9}, {50: 1000}, 0.5) is None
    assert quantiles({1: 400}, {50: 400}, 0.99) is None
    for share, enough in ((0.5, 10), (0.9, 50), (0.99, 500)):
        assert quantiles({1: enough - 1}, dict.fromkeys(range(1000), 1), share) is None
        assert quantiles(dict.fromkeys(range(enough), 1), dict.fromkeys(range(1000), 1), share) is not None
    assert quantiles({}, {}, 0.5) is None


def test_without_a_difference_few_are_marked() -> None:
    """Of pairs of samples of one agent, one of a hundred differs so much; the chances are spread evenly."""
    chance = random.Random(7)
    found: dict[str, list[float]] = {"shares": [], "p50": [], "p90": [], "means": []}
    for _ in range(1500):
        sides: list[Any] = []
        for count in (80, 120):
            values = [chance.lognormvariate(20, 1) for _ in range(count)]
            hits = sum(chance.random() < 0.3 for _ in range(count))
            sides.append((count, hits, values))
        (count, hits, values), (other_count, other_hits, others) = sides
        found["shares"].append(proportions(hits, count, other_hits, other_count) or 0)
        histograms = [Counter(bucket(int(value)) for value in each) for each in (values, others)]
        for name in ("p50", "p90"):
            found[name].append(quantiles(*histograms, int(name[1:]) / 100) or 0)
        moments = [
            (sum(logs), sum(x * x for x in logs), len(logs))
            for logs in (list(map(math.log, v)) for v in (values, others))
        ]
        found["means"].append(means(*moments[0], *moments[1]) or 0)
    for chances in found.values():
        assert 0.002 <= sum(each < 0.01 for each in chances) / len(chances) <= 0.02
        assert 0.42 <= sum(each < 0.5 for each in chances) / len(chances) <= 0.58


def compared(store: Store, left: Scope, right: Scope) -> dict[str, Any]:
    """Two selections, side by side."""
    with opened(store.path.parent) as insights:
        return comparison(insights, Memory(), left, right)


def test_a_difference_is_marked(store: Store) -> None:
    """What clearly differs is, with the better side; what does not is not."""
    asked = traffic(5, 200)
    write(
        store,
        [
            replace(each, seconds=(1 if each.environment == "production" else 8) + each.number / 1000, thumbs=())
            for each in asked
        ],
    )
    sides = [replace(EVER, environment=name) for name in ("production", "development")]
    told = compared(store, sides[0], sides[1])
    rows = {row["name"]: row for row in told["rows"]}
    assert rows.keys() == {row[0] for row in ROWS}
    assert (rows["latency_p50_ms"]["marked"], rows["latency_p50_ms"]["better"]) == (True, "a")
    assert (rows["error_rate"]["marked"], rows["error_rate"]["better"]) == (False, None)
    assert (rows["disliked_share"]["p"], rows["disliked_share"]["marked"]) == (None, False)
    mirrored = {row["name"]: row for row in compared(store, sides[1], sides[0])["rows"]}
    assert mirrored["latency_p50_ms"]["better"] == "b"
    for name, row in rows.items():
        assert mirrored[name]["p"] == (None if row["p"] is None else pytest.approx(row["p"], rel=1e-6))
        assert mirrored[name]["marked"] == row["marked"]
    assert len(told["examples"]["a"]) == len(told["examples"]["b"]) == 5
    assert {row["environment"] for row in told["examples"]["a"]} == {"production"}


def test_models_and_tools_side_by_side(store: Store) -> None:
    """Of either side, with how their calls went; what one side does not call has nothing there."""
    write(store, traffic(5, 200))
    sides = [replace(EVER, environment=name) for name in ("production", "development")]
    told = compared(store, sides[0], sides[1])
    for kind, rate in (("models", "error_rate"), ("tools", "success_rate")):
        rows = told[kind]["rows"]
        assert rows
        calls = [sum(row[side].get("calls", 0) for side in "ab") for row in rows]
        assert calls == sorted(calls, reverse=True)
        for row in rows:
            assert row[rate]["a"] == row["a"].get(rate)
            assert row[rate]["marked"] == ((row[rate]["p"] or 1) < 0.01)
    models = {row["name"]: row["a"] for row in told["models"]["rows"]}
    priced = models["gpt-4o"]
    assert priced["cost_per_call_usd"] == pytest.approx(priced["cost_usd"] / priced["calls"])
    assert models["my-own-model"]["cost_per_call_usd"] is None
    one = compared(store, sides[0], replace(EVER, user="nobody"))["models"]["rows"][0]
    assert one["b"] == {}
    assert one["error_rate"]["p"] is None


def test_the_same_twice(store: Store) -> None:
    """Nothing is marked, and nothing differs."""
    write(store, traffic(6, 60))
    rows = compared(store, EVER, EVER)["rows"]
    assert not any(row["marked"] for row in rows)
    assert {row["difference"] for row in rows} <= {0, None}


def test_nothing_on_either_side(store: Store) -> None:
    """Of no traces nothing is said."""
    write(store, traffic(6, 20))
    nobody = replace(EVER, user="nobody")
    told = compared(store, nobody, EVER)
    assert not any(row["marked"] for row in told["rows"])
    assert told["examples"]["a"] == []
    assert compared(store, nobody, nobody)["figures"]["a"]["traces"] == 0
