"""Drawings, as SVG made on the server. Colours are classes of the style sheet; texts are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 600.0, 120.0
_SPARK_WIDTH, _SPARK_HEIGHT = 120.0, 28.0


class Bucket(NamedTuple):
    """One place on the axis of time.

    Attributes:
        values: Of the series, in their order; None where there is none.
        title: What is told of it, to who points at it.
        url: Where it leads.
        own: For each of the series where it leads, and what is told of it, where that is somewhere else; else empty.
        is_open: Whether it is not over yet.
    """

    values: tuple[float | None, ...]
    title: str = ""
    url: str = ""
    own: tuple[tuple[str, str], ...] = ()
    is_open: bool = False


def spark(values: Sequence[float | None], label: str) -> Markup:
    """A line without axes."""
    top = max((value for value in values if value is not None), default=0.0)
    line = _line(values, top, _SPARK_WIDTH, _SPARK_HEIGHT - 3, 1.5)
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(_SPARK_WIDTH, _SPARK_HEIGHT, label, line)


def columns(buckets: Sequence[Bucket], names: Sequence[str], label: str, top: float | None = None) -> Markup:
    """Columns over time, one series upon the other.

    Args:
        buckets: From left to right.
        names: Classes of the series, from the ground up.
        label: What it shows, for who does not see it.
        top: The value at the upper edge; None: the highest there is.
    """
    top = top or max((sum(value or 0 for value in bucket.values) for bucket in buckets), default=0.0)
    step = _WIDTH / max(len(buckets), 1)
    shapes = []
    for place, bucket in enumerate(buckets):
        ground = _HEIGHT
        parts: list[Markup] = []
        own: list[Markup] = []
        for number, (name, value) in enumerate(zip(names, bucket.values, strict=True)):
            if value and top:
                height = max(value / top * (_HEIGHT - 4), 1.0)
                ground -= height
                drawn = _rect(place * step + step * 0.08, ground, step * 0.84, height, name)
                url, title = bucket.own[number] if bucket.own else ("", "")
                (own if url else parts).append(_leading(url, title, drawn) if url else drawn)
        shapes.append(_linked(bucket, place * step, step, Markup().join(parts)) + Markup().join(own))
    return _chart(shapes, label)


def lines(buckets: Sequence[Bucket], names: Sequence[str], label: str) -> Markup:
    """A line for each series, and a place to point at for each bucket."""
    top = max((value for bucket in buckets for value in bucket.values if value is not None), default=0.0)
    step = _WIDTH / max(len(buckets), 1)
    shapes = []
    for number, name in enumerate(names):
        values = [bucket.values[number] for bucket in buckets]
        drawn = _line(values, top, _WIDTH - step, _HEIGHT - 4, 3.0, offset=step / 2)
        shapes.append(Markup('<g class="{}">{}</g>').format(name, drawn))
    for place, bucket in enumerate(buckets):
        shapes.append(_linked(bucket, place * step, step, Markup()))
    return _chart(shapes, label)


def bar(share: float, label: str, name: str = "fill") -> Markup:
    """A horizontal bar that is filled to a share."""
    return Markup(
        '<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="rest" width="100" height="6"></rect><rect class="{}" width="{}" height="6"></rect></svg>'
    ).format(label, name, round(min(max(share, 0.0), 1.0) * 100, 2))


def _chart(shapes: Sequence[Markup], label: str) -> Markup:
    grid = Markup().join(
        Markup('<line class="grid-line" x1="0" x2="{}" y1="{}" y2="{}"></line>').format(_WIDTH, y, y)
        for y in (_HEIGHT * 0.333, _HEIGHT * 0.667, _HEIGHT - 0.5)
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="group" aria-label="{}">{}{}</svg>'
    ).format(_WIDTH, _HEIGHT, label, grid, Markup().join(shapes))


def _linked(bucket: Bucket, x: float, width: float, inner: Markup) -> Markup:
    """A bucket with a place to point at, which leads somewhere where there is something."""
    title = Markup("<title>{}</title>").format(bucket.title) if bucket.title else Markup()
    area = _rect(x, 0, width, _HEIGHT, "area")
    state = Markup(' class="open"') if bucket.is_open else Markup()
    if bucket.url and any(bucket.values):
        return Markup('<a href="{}" aria-label="{}"{}>{}{}{}</a>').format(
            bucket.url, bucket.title, state, title, area, inner
        )
    return Markup("<g{}>{}{}{}</g>").format(state, title, area, inner)


def _leading(url: str, title: str, inner: Markup) -> Markup:
    """A part of a bucket that leads somewhere else; by keys the bucket is gone to, which tells of all of them."""
    label = Markup("<title>{}</title>").format(title) if title else Markup()
    return Markup('<a href="{}" aria-label="{}" tabindex="-1">{}{}</a>').format(url, title, label, inner)


def _rect(x: float, y: float, width: float, height: float, name: str) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"></rect>').format(
        name, *(round(value, 2) for value in (x, y, width, height))
    )


def _line(
    values: Sequence[float | None], top: float, width: float, height: float, margin: float, offset: float = 0.0
) -> Markup:
    """A line that breaks where there is no value; a value that stands alone is a short stroke."""
    step = width / max(len(values) - 1, 1)
    paths: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            paths.append([])
            continue
        y = height - (value / top if top else 0.0) * height + margin
        paths[-1].append(f"{offset + place * step:.1f},{y:.1f}")
    told = []
    for points in paths:
        if len(points) == 1:
            left, _, height_ = points[0].partition(",")
            half = width * 0.012
            points = [f"{float(left) - half:.1f},{height_}", f"{float(left) + half:.1f},{height_}"]
        if points:
            told.append(Markup('<polyline points="{}"></polyline>').format(escape(" ".join(points))))
    return Markup().join(told)
