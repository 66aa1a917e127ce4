"""voicekit.edits: lists of kept spans, checked sample by sample against plain index arithmetic."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from voicekit.audio import Audio
from voicekit.edits import (
    Edits,
    Kept,
    apply,
    compose,
    on_grid,
    regions_in_result,
    to_result_time,
    to_source_time,
    total_s,
    whole,
)

RATES = [8_000, 22_050, 24_000, 44_100, 48_000]


def counting(total: int, rate: int) -> Audio:
    """Every sample's value is its own index: what was kept can be read off (exact in float32 up to 2**24)."""
    return Audio(np.arange(total, dtype=np.float32), rate)


def places(audio: Audio, edits: Edits) -> NDArray[np.int64]:
    """Which source samples the result is made of."""
    return apply(audio, edits, fade_s=0.0).samples.astype(np.int64)


def random_edits(rng: np.random.Generator, duration_s: float, rate: int | None, shuffled: bool = False) -> Edits:
    """Some spans without overlap, some of them touching; on the grid of a rate, or (None) anywhere."""
    bounds = np.sort(rng.uniform(0, duration_s, 12))
    bounds[2] = bounds[1]
    spans = [Kept(float(start), float(end)) for start, end in bounds.reshape(-1, 2)]
    if shuffled:
        rng.shuffle(spans)  # type: ignore[arg-type]
    return tuple(spans) if rate is None else on_grid(tuple(spans), rate)


# --- applying ------------------------------------------------------------------------------------


def test_keeping_all_gives_the_same_audio() -> None:
    audio = counting(1000, 8_000)
    for edits in (whole(0.125), (Kept(0.0, 0.05), Kept(0.05, 0.125)), (Kept(-1.0, 9.0),)):
        assert apply(audio, edits) is audio
    empty = Audio(np.zeros(0, np.float32), 8_000)
    assert apply(empty, whole(0.0)) is empty and apply(empty, ()) is empty


def test_spans_follow_each_other_in_the_order_of_the_list() -> None:
    audio = counting(1000, 1000)
    kept = places(audio, (Kept(0.6, 0.7), Kept(0.1, 0.2)))
    assert kept.tolist() == [*range(600, 700), *range(100, 200)]
    assert len(apply(audio, ()).samples) == 0
    assert places(audio, (Kept(0.9, 2.0), Kept(0.5, 0.5), Kept(3.0, 4.0))).tolist() == list(range(900, 1000))


def test_fades_stand_at_cuts_only() -> None:
    audio = Audio(np.ones(10_000, np.float32), 10_000)
    faded = apply(audio, (Kept(0.0, 0.2), Kept(0.2, 0.3), Kept(0.5, 0.7), Kept(0.9, 1.0)), fade_s=0.01).samples
    assert len(faded) == 6000, "without overlap: as long as the spans"
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(100) / 100)
    expected = np.ones(6000)
    for cut in (3000, 5000):
        expected[cut - 100 : cut], expected[cut : cut + 100] = rise[::-1], rise
    np.testing.assert_allclose(faded, expected, atol=1e-6)


def test_the_ends_of_a_source_fade_where_they_move_and_a_tiny_span_does_too() -> None:
    audio = Audio(np.ones(1000, np.float32), 1000)
    moved = apply(audio, (Kept(0.5, 1.0), Kept(0.0, 0.5)), fade_s=0.01).samples
    assert moved[[0, 499, 500, 999]].tolist() == [0, 0, 0, 0], "both its ends are cuts now"
    one_end = apply(audio, (Kept(0.0, 0.5),), fade_s=0.01).samples
    assert one_end[0] == 1 and one_end[-1] == 0
    assert apply(audio, (Kept(0.1, 0.103),), fade_s=0.01).samples.tolist() == [0, 1, 0]
    assert audio.samples.min() == 1, "the source is left alone"


# --- seconds and samples -------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seed", range(3))
def test_a_source_split_anywhere_is_whole_again(rate: int, seed: int) -> None:
    """Bounds between samples move together: nothing is doubled, nothing is lost, nothing fades."""
    audio = counting(3 * rate, rate)
    bounds = [0.0, *np.sort(np.random.default_rng(seed).uniform(0, 3, 40)).tolist(), 3.0]
    edits = tuple(Kept(start, end) for start, end in pairwise(bounds))
    assert apply(audio, edits) is audio


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("made_at", [*RATES, None])
def test_on_a_grid_the_length_is_the_sum_of_the_spans(rate: int, made_at: int | None) -> None:
    audio, rng = counting(2 * rate, rate), np.random.default_rng(rate)
    edits = random_edits(rng, 2.0, made_at)
    ours = on_grid(edits, rate)
    np.testing.assert_array_equal(places(audio, edits), places(audio, ours))
    assert round(total_s(ours) * rate) == len(places(audio, ours))
    assert total_s(ours) * rate == pytest.approx(len(places(audio, ours)), abs=1e-6)
    assert on_grid(ours, rate) == ours
    for before, after in zip(edits, ours, strict=True):
        assert abs(before.start_s - after.start_s) <= 0.5001 / rate
        assert abs(before.end_s - after.end_s) <= 0.5001 / rate


def test_an_edit_list_made_at_44100_is_used_at_24000() -> None:
    made = on_grid((Kept(0.1, 0.2), Kept(0.3, 0.4)), 44_100)
    assert made == (Kept(4410 / 44_100, 8820 / 44_100), Kept(13_230 / 44_100, 17_640 / 44_100))
    odd = (Kept(1 / 44_100, 3 / 44_100), Kept(3 / 44_100, 5 / 44_100))  # 0.54 to 1.63 to 2.72 samples
    assert places(counting(100, 24_000), odd).tolist() == [1, 2]
    assert on_grid((Kept(1.1 / 24_000, 1.4 / 24_000),), 24_000) == ()


# --- composing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_two_steps_are_one(seed: int) -> None:
    rng, rate = np.random.default_rng(seed), RATES[seed % len(RATES)]
    audio = counting(2 * rate, rate)
    first = random_edits(rng, 2.0, rate, shuffled=seed % 2 == 1)
    between = apply(audio, first, fade_s=0.0)
    then = random_edits(rng, between.duration_s, rate, shuffled=seed % 3 == 1)
    expected = between.samples[places(counting(len(between.samples), rate), then)]
    both = compose(first, then)
    np.testing.assert_array_equal(places(audio, both), expected.astype(np.int64))
    assert total_s(both) == pytest.approx(total_s(then), abs=1e-9)


def test_composing_splits_and_joins() -> None:
    first = (Kept(1.0, 2.0), Kept(3.0, 5.0))
    assert compose(first, whole(3.0)) == first
    assert compose(whole(9.0), first) == first
    assert compose(first, (Kept(0.5, 1.5),)) == (Kept(1.5, 2.0), Kept(3.0, 3.5))
    assert compose(first, (Kept(1.0, 2.0), Kept(2.0, 2.5))) == (Kept(3.0, 4.5),)
    assert compose(first, (Kept(2.0, 3.0), Kept(0.0, 2.0))) == (Kept(4.0, 5.0), Kept(1.0, 2.0), Kept(3.0, 4.0))
    assert compose(first, ()) == () and compose((), first) == ()


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_each_sample_knows_where_it_came_from_and_went(seed: int) -> None:
    rng, rate = np.random.default_rng(seed), RATES[seed % len(RATES)]
    audio = counting(rate, rate)
    edits = random_edits(rng, 1.0, rate, shuffled=seed % 2 == 1)
    kept = places(audio, edits)
    gone = np.setdiff1d(np.arange(rate), kept)
    for at in rng.choice(len(kept), 200):
        source_s, result_s = float(kept[at] / rate), float(at / rate)
        assert to_source_time(edits, result_s) == pytest.approx(source_s, abs=1e-9)
        assert to_result_time(edits, source_s) == pytest.approx(result_s, abs=1e-9)
    for at in rng.choice(gone, 200):  # the sample after a span's last one is its end: that moment is kept
        assert at - 1 in kept or to_result_time(edits, float(at / rate)) is None


def test_the_ends_of_spans_have_a_place() -> None:
    edits = (Kept(1.0, 2.0), Kept(3.0, 5.0))
    assert [to_result_time(edits, at) for at in (0.9, 1.0, 2.0, 2.5, 3.0, 5.0, 5.1)] == [None, 0, 1, None, 1, 3, None]
    assert [to_source_time(edits, at) for at in (-0.1, 0.0, 1.0, 3.0, 3.1)] == [None, 1, 3, 5, None]
    swapped = (Kept(3.0, 5.0), Kept(1.0, 3.0))
    assert to_result_time(swapped, 3.0) == 0.0, "the end of the second span is the start of the first: it goes on"


def test_regions_move_with_their_spans() -> None:
    speech = [(0.5, 1.5), (1.8, 4.0), (6.0, 7.0)]
    edits = (Kept(3.0, 5.0), Kept(1.0, 2.0))
    moved = regions_in_result(edits, speech)
    np.testing.assert_allclose(moved, [(0.0, 1.0), (2.0, 2.5), (2.8, 3.0)])
    assert regions_in_result(whole(8.0), speech) == speech
    assert regions_in_result(edits, []) == []
