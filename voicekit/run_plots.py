"""Series of numbers -> plots as inline SVG: timelines, stacked bars, log-log scatters.

Knows nothing of runs, loads nothing and needs no script: the colours are classes of the page's style, which is here
too, what a mark stands for is its tooltip, and each plot says in words what is to be seen. A plot is as wide as a
telephone; two stand side by side on a desk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from voicekit.report_page import escaped

T = TypeVar("T")

WIDTH, HEIGHT = 360.0, 216.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 26.0, 36.0
COLOURS = 8  # classes c0 to c7; the last one is for the rest

# Shapes, so that nobody has to tell colours apart. "ok" is drawn under the others.
MARKS = {
    "ok": '<circle r="3"/>',
    "error": '<path d="M-4-4 4 4M-4 4 4-4"/>',
    "interrupted": '<path d="M0-5 5 0 0 5-5 0Z"/>',
    "killed": '<path d="M0-5.5 5.5 4.5-5.5 4.5Z"/>',
    "crashed": '<path d="M-4-4H4V4H-4Z"/>',
    "unknown": '<circle r="3.5"/>',
}

PLOT_STYLE = """
:root { --c0: #0b7a75; --c1: #e08a1e; --c2: #4f63c6; --c3: #c04a7a; --c4: #7d9a26; --c5: #3b9fd1; --c6: #8a5a3c;
  --c7: #9aa5b1; }
@media screen and (prefers-color-scheme: dark) {
  :root { --c0: #4fc3b8; --c1: #f2b35a; --c2: #8f9df0; --c3: #ec87b0; --c4: #b3d36a; --c5: #74c4ee; --c6: #c79a7a;
    --c7: #66737f; }
}
.plot { margin: 0; min-width: 0; }
.plot figcaption { margin-bottom: 6px; }
.plot svg { display: block; width: 100%; height: auto; overflow: visible; }
.plot text { fill: var(--muted); font-size: 12.5px; }
.plot .end { text-anchor: end; } .plot .middle { text-anchor: middle; }
.plot .grid { stroke: var(--line); fill: none; } .plot .foot { stroke: var(--muted); fill: none; }
.plot .line { stroke: var(--ink); stroke-width: 2; fill: none; stroke-linejoin: round; }
.plot .event { stroke: var(--bad); stroke-width: 1.75; stroke-dasharray: 2 3; fill: none; }
.plot .law { stroke: var(--muted); stroke-width: 1.75; stroke-dasharray: 5 4; fill: none; }
.ok-mark { fill: var(--voice); fill-opacity: .6; }
.error-mark { stroke: var(--bad); stroke-width: 2; fill: none; }
.killed-mark, .crashed-mark { fill: var(--bad); }
.interrupted-mark { stroke: var(--weak); stroke-width: 1.75; fill: var(--card); }
.unknown-mark { stroke: var(--muted); stroke-width: 1.75; fill: none; }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
.c4 { fill: var(--c4); } .c5 { fill: var(--c5); } .c6 { fill: var(--c6); } .c7 { fill: var(--c7); }
.key { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: .875rem; color: var(--muted); }
.key li { display: flex; gap: 6px; align-items: center; min-width: 0; overflow-wrap: anywhere; }
.key svg { flex: none; width: 14px; height: 14px; }
@media (min-width: 720px) { .plot text { font-size: 11px; } }
.key .line, .key .law, .key .event { fill: none; stroke-width: 2; }
.key .event { stroke: var(--bad); stroke-dasharray: 2 2; }
.key .line { stroke: var(--ink); } .key .law { stroke: var(--muted); stroke-dasharray: 4 3; }
"""


@dataclass(frozen=True)
class Point:
    """y: None where it is unknown, and drawn at the foot. mark: a key of ``MARKS``. title: the tooltip."""

    x: float
    y: float | None
    title: str
    mark: str = "ok"


@dataclass(frozen=True)
class Part:
    """One part of a bar; colour: from 0 to ``COLOURS`` - 1."""

    colour: int
    value: float
    title: str


# --- axes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """From low to high; the ticks lie between them."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high end; what lies beyond is put at the end."""
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, low))
        return min(1.0, max(0.0, (at - low) / (high - low)))


def linear_axis(values: Sequence[float]) -> Axis:
    """From zero to a round number, with four to seven ticks."""
    most = max(values, default=0.0) or 1.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * 5 >= most)
    count = math.ceil(most / step - 1e-9)
    return Axis(0.0, count * step, tuple(number * step for number in range(count + 1)))


def log_axis(values: Sequence[float]) -> Axis:
    """Around positive values: ticks at 1, 2 and 5 of each power of ten, or at the powers where there are many."""
    low, high = min(values) / 1.3, max(values) * 1.3
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = math.ceil((last - first) / 5)
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1, every) for factor in factors]
    return Axis(low, high, tuple(tick for tick in ticks if low <= tick <= high), True)


def axis_of(values: Sequence[float]) -> Axis:
    """A logarithmic one where a few values would press all others to the foot."""
    ordered = sorted(values)
    if ordered and ordered[0] > 0 and ordered[-1] > 12 * ordered[len(ordered) // 2]:
        return log_axis(values)
    return linear_axis(values)


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


# --- the plots ---------------------------------------------------------------------------------------------


def timeline(
    points: Sequence[Point],
    line: Sequence[tuple[float, float]],
    unit: str,
    ends: tuple[str, str],
    label: str,
    events: Sequence[float] = (),
) -> str:
    """Values over the number of the run.

    Args:
        points: x from 0.
        line: through the points, as x and y; may be empty.
        unit: of the values.
        ends: what stands under the first and the last point.
        label: for those who do not see it.
        events: x where something changed, drawn as lines upwards.
    """
    y_axis = axis_of([point.y for point in points if point.y is not None])
    most = max([point.x for point in points] + [x for x, _ in line], default=0.0) or 1.0

    def place(x: float, y: float | None) -> tuple[float, float]:
        return _x(0.02 + 0.96 * x / most), _y(0.0 if y is None else y_axis.share(y))

    path = "".join(f"{'L' if number else 'M'}{_numbers(place(x, y))}" for number, (x, y) in enumerate(line))
    drawn = sorted(points, key=lambda point: point.mark != "ok")
    marks = "".join(_mark(point.mark, place(point.x, point.y), point.title) for point in drawn)
    curve = f'<path class="line" d="{path}"/>' if path else ""
    upright = "".join(f'<path class="event" d="M{_numbers(place(x - 0.5, None))}V{TOP:g}"/>' for x in events)
    return _svg(_y_grid(y_axis, unit) + _ends(ends) + marks + upright + curve, label)


def stacked(bars: Sequence[Sequence[Part]], unit: str, ends: tuple[str, str], label: str) -> str:
    """One bar for each run, its parts from the foot up."""
    axis = linear_axis([sum(part.value for part in bar) for bar in bars])
    step = (WIDTH - LEFT - RIGHT) / max(len(bars), 8)
    drawn = ""
    for number, bar in enumerate(bars):
        at = 0.0
        for part in bar:
            top, foot = _y(axis.share(at + part.value)), _y(axis.share(at))
            at += part.value
            drawn += (f'<rect class="c{part.colour}" x="{LEFT + number * step + 1:.1f}" y="{top:.1f}" '
                      f'width="{step - 2:.1f}" height="{max(foot - top, 0):.1f}">{_title(part.title)}</rect>')
    return _svg(_y_grid(axis, unit) + _ends(ends) + drawn, label)


def scatter(
    points: Sequence[Point], lines: Sequence[tuple[str, float, float]], units: tuple[str, str], label: str
) -> str:
    """Both axes logarithmic; all values positive.

    Args:
        lines: class, and ``y = factor * x ** exponent``: its factor's logarithm to base ten and its exponent.
        units: of x and y.
    """
    x_axis, y_axis = log_axis([point.x for point in points]), log_axis([point.y or 0.0 for point in points])
    ticks = "".join(
        f'<path class="grid" d="M{_x(x_axis.share(tick)):.1f} {_y(0):.1f}V{_y(1):.1f}"/>'
        f'<text class="middle" x="{_x(x_axis.share(tick)):.1f}" y="{_y(0) + 15:.1f}">{tick:g}</text>'
        for tick in x_axis.ticks
    )
    name = f'<text class="end" x="{_x(1):.1f}" y="{_y(0) + 31:.1f}">{escaped(units[0])}</text>'
    marks = "".join(_mark("ok", (_x(x_axis.share(point.x)), _y(y_axis.share(point.y or 0.0))), point.title)
                    for point in points)
    curves = "".join(_power_line(kind, x_axis, y_axis, log_factor, power) for kind, log_factor, power in lines)
    return _svg(_y_grid(y_axis, units[1]) + ticks + name + marks + curves, label)


def _power_line(kind: str, x_axis: Axis, y_axis: Axis, log_factor: float, power: float) -> str:
    """A straight line here; a frame of its own cuts off what lies outside."""
    width, height = _x(1) - _x(0), _y(0) - _y(1)
    low, high = math.log10(y_axis.low), math.log10(y_axis.high)
    ends = []
    for share, x in ((0.0, x_axis.low), (1.0, x_axis.high)):
        height_there = (log_factor + power * math.log10(x) - low) / (high - low)
        ends.append((share * width, (1 - max(-1e3, min(height_there, 1e3))) * height))
    frame = f'x="{_x(0):.1f}" y="{_y(1):.1f}" width="{width:.1f}" height="{height:.1f}" overflow="hidden"'
    return f'<svg {frame}><path class="{kind}" d="M{_numbers(ends[0])}L{_numbers(ends[1])}"/></svg>'


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly, with the last one."""
    step = math.ceil(len(items) / most) if items else 1
    return list(items[::-1][::step])[::-1]


# --- pieces ------------------------------------------------------------------------------------------------


def key(entries: Sequence[tuple[str, str]]) -> str:
    """What the drawn things stand for: a class (``c0``, ``line``, ``law``, ``event``) or a mark, and its words."""
    items = "".join(f'<li><svg viewBox="0 0 14 14" aria-hidden="true">{_swatch(kind)}</svg>{escaped(words)}</li>'
                    for kind, words in entries)
    return f'<ul class="key">{items}</ul>'


def _swatch(kind: str) -> str:
    if kind in MARKS:
        return f'<g class="{kind}-mark" transform="translate(7 7)">{MARKS[kind]}</g>'
    if kind in ("line", "law", "event"):
        return f'<path class="{kind}" d="M0 7H14"/>'
    return f'<rect class="{kind}" x="1" y="1" width="12" height="12" rx="2"/>'


def _mark(kind: str, place: tuple[float, float], title: str) -> str:
    return f'<g class="{kind}-mark" transform="translate({_numbers(place)})">{_title(title)}{MARKS[kind]}</g>'


def _y_grid(axis: Axis, unit: str) -> str:
    """Lines across with their numbers, the unit above them, and the foot."""
    lines = "".join(
        f'<path class="grid" d="M{_x(0):.1f} {_y(axis.share(tick)):.1f}H{_x(1):.1f}"/>'
        f'<text class="end" x="{LEFT - 6:.1f}" y="{_y(axis.share(tick)) + 4:.1f}">{tick:g}</text>'
        for tick in axis.ticks
    )
    words = f"{unit}, logarithmic" if axis.logarithmic else unit
    foot = f'<path class="foot" d="M{_x(0):.1f} {_y(0):.1f}H{_x(1):.1f}"/>'
    return f'{lines}{foot}<text x="2" y="12">{escaped(words)}</text>'


def _ends(ends: tuple[str, str]) -> str:
    first, last = ends
    left = f'<text x="{LEFT:.1f}" y="{_y(0) + 18:.1f}">{escaped(first)}</text>'
    right = f'<text class="end" x="{_x(1):.1f}" y="{_y(0) + 18:.1f}">{escaped(last)}</text>'
    return left + (right if last != first else "")


def _svg(content: str, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escaped(label)}">{content}</svg>'


def _title(text: str) -> str:
    return f"<title>{escaped(text)}</title>"


def _numbers(place: tuple[float, float]) -> str:
    return f"{place[0]:.1f} {place[1]:.1f}"
