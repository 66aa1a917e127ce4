"""Statistics of a series of runs: medians, growth with size, trends, rises that last.

Arrays in, numbers out: it knows nothing of runs, stages or units. All of it is robust: a quarter of the values may be
outliers. Values are in the order in which they were measured. SciPy is imported where an interval or a p-value needs
it; ``median`` and ``usual_line`` are the standard library's, because every run asks them at its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

Values = Sequence[float]
Sizes = Sequence[float | None]

FEWEST_FOR_P95 = 20
FEWEST_FOR_GROWTH, GROWTH_SPREAD = 8, 4.0
FEWEST_FOR_LINE, LINE_SPREAD = 8, 2.0
LATEST, MOST = 5, 30  # a rise: at least so many values after it, at most so many on either side
TESTED = (5, 7, 10, 14, 20, 30)  # numbers of latest values
RISE_RATIO, RISE_P = 1.25, 0.01
SLACK = 0.2  # of an exponent: caches and fixed costs bend a law by so much


def median(values: Values) -> float:
    """The middle value; at least one is needed. ``statistics`` would cost each run 4 ms of import."""
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def p95(values: Values) -> float | None:
    """The value that 95 % do not exceed; None under 20 values, where it would be the maximum by another name."""
    import statistics

    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) >= FEWEST_FOR_P95 else None


# --- growth with size ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Growth:
    """``seconds = factor * size ** exponent``; low, high: the 95 % interval of the exponent."""

    exponent: float
    low: float
    high: float
    factor: float
    runs: int
    size_ratio: float

    def agrees_with(self, declared: float) -> bool:
        """Whether the declared exponent lies in the interval, widened on both sides by ``SLACK``."""
        return self.low - SLACK <= declared <= self.high + SLACK


def growth(sizes: Values, seconds: Values) -> Growth | None:
    """Theil-Sen slope of log seconds over log sizes; None under 8 runs or where sizes differ by less than 4 times."""
    points = [(size, value) for size, value in zip(sizes, seconds, strict=True) if size > 0 and value > 0]
    if len(points) < FEWEST_FOR_GROWTH:
        return None
    size_ratio = max(size for size, _ in points) / min(size for size, _ in points)
    if size_ratio < GROWTH_SPREAD:
        return None
    from scipy.stats import theilslopes

    x, y = [math.log(size) for size, _ in points], [math.log(value) for _, value in points]
    fit = theilslopes(y, x, alpha=0.95)
    slope, low, high = float(fit.slope), float(fit.low_slope), float(fit.high_slope)
    factor = median([b - slope * a for a, b in zip(x, y, strict=True)])
    return Growth(slope, low, high, math.exp(max(-700.0, min(factor, 700.0))), len(points), size_ratio)


def trend(values: Values) -> float | None:
    """Theil-Sen slope over the number of the run, in per cent of the median per 10 runs; None under 8 values."""
    if len(values) < FEWEST_FOR_LINE or median(values) <= 0:
        return None
    return 1000 * _slope(list(range(len(values))), values) / median(values)


def _slope(x: Values, y: Values) -> float:
    """The median of the slopes of all pairs; at least two x must differ."""
    slopes = [(y[j] - y[i]) / (x[j] - x[i]) for i in range(len(x)) for j in range(i + 1, len(x)) if x[j] != x[i]]
    return median(slopes)


# --- what is usual for a size --------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """``fixed + per_unit * size``; smallest, largest: the sizes between which it can be trusted."""

    fixed: float
    per_unit: float = 0.0
    smallest: float = 0.0
    largest: float = math.inf

    def at(self, size: float | None) -> float:
        """Seconds that the line expects for a size."""
        return self.fixed + (self.per_unit * size if size is not None else 0.0)

    def covers(self, size: float | None) -> bool:
        """Whether the size lies among those that the line was fitted to, or near them; an unknown one does."""
        return size is None or self.smallest <= size <= self.largest


def usual_line(values: Values, sizes: Sizes, *, proportional: bool) -> Line:
    """What was measured, as a function of the size.

    A robust line with a fixed part (loading, warming up) where at least 8 values and sizes from 1 to 2 allow one: a
    plain value per unit would call each short input slow. Else the median per unit.

    Args:
        values: at least one, not negative.
        sizes: positive; None if any is unknown: then the sizes are left out of it.
        proportional: whether the value is declared to grow with the size. If not, and there is no line to tell, the
            value is taken for constant, and the line only covers sizes like those seen.
    """
    known = [size for size in sizes if size is not None]
    if len(known) < len(values):
        return Line(median(values))
    ordered = sorted(known)
    least, most = ordered[0], ordered[-1]
    per_unit = median([value / size for value, size in zip(values, known, strict=True)])
    if len(values) >= FEWEST_FOR_LINE and most / least >= LINE_SPREAD:
        slope = _slope(known, values)
        fixed = median([value - slope * size for value, size in zip(values, known, strict=True)])
        low, high = ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]  # a few far ones do not bend the line
        if slope <= 0:
            return Line(median(values), 0.0, low / 1.25, high * 1.25)
        return Line(fixed, slope, low / 3, high * 3) if fixed >= 0 else Line(0.0, per_unit, low / 3, high * 3)
    if proportional:
        return Line(0.0, per_unit, least / 1.5, most * 1.5)
    return Line(median(values), 0.0, median(known) / 1.25, median(known) * 1.25)


# --- many tests ----------------------------------------------------------------------------------------


def holm(p_values: Values, tests: int) -> list[float]:
    """p-values corrected for the number of tests, in their order: by them, one alarm of all that is false is as rare
    as the threshold says, however the tests depend on each other.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979), 65-70.

    Args:
        p_values: of the tests that found something.
        tests: how many were made, those that found nothing among them; at least as many as there are p-values.
    """
    corrected, highest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        corrected[place] = highest = min(1.0, max(highest, (tests - rank) * p_values[place]))
    return corrected


# --- shifts --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shift:
    """ratio: of the medians, latest over earlier; p: Mann-Whitney, two-sided."""

    ratio: float
    p: float


def shift(earlier: Values, latest: Values) -> Shift | None:
    """How far the latest values lie from the earlier ones; None under 5 of either, or where those are nothing."""
    ratio = _ratio(earlier, latest)
    return None if ratio is None else Shift(ratio, _mann_whitney(earlier, latest))


def _ratio(earlier: Values, latest: Values) -> float | None:
    if min(len(earlier), len(latest)) < LATEST or median(earlier) <= 0:
        return None
    return median(latest) / median(earlier)


def _mann_whitney(earlier: Values, latest: Values) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(latest, earlier, alternative="two-sided").pvalue)


@dataclass(frozen=True)
class Rise:
    """A rise that lasts until now; of the latest values only those count whose sizes the earlier ones cover.

    at: index of the first value after it. earlier: how many values it was compared with. ratio: of the medians, each
    value measured by what is usual for its size. p: times the number of places tested. before: what would have been
    usual for the latest sizes, after: what was measured of them, both per unit if proportional.
    """

    at: int
    earlier: int
    ratio: float
    p: float
    before: float
    after: float


def rise(
    values: Values,
    sizes: Sizes,
    *,
    proportional: bool,
    accepts: Callable[[slice, slice], bool] = lambda earlier, latest: True,
) -> Rise | None:
    """A place from which on the values lie over 1.25 times the earlier ones, with p < 0.01 for all places together.

    Few places are tested, for each one costs the others power; where one is found, it is then sought more closely.

    Args:
        accepts: has the last word on the earlier and the latest indices of a place.
    """
    count = len(values)

    def at(place: int) -> Rise | None:
        earlier, latest = slice(max(0, place - MOST), place), slice(place, count)
        risen = _rise_at(values, sizes, earlier, latest, proportional)
        return risen if risen and accepts(earlier, latest) else None

    tested = [count - after for after in TESTED if count - after >= LATEST]
    found = min(filter(None, map(at, tested)), key=_p, default=None)
    if found is None or found.p * len(tested) >= RISE_P:
        return None
    near = range(max(LATEST, count - MOST), count - LATEST + 1)
    return replace(min(filter(None, map(at, near)), key=_p), p=found.p * len(tested))


def _p(risen: Rise) -> float:
    return risen.p


def _rise_at(values: Values, sizes: Sizes, earlier: slice, latest: slice, proportional: bool) -> Rise | None:
    """Whether the medians differ enough, and how likely so much is by chance at this one place."""
    line = usual_line(values[earlier], sizes[earlier], proportional=proportional)
    found = [(value, size) for value, size in zip(values[latest], sizes[latest], strict=True) if line.covers(size)]
    usual, measured = _adjusted(line, list(zip(values[earlier], sizes[earlier], strict=True))), _adjusted(line, found)
    ratio, now = _ratio(usual, measured), _ratio(usual, measured[-LATEST:])
    if ratio is None or now is None or min(ratio, now) <= RISE_RATIO:  # `now`: one that is over is none
        return None
    units = [size if proportional and size else 1.0 for _, size in found]
    before = median([line.at(size) / unit for (_, size), unit in zip(found, units, strict=True)])
    after = median([value / unit for (value, _), unit in zip(found, units, strict=True)])
    return Rise(latest.start, earlier.stop - earlier.start, ratio, _mann_whitney(usual, measured), before, after)


def _adjusted(line: Line, values: Sequence[tuple[float, float | None]]) -> list[float]:
    """Each value over what is usual for its size."""
    return [value / line.at(size) if line.at(size) > 0 else 1.0 for value, size in values]
