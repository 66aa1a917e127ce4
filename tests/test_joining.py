"""voicekit.joining: where pieces lie, the silence between them, and ends that do not click."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from voicekit.audio import Audio
from voicekit.joining import FADE_S, Joiner, Placed, fade_ends

RATE = 24_000
FADE = round(FADE_S * RATE)


def piece(seconds: float, level: float = 0.5, rate: int = RATE) -> Audio:
    """The worst case for a click: a constant level from the first sample to the last."""
    return Audio(np.full(round(seconds * rate), level, dtype=np.float32), rate)


def join(pieces: Sequence[Audio], gaps_s: Sequence[float]) -> tuple[Audio, list[Placed]]:
    """A whole recording of what a joiner gives out."""
    joiner = Joiner(pieces[0].sample_rate)
    laid = [joiner.lay(piece, gap_s) for piece, gap_s in zip(pieces, gaps_s, strict=True)]
    return Audio(np.concatenate([samples for samples, _ in laid]), joiner.sample_rate), [place for _, place in laid]


def loud_spans(samples: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Where the sound is, read off the samples: [first, one behind the last) of each run that is not zero."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], samples != 0, [0]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


@pytest.mark.parametrize("rate", [22_050, RATE, 48_000])
def test_pieces_lie_where_it_says_with_the_gaps_between(rate: int) -> None:
    audio, placed = join([piece(0.5, rate=rate), piece(0.25, rate=rate), piece(1.0, rate=rate)], [0.2, 0.05, 0.0])
    assert audio.sample_rate == rate
    heard = loud_spans(audio.samples)
    assert [(round(place.start_s * rate), round(place.end_s * rate)) for place in placed] == heard
    lengths = [last - first for first, last in heard]
    assert lengths == [round(0.5 * rate), round(0.25 * rate), rate]
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(heard)]
    assert gaps == [round(0.2 * rate), round(0.05 * rate)]
    assert heard[0][0] == 0 and heard[-1][1] == audio.samples.size


def test_the_middle_of_a_piece_is_untouched() -> None:
    noise = np.random.default_rng(3).uniform(-1, 1, 9_001).astype(np.float32)
    audio, placed = join([piece(0.1), Audio(noise, RATE)], [0.3, 0.0])
    start = round(placed[1].start_s * RATE)
    assert np.array_equal(audio.samples[start + FADE : -FADE], noise[FADE:-FADE])
    assert not np.array_equal(audio.samples[start : start + FADE], noise[:FADE])
    assert not np.array_equal(audio.samples[-FADE:], noise[-FADE:])


def test_no_end_clicks() -> None:
    level = 0.9
    audio, placed = join([piece(0.1, level), piece(0.1, -level), piece(0.1, level)], [0.0, 0.1, 0.0])
    unfaded = np.concatenate([piece(0.1, level).samples, piece(0.1, -level).samples])
    assert np.abs(np.diff(unfaded)).max() == pytest.approx(2 * level)  # the control: a join as it comes clicks
    for place in placed:
        ends = audio.samples[[round(place.start_s * RATE), round(place.end_s * RATE) - 1]]
        assert np.abs(ends).max() < 0.001 * level
    # A raised cosine of n samples rises by at most pi / 2n of the level from one sample to the next.
    framed = np.concatenate([[0], audio.samples, [0]])
    assert np.abs(np.diff(framed)).max() <= level * np.pi / (2 * FADE) * 1.001


def test_the_fade_is_monotonous_and_symmetric() -> None:
    faded = fade_ends(np.ones(1_000, dtype=np.float32), 100)
    assert np.all(np.diff(faded[:100]) > 0)
    assert np.allclose(faded, faded[::-1], atol=1e-7)
    assert faded[99] > 0.999 and faded[50] == pytest.approx(0.5, abs=0.02)


def test_one_piece_keeps_its_length_and_has_no_gap() -> None:
    audio, placed = join([piece(0.4)], [5.0])
    assert audio.duration_s == pytest.approx(0.4)
    assert placed == [Placed(0.0, 0.4)]


@pytest.mark.parametrize("samples", [0, 1, 2, 3, FADE, 2 * FADE - 1, 2 * FADE, 2 * FADE + 1])
def test_a_piece_shorter_than_its_fades_is_faded_as_far_as_it_goes(samples: int) -> None:
    short = Audio(np.full(samples, 0.5, dtype=np.float32), RATE)
    audio, placed = join([piece(0.1), short, piece(0.1)], [0.0, 0.0, 0.0])
    assert audio.samples.size == 2 * round(0.1 * RATE) + samples
    assert round((placed[1].end_s - placed[1].start_s) * RATE) == samples
    inside = audio.samples[round(placed[1].start_s * RATE) : round(placed[1].end_s * RATE)]
    assert np.all(np.abs(inside) <= 0.5)
    if samples > 3:
        assert abs(inside[0]) < 0.01 and abs(inside[-1]) < 0.01
    assert placed[2].end_s == audio.duration_s


def test_what_was_given_is_not_changed() -> None:
    given = [piece(0.1), piece(0.2)]
    before = [each.samples.copy() for each in given]
    join(given, [0.1, 0.1])
    assert all(np.array_equal(each.samples, copy) for each, copy in zip(given, before, strict=True))


def test_many_pieces_do_not_drift() -> None:
    """Gaps that are no whole number of samples are rounded once each; the places stay those of the samples."""
    pieces = [piece(0.0371, 0.5) for _ in range(200)]
    audio, placed = join(pieces, [0.01001] * 200)
    assert [(round(p.start_s * RATE), round(p.end_s * RATE)) for p in placed] == loud_spans(audio.samples)
    assert audio.duration_s == pytest.approx(200 * 0.0371 + 199 * 0.01001, abs=200 * 1 / RATE)
    assert audio.samples.dtype == np.float32


def test_a_segment_begins_at_its_time_or_after_the_one_before() -> None:
    joiner = Joiner(RATE, lead_s=0.5)
    _, first = joiner.lay(piece(1.0), 0.25)
    _, in_time = joiner.lay(piece(1.0), 0.25, not_before_s=4.0)
    _, late = joiner.lay(piece(1.0), 0.25, not_before_s=4.5)
    assert first == Placed(0.5, 1.5)
    assert in_time == Placed(4.0, 5.0)
    assert late == Placed(5.25, 6.25)


def test_the_silence_at_the_end_counts_from_the_last_segment() -> None:
    joiner = Joiner(RATE)
    joiner.lay(piece(1.0), 0.6)
    silence = joiner.end(2.0)
    assert silence.size == 2 * RATE and not silence.any() and silence.dtype == np.float32
    assert joiner.end(0.0).size == 0
