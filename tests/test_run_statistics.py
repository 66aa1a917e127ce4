"""Statistics of a series: the truth is planted, or comes from the standard library and SciPy."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from scipy.stats import mannwhitneyu, theilslopes

from voicekit.run_statistics import LATEST, growth, holm, median, p95, rise, shift, trend, usual_line


def noisy(draw: random.Random, sigma: float = 0.08, outliers: float = 0.0) -> float:
    """A factor around 1; an outlier is two to five times as much."""
    return math.exp(draw.gauss(0, sigma)) * (draw.uniform(2, 5) if draw.random() < outliers else 1.0)


def law(exponent: float, count: int, seed: int, outliers: float = 0.0) -> tuple[list[float], list[float]]:
    draw = random.Random(seed)
    sizes = [math.exp(draw.uniform(math.log(20), math.log(600))) for _ in range(count)]
    return sizes, [0.01 * size**exponent * noisy(draw, outliers=outliers) for size in sizes]


@pytest.mark.parametrize("count", [1, 2, 3, 20, 21])
def test_median_is_that_of_the_standard_library(count: int) -> None:
    values = [random.Random(count).gauss(0, 1) for _ in range(count)]
    assert median(values) == statistics.median(values)


def test_p95_is_inclusive_and_none_under_twenty_values() -> None:
    assert p95([float(value) for value in range(101)]) == 95.0
    assert p95([1.0] * 19) is None
    assert p95([1.0] * 20) == 1.0


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("outliers", [0.0, 0.1])
def test_the_planted_exponent_is_found(exponent: float, outliers: float) -> None:
    for seed in range(20):
        found = growth(*law(exponent, 40, seed, outliers))
        assert found is not None
        assert found.exponent == pytest.approx(exponent, abs=0.15)
        assert found.agrees_with(exponent)
        assert not found.agrees_with(exponent + 1) and not found.agrees_with(exponent - 1)


def test_the_interval_and_the_factor_are_those_of_the_logarithms() -> None:
    sizes, seconds = law(1.0, 30, 7)
    found, logs = growth(sizes, seconds), ([math.log(each) for each in seconds], [math.log(each) for each in sizes])
    truth = theilslopes(*logs, alpha=0.95)
    assert found is not None
    assert (found.exponent, found.low, found.high) == pytest.approx((truth.slope, truth.low_slope, truth.high_slope))
    assert found.factor == pytest.approx(0.01, rel=0.3)
    assert (found.runs, found.size_ratio) == (30, pytest.approx(max(sizes) / min(sizes)))


def test_growth_needs_eight_runs_and_sizes_from_one_to_four() -> None:
    sizes = [100.0, 120, 150, 200, 250, 300, 350, 400]
    assert growth(sizes, sizes) is not None
    assert growth(sizes[:-1], sizes[:-1]) is None
    assert growth([*sizes[:-1], 399.0], sizes) is None
    assert growth([*sizes, 0.0], [*sizes, 5.0]) == growth(sizes, sizes), "what has no logarithm is left out"
    assert growth([0.0] * 9, [1.0] * 9) is None


def test_a_trend_is_per_cent_of_the_median_per_ten_runs() -> None:
    rising = [100.0 + number for number in range(21)]  # 10 more per ten runs, of a median of 110
    assert trend(rising) == pytest.approx(100 * 10 / 110)
    assert trend([*rising[:10], 1e6, *rising[11:]]) == pytest.approx(100 * 10 / 110, rel=0.05), "one outlier"
    assert trend([5.0] * 30) == 0
    assert trend([1.0] * 7) is None
    assert trend([0.0] * 20) is None


def test_a_shift_is_the_ratio_of_medians_and_mann_whitneys_p() -> None:
    earlier, latest = [1.0, 1.1, 0.9, 1.05, 0.95, 1.2], [1.5, 1.4, 1.6, 1.45, 1.1]
    found = shift(earlier, latest)
    assert found is not None
    assert found.ratio == pytest.approx(1.45 / statistics.median(earlier))
    assert found.p == pytest.approx(mannwhitneyu(earlier, latest, alternative="two-sided").pvalue)
    assert shift(earlier, latest[:4]) is None
    assert shift([0.0] * 6, latest) is None


# --- what is usual -------------------------------------------------------------------------------------


def test_a_line_finds_a_fixed_part_among_outliers() -> None:
    draw = random.Random(3)
    sizes = [draw.uniform(20, 600) for _ in range(30)]
    line = usual_line([3.0 + 0.2 * size * noisy(draw, 0.03, 0.1) for size in sizes], sizes, proportional=True)
    assert line.fixed == pytest.approx(3.0, abs=1.5)
    assert line.at(300.0) == pytest.approx(63.0, rel=0.05)


def test_a_line_is_never_negative() -> None:
    sizes = [float(size) for size in range(10, 30)]
    assert usual_line([100 - size for size in sizes], sizes, proportional=True).per_unit == 0
    steep = usual_line([size**3 for size in sizes], sizes, proportional=True)
    assert steep.fixed == 0 and steep.per_unit > 0


def test_with_few_or_like_sizes_the_declaration_decides() -> None:
    """Between 100 and 150 no fixed part can be told: per unit if declared, constant if not, and not far beyond."""
    sizes, values = [100.0, 120.0, 150.0], [10.0, 12.0, 15.0]
    declared, unknown = usual_line(values, sizes, proportional=True), usual_line(values, sizes, proportional=False)
    assert (declared.at(200.0), unknown.at(200.0)) == (pytest.approx(20.0), 12.0)
    assert declared.covers(200.0) and not declared.covers(400.0)
    assert unknown.covers(130.0) and not unknown.covers(200.0)


def test_a_line_that_does_not_rise_is_trusted_for_sizes_like_those_seen() -> None:
    """Noise hid the growth between 10 and 20: that nothing grows up to 60 does not follow."""
    sizes = [float(size) for size in range(10, 21)]
    flat = usual_line([3.0, 2.0] * 5 + [2.0], sizes, proportional=True)
    assert flat.per_unit == 0 and flat.covers(12.0) and flat.covers(22.0)
    assert not flat.covers(60.0) and not flat.covers(4.0)


def test_unknown_sizes_are_left_out() -> None:
    line = usual_line([1.0, 2.0, 3.0], [1.0, None, 3.0], proportional=True)
    assert (line.at(None), line.at(100.0)) == (2.0, 2.0)
    assert line.covers(None) and line.covers(1e9)


# --- many tests ----------------------------------------------------------------------------------------


def test_holms_correction_is_that_of_his_method() -> None:
    """The smallest by all tests, the next by one less, and none below a smaller one's; worked out by hand."""
    assert holm([0.01, 0.04, 0.03, 0.005], 4) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.005], 10) == pytest.approx([0.09, 0.05]), "eight tests more, that found nothing"
    assert holm([0.4, 0.9], 3) == [1.0, 1.0]
    assert holm([], 7) == []


def test_holms_correction_keeps_its_promise() -> None:
    """Of ten true hypotheses one is refused in a hundredth of all families, and not in a tenth."""
    draw = random.Random(4)
    families = [[draw.random() for _ in range(10)] for _ in range(4000)]
    assert 0.005 < sum(min(holm(each, 10)) < 0.01 for each in families) / 4000 < 0.015


# --- rises ---------------------------------------------------------------------------------------------


def stepped(seed: int, before: int, after: int, times: float, outliers: float = 0.05) -> list[float]:
    draw = random.Random(seed)
    return [noisy(draw, outliers=outliers) * (times if number >= before else 1.0) for number in range(before + after)]


def found_at(values: list[float]) -> int | None:
    found = rise(values, [None] * len(values), proportional=False)
    return found.at if found else None


@pytest.mark.parametrize(("before", "after"), [(30, 5), (30, 12), (12, 8), (30, 30)])
def test_a_planted_rise_is_found_near_its_place(before: int, after: int) -> None:
    places = [found_at(stepped(seed, before, after, 1.4)) for seed in range(60)]
    found = [place for place in places if place is not None]
    assert len(found) >= 40
    assert statistics.median(abs(place - before) for place in found) <= 1


@pytest.mark.parametrize("outliers", [0.0, 0.1])
@pytest.mark.parametrize("count", [10, 15, 35, 80])
def test_noise_rises_in_less_than_one_of_a_hundred(count: int, outliers: float) -> None:
    assert sum(found_at(stepped(seed, count, 0, 1.0, outliers)) is not None for seed in range(300)) < 3


def test_strong_noise_rises_as_rarely_as_the_p_value_promises() -> None:
    """At 50 % the medians differ by a quarter often enough; of the p-value below 0.01, half is for falls."""
    draw = random.Random(9)
    loud = [[noisy(draw, 0.5) for _ in range(60)] for _ in range(1500)]
    assert sum(found_at(values) is not None for values in loud) <= 0.006 * 1500


def test_what_a_rise_says_is_what_was_planted() -> None:
    found = rise(stepped(1, 30, 10, 1.5, 0.0), [None] * 40, proportional=False)
    assert found is not None
    assert (found.at, found.earlier) == (30, 30)
    assert (found.before, found.after, found.ratio) == pytest.approx((1.0, 1.5, 1.5), rel=0.1)
    assert found.p < 0.001
    assert found_at(stepped(1, 30, 10, 1.15, 0.0)) is None, "a rise by 15 % is none"
    assert found_at(stepped(1, 30, 10, 0.5, 0.0)) is None, "nor is a fall"


def test_it_needs_five_values_on_either_side() -> None:
    few = [1.0] * (LATEST - 1)
    assert found_at(few + [2.0] * 20) is None
    assert found_at([1.0] * 20 + [2.0] * 2) is None
    assert found_at([1.0] * 20 + [2.0] * (LATEST - 1)) == 20 - 1, "four of five are enough for a median"
    assert found_at([]) is None


def test_larger_sizes_are_no_rise_and_a_rise_is_seen_through_smaller_ones() -> None:
    draw = random.Random(2)
    sizes: list[float | None] = [draw.uniform(50, 200) for _ in range(30)]
    larger: list[float | None] = [draw.uniform(200, 400) for _ in range(10)]
    smaller: list[float | None] = [draw.uniform(20, 60) for _ in range(10)]

    def values(sizes: list[float | None], times: float) -> list[float]:
        return [times * (2.0 + 0.2 * size) * noisy(draw) for size in sizes if size]

    for proportional in (True, False):
        assert rise(values(sizes + larger, 1.0), sizes + larger, proportional=proportional) is None
        hidden = values(sizes, 1.0) + values(smaller, 1.5)
        assert statistics.median(hidden[30:]) < statistics.median(hidden[:30])
        found = rise(hidden, sizes + smaller, proportional=proportional)
        assert found is not None
        assert found.ratio == pytest.approx(1.5, rel=0.2)


def test_sizes_that_no_earlier_value_had_are_left_out_one_by_one() -> None:
    """Most of the latest are far larger, and nothing follows from them; the six among them that are not have risen."""
    draw = random.Random(3)
    sizes: list[float | None] = [draw.uniform(100, 120) for _ in range(30)]
    latest: list[float | None] = [110.0] * 6 + [5000.0] * 14

    def risen(times: float, law: float) -> bool:
        later = [0.2 * times * 110.0 * noisy(draw) for _ in range(6)] + [0.2 * law * 5000.0 * noisy(draw)] * 14
        values = [0.2 * size * noisy(draw) for size in sizes if size] + later
        return rise(values, sizes + latest, proportional=True) is not None

    assert risen(1.6, 1.0) and not risen(1.0, 3.0)


def test_who_calls_has_the_last_word() -> None:
    values = stepped(1, 30, 10, 1.5, 0.0)
    asked: list[tuple[slice, slice]] = []

    def refuse(earlier: slice, latest: slice) -> bool:
        asked.append((earlier, latest))
        return False

    assert rise(values, [None] * 40, proportional=False, accepts=refuse) is None
    assert (slice(0, 30), slice(30, 40)) in asked
