"""voicekit.take_ends: what goes is silence and a little babble; every sample of speech stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from tests import spoken_faults as spoken
from tests.spoken_faults import RATE_HZ, TEXT
from tests.voices import talking
from voicekit.audio import Audio
from voicekit.take_ends import END_MARGIN_S, MAX_BABBLE_S, START_MARGIN_S, Trimmed, trim_ends
from voicekit.takes import Take, babble_start


def trimmed(take: Take, *, greedy: bool = False) -> Trimmed:
    return trim_ends(take, greedy=greedy, babble_from_s=babble_start(take, TEXT, "en", 1.0))


def between(take: Take, result: Trimmed) -> np.ndarray:
    """The samples that should be left, by the seconds that the result tells."""
    start, end = round(result.start_s * RATE_HZ), round(result.end_s * RATE_HZ)
    return take.audio.samples[start : take.audio.samples.size - end]


def word() -> np.ndarray:
    """Half a second of sound, loud from its first sample to its last."""
    return (0.2 * np.random.default_rng(5).uniform(-1, 1, RATE_HZ // 2)).astype(np.float32)


@pytest.mark.parametrize("greedy", [False, True])
def test_silence_goes_down_to_a_margin(greedy: bool) -> None:
    take = spoken.take(np.concatenate([spoken.silence(1.0), word(), spoken.silence(2.0)]))
    result = trimmed(take, greedy=greedy)
    assert result.start_s == pytest.approx(1.0 - START_MARGIN_S, abs=0.011)
    assert result.end_s == pytest.approx(2.0 - END_MARGIN_S, abs=0.011)
    assert np.array_equal(result.audio.samples, between(take, result))
    assert result.audio.samples.size >= word().size + (START_MARGIN_S + END_MARGIN_S - 0.03) * RATE_HZ
    assert result.reason is not None and "silence" in result.reason


def test_digital_silence_goes_too() -> None:
    take = spoken.take(np.concatenate([np.zeros(RATE_HZ), word(), np.zeros(RATE_HZ)]).astype(np.float32))
    assert trimmed(take).audio.duration_s == pytest.approx(0.5 + START_MARGIN_S + END_MARGIN_S, abs=0.021)


def test_a_soft_end_stays() -> None:
    soft = word() * np.float32(10 ** (-34 / 20))  # a final f, by its level
    take = spoken.take(np.concatenate([word(), soft, np.zeros(RATE_HZ, dtype=np.float32)]))
    assert trimmed(take).audio.duration_s == pytest.approx(1.0 + END_MARGIN_S, abs=0.021)


@pytest.mark.parametrize("seed", range(4))
def test_a_short_babble_goes_whole_but_not_under_greedy(seed: int) -> None:
    take = spoken.babbling(seed=seed, seconds=0.2, after_s=0.5)
    text_s = spoken.good(seed=seed).audio.duration_s
    result = trimmed(take)
    assert result.reason is not None and "babble" in result.reason
    assert take.audio.duration_s - result.end_s == pytest.approx(text_s, abs=0.1)
    assert trimmed(take, greedy=True).end_s == 0.0


@pytest.mark.parametrize("seconds", [0.2, 0.4, 1.5, 4.0])
def test_never_more_than_the_bound_beyond_silence(seconds: float) -> None:
    take = spoken.babbling(seconds=seconds)
    gone = take.audio.samples[take.audio.samples.size - round(trimmed(take).end_s * RATE_HZ) :]
    loud = np.abs(gone) > 0.2 * 10 ** (-40 / 20)
    assert np.count_nonzero(loud) / RATE_HZ <= MAX_BABBLE_S


def test_a_long_babble_stays_whole() -> None:
    take = spoken.babbling(seconds=1.5)
    assert trimmed(take).end_s == 0.0


def test_babble_is_only_where_it_was_found() -> None:
    take = spoken.babbling(seconds=0.2)
    assert trim_ends(take, greedy=False).end_s == 0.0


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0), np.zeros(1), np.full(3, 0.5), np.zeros(RATE_HZ), np.full(RATE_HZ, 1e-6), np.ones(RATE_HZ)],
)
def test_what_has_no_ends_stays_whole(samples: np.ndarray) -> None:
    take = spoken.take(samples.astype(np.float32))
    result = trim_ends(take, greedy=False, babble_from_s=0.0)
    assert np.array_equal(result.audio.samples, take.audio.samples)
    assert (result.start_s, result.end_s, result.reason) == (0.0, 0.0, None)


def test_a_take_that_nobody_can_hear_stays_whole() -> None:
    samples = np.zeros(2 * RATE_HZ, dtype=np.float32)
    samples[RATE_HZ : RATE_HZ + 12_000] = 1e-4 * np.random.default_rng(1).standard_normal(12_000)
    assert trim_ends(spoken.take(samples), greedy=False).audio.samples.size == samples.size


@pytest.mark.parametrize("seed", range(5))
def test_noise_keeps_every_sample(seed: int) -> None:
    take = spoken.noise(seed=seed)
    assert np.array_equal(trimmed(take).audio.samples, take.audio.samples)


def test_a_take_that_is_babble_from_its_start_is_not_emptied() -> None:
    take = spoken.take(word()[: RATE_HZ // 5])
    assert trim_ends(take, greedy=False, babble_from_s=0.0).audio.samples.size == RATE_HZ // 5


def test_speech_between_the_ends_is_the_same_bytes() -> None:
    take = spoken.take(talking(4.0, RATE_HZ).samples)
    result = trim_ends(take, greedy=False)
    assert np.array_equal(result.audio.samples, between(take, result))
    again = trim_ends(Take(result.audio, take.codes, True), greedy=False)
    assert again.start_s == again.end_s == 0.0


def test_another_rate() -> None:
    samples = np.concatenate([np.zeros(48_000), np.ones(48_000), np.zeros(48_000)]).astype(np.float32)
    result = trim_ends(Take(Audio(samples, 48_000), np.zeros(1, dtype=np.int64), True), greedy=True)
    assert result.audio.duration_s == pytest.approx(1.0 + START_MARGIN_S + END_MARGIN_S, abs=0.021)
