"""Recording or Audio -> what is wrong with it: clipping, an offset, hum, a narrow band, channels out of phase.

Every function measures one thing and changes nothing. ``speech`` is where somebody speaks, as ``(start, end)`` in
seconds, ascending, and may be empty. Reverberation has a module of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio, Recording, Samples
from voicekit.complexity import complexity

Floats = NDArray[np.float64]

LSB = 1 / 32768  # one step of 16 bits


# --- clipping ------------------------------------------------------------------------------------

NEAR_SHARE, NEAR_STEPS = 0.05, 5  # the zone under the extreme that natural peaks fill: 5 % of it, 5 steps at least
FEWEST_STEPS = 20  # an extreme of fewer quantisation steps is flat by nature
BLOCK = 512  # samples


@dataclass(frozen=True)
class Clipping:
    """Which samples are clipped: those ``<= low`` and those ``>= high``, levels in sample units (full scale 1.0).

    ``ratio``: their share of all samples, 0 to 1. A level is None where that polarity is not clipped.
    """

    ratio: float
    low: float | None
    high: float | None


def clipped_ratio(samples: Samples) -> float:
    """Share of clipped samples, 0 to 1, of ``[n]``, or of the worst channel of ``[channels, n]``."""
    return max((clipping(channel).ratio for channel in np.atleast_2d(samples)), default=0.0)


@complexity(size="samples", time="O(n)", space="O(n)")
def clipping(samples: Samples) -> Clipping:
    """Finds flat tops at any level, each polarity by itself, so turning down or an offset hides nothing.

    Two kinds of evidence, see :func:`_flat_level` (tops still equal) and :func:`_piled_level` (severe clipping whose
    tops were rippled by resampling or MP3). Natural peaks, tones and quiet 16-bit or 8-bit files, whose neighbours
    are often equal, have neither.
    """
    if not len(samples):
        return Clipping(0.0, None, None)
    high, depth = _clip_level(samples), _clip_level(-samples)
    low = None if depth is None else -depth
    over = 0.0 if high is None else float(np.mean(samples >= high))
    under = 0.0 if low is None else float(np.mean(samples <= low))
    return Clipping(over + under, low, high)


def _clip_level(samples: Samples) -> float | None:
    """The level from which on positive samples are clipped, or None."""
    peak = float(samples.max())
    step = _step(samples, peak)
    if peak < FEWEST_STEPS * step:
        return None
    flat = _flat_level(samples, peak, step)
    return _piled_level(samples, peak, step) if flat is None else flat


def _step(samples: Samples, peak: float) -> float:
    """The quantisation step, 16 bits at the finest: the least distance of the first samples over half the peak."""
    values = np.unique(samples[samples > peak / 2][:10_000])
    return max(LSB, float(np.diff(values).min(initial=peak)))


def _flat_level(samples: Samples, peak: float, step: float) -> float | None:
    """The clip level where tops are still equal (within two steps of 16 bits).

    Many samples at the very extreme, few just under it: in natural sound it is the other way round. Besides, either
    two tops of three samples or more end in corners on both sides (a natural top is a parabola: as far outside as
    it is wide, it has fallen by eight times the fall inside); or, for tops of one or two samples, there are ten
    such samples and loud blocks that stay under the level (a tone, whose samples can repeat exactly, has none).
    """
    level = peak - min(2.01 * LSB, 0.005 * peak)
    top = np.flatnonzero(samples >= level)
    if len(top) < 6:
        return None
    near = int(np.count_nonzero(samples >= peak - max(NEAR_SHARE * peak, NEAR_STEPS * step))) - len(top)
    if len(top) < near / 2:
        return None
    cornered = _cornered(samples, top, max(0.05 * peak, 12 * step))
    if len(cornered) >= 2 and cornered.sum() >= 6:
        return level
    return level if len(top) >= max(10, 2 * near) and _unreached(samples, level) >= 0.3 else None


def _cornered(samples: Samples, top: NDArray[np.intp], fall: float) -> NDArray[np.intp]:
    """Lengths of the runs of three or more among ``top`` after and before which the samples fall by ``fall``.

    They have to fall that far within the run's own length.
    """
    firsts, lengths = _runs(top)
    starts = top[firsts]
    before = samples[np.maximum(starts - lengths, 0)]
    after = samples[np.minimum(starts + 2 * lengths - 1, len(samples) - 1)]
    cornered: NDArray[np.intp] = lengths[(lengths >= 3) & (np.maximum(before, after) < samples[starts] - fall)]
    return cornered


def _unreached(samples: Samples, level: float) -> float:
    """Of the blocks whose peak is over a fifth of ``level``, the share that stays 5 % under it."""
    count = max(1, len(samples) // BLOCK)
    peaks = samples[: count * BLOCK].reshape(count, -1).max(axis=1)
    loud = peaks[peaks >= 0.2 * level]
    return float(np.mean(loud < 0.95 * level)) if len(loud) else 0.0


def _piled_level(samples: Samples, peak: float, step: float) -> float | None:
    """The clip level, less a tenth, for tops that are no longer equal but still pile up around one level.

    Within 10 % of that level there are 1.6 times as many samples as in the 20 % below (natural peaks thin out
    upwards), hardly any over it, and where the samples rise over 0.6 of it they stay near it for 64 % of the
    time or more (a sine: 60 to 73 %, speech: 50 %; so 76 % where all loud blocks reach the level, as a tone's do).
    Needs 80 such tops, so that no single vowel is enough.
    """
    if peak < 5 * FEWEST_STEPS * step:
        return None
    some = samples[:: len(samples) // 500_000 + 1]
    bins = (np.maximum(some, 0) * np.float32(200 / peak)).astype(np.intp)
    at_least = np.cumsum(np.bincount(bins, minlength=400)[::-1])[::-1]  # [k]: samples >= k/200 of the peak
    grid = np.arange(60, 201)
    over_70, over_90, over_110, over_115 = (
        at_least[np.rint(grid * share).astype(int)] for share in (0.7, 0.9, 1.1, 1.15)
    )
    enough = (over_90 >= 30) & (over_115 <= 0.1 * over_90)
    piled = np.where(enough, (over_90 - over_110) / np.maximum(over_70 - over_90, 1), 0)
    best = int(np.argmax(piled))
    centre = float(grid[best]) / 200 * peak
    if piled[best] < 1.6:
        return None
    risen = np.flatnonzero(samples >= 0.6 * centre)
    firsts, lengths = _runs(risen)
    inside = np.add.reduceat(samples[risen] >= 0.9 * centre, firsts, dtype=np.intp)
    tops = (inside > 0) & (lengths >= 3)
    least = 0.64 if _unreached(samples, 0.9 * centre) >= 0.2 else 0.76
    square = inside[tops].sum() >= least * lengths[tops].sum()
    return 0.9 * centre if square and np.count_nonzero(tops) >= 80 else None


def _runs(places: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Runs of consecutive numbers in ascending ``places``: at which index each begins, and its length."""
    firsts = np.append(0, np.flatnonzero(np.diff(places) > 1) + 1)
    return firsts, np.diff(np.append(firsts, len(places)))


# --- offset --------------------------------------------------------------------------------------


def dc_offset(samples: Samples) -> float:
    """Mean as a signed share of full scale, of ``[n]``, or of the channel of ``[channels, n]`` where it is largest."""
    if not samples.size:
        return 0.0
    means = np.atleast_2d(samples).mean(axis=1, dtype=np.float64)
    return float(means[np.argmax(np.abs(means))])


# --- mains hum -----------------------------------------------------------------------------------

MAINS_HZ = (50.0, 60.0)
MAINS_DRIFT_HZ = 0.25  # grids stay within 0.2 Hz
HIGHEST_LINE_HZ = 1_000.0
BESIDE_HZ = (4.0, 18.0)  # distance from a line at which the noise beside it is read
LINE_DB = 12.0  # height over the noise beside it, in windows of 8 s, of one of the first three lines
OTHER_LINE_DB = 8.0  # the same of its harmonics
QUIET_UNDER_SPEECH_DB = 35.0  # speech of 65 dB SPL has 30 dB(A) under it: a quiet room
INAUDIBLE_DBFS = -75.0


@dataclass(frozen=True)
class Hum:
    """Mains hum: how far it can be heard beside the voice, its level, and its lines.

    ``level_db``: A-weighted power of the lines over 35 dB under the speech, which is the level of a quiet room: a line
    at 50 Hz may be 30 dB stronger than one at 1 kHz for the same reading. 0 where there is no hum or it stays under
    that; None where it cannot be told (digital silence, under half a second). ``level_dbfs``: power sum of the lines,
    not weighted (a full-scale sine: -3). ``mains_hz``: 50 or 60. ``lines_hz``: the lines found, up to 1 kHz, on the
    grid's actual frequency.
    """

    level_db: float | None
    level_dbfs: float | None = None
    mains_hz: float | None = None
    lines_hz: tuple[float, ...] = ()


@complexity(size="samples", time="O(n)", space="O(n)")
def hum(audio: Audio, speech: list[tuple[float, float]]) -> Hum:
    """Finds lines at multiples of 50 or 60 Hz (within 0.25 Hz) that stay while everything else comes and goes.

    Each moment counts by the inverse of its power, so the reading is made in the pauses, however short, or between
    the words; over windows of 8 s a mains line is a needle there, while a voice's harmonics have width. A line counts
    where it stands over the noise on its noisier side, by 12 dB for one of the first three (higher ones alone can be
    chance) and by 8 dB for the rest, where it is there in the quieter moments too, and not 40 dB under another.

    Args:
        audio: the recording.
        speech: where somebody speaks, for the speech's level (the whole recording's if empty).
    """
    if audio.duration_s < 0.5 or not audio.samples.any():
        return Hum(None)
    samples, rate = _slow(audio)
    spectrum, bin_hz = _line_spectrum(samples, _quietness(samples, rate), rate)
    mains_hz = max(MAINS_HZ, key=lambda hz: _lines(spectrum, bin_hz, hz)[2])
    lines, power, _ = _lines(spectrum, bin_hz, mains_hz)
    real = (power <= 4 * _quiet_power(samples, rate, lines)) & (power >= 1e-4 * power.max(initial=0.0))
    if not real.any() or lines[real][0] > 3.5 * mains_hz:
        return Hum(0.0)
    lines, power = _tuned(spectrum, bin_hz, mains_hz, np.rint(lines[real] / mains_hz))
    audible = np.sum(_a_weighting(lines) * power) / _quiet_room_power(audio, speech, float(power.sum()))
    if audible <= 1:
        return Hum(0.0)
    level_db, level_dbfs = 10 * np.log10(audible), 10 * np.log10(power.sum())
    return Hum(float(level_db), float(level_dbfs), mains_hz, tuple(float(line) for line in lines))


def _slow(audio: Audio) -> tuple[Floats, float]:
    """The signal at about 3 kHz by plain means (what folds back has no lines at the mains' multiples), without DC."""
    factor = max(1, audio.sample_rate // 3_000)
    count = len(audio.samples) // factor
    samples = audio.samples[: count * factor].reshape(count, factor) @ np.full(factor, 1 / factor, np.float32)
    return (samples - samples.mean(dtype=np.float64)).astype(np.float64), audio.sample_rate / factor


def _quietness(samples: Floats, rate: float) -> Floats:
    """A weight for each sample: the inverse of the power around it (0.1 s), at most that of the quietest tenth."""
    block = round(0.05 * rate)
    count = len(samples) // block
    power = np.pad(np.square(samples[: count * block]).reshape(count, block).mean(axis=1), 1, mode="edge")
    power = np.convolve(power, [0.25, 0.5, 0.25], "valid")
    weights = 1 / (power + np.percentile(power, 10) + 1e-12)
    smooth: Floats = np.interp(np.arange(len(samples)), (np.arange(count) + 0.5) * block, weights)
    return smooth


def _line_spectrum(samples: Floats, weights: Floats, rate: float) -> tuple[Floats, float]:
    """Mean power spectrum over windows of 8 s, ``[bins]`` (a sine of amplitude a reads a * a / 2); a bin's Hz."""
    from scipy.fft import next_fast_len, rfft

    length = min(len(samples), round(8 * rate))
    size = next_fast_len(2 * length, real=True)
    energy, gain = np.zeros(size // 2 + 1), 0.0
    for start in range(0, len(samples) - length + 1, max(1, length // 2)):
        window = np.hanning(length) * weights[start : start + length]
        energy += np.square(np.abs(rfft(samples[start : start + length] * window, size)))
        gain += window.sum() ** 2
    droop = np.square(np.sinc(np.arange(len(energy)) / size))  # of the plain means
    return 2 * energy / (gain * droop) + 1e-30, rate / size


def _lines(spectrum: Floats, bin_hz: float, mains_hz: float) -> tuple[Floats, Floats, float]:
    """Lines at the multiples of a mains frequency: ``(hz [lines], power [lines], sum of their heights in bel)``."""
    orders = np.arange(1, int(HIGHEST_LINE_HZ / mains_hz) + 1)
    noise = np.array([_beside(spectrum, bin_hz, order * mains_hz) for order in orders])
    actual_hz, power = _multiples(spectrum, bin_hz, mains_hz, orders)
    height = np.log10(power / noise)
    clear = (height >= OTHER_LINE_DB / 10) & (height[:, :3] >= LINE_DB / 10).any(axis=1, keepdims=True)
    heights = np.where(clear, height, 0).sum(axis=1)
    best = int(np.argmax(heights))
    return actual_hz[best] * orders[clear[best]], power[best, clear[best]], float(heights[best])


def _tuned(spectrum: Floats, bin_hz: float, mains_hz: float, orders: Floats) -> tuple[Floats, Floats]:
    """``(hz, power)`` of the lines of these orders, at the mains frequency that fits them together best."""
    actual_hz, power = _multiples(spectrum, bin_hz, mains_hz, orders)
    best = int(np.argmax(np.log(power).sum(axis=1)))
    return actual_hz[best] * orders, power[best]


def _multiples(
    spectrum: Floats, bin_hz: float, mains_hz: float, orders: NDArray[np.number[Any]]
) -> tuple[Floats, Floats]:
    """The frequencies that mains can have ``[m]``, and the power at their multiples ``[m, orders]``."""
    actual_hz = mains_hz + np.linspace(-MAINS_DRIFT_HZ, MAINS_DRIFT_HZ, 201)
    return actual_hz, spectrum[np.rint(actual_hz[:, None] * orders / bin_hz).astype(int)]


def _beside(spectrum: Floats, bin_hz: float, line_hz: float) -> float:
    """Mean power of the noise on the noisier side of a line (from the median, which ignores other lines)."""
    near, far = BESIDE_HZ
    medians = [
        float(np.median(spectrum[int(low / bin_hz) : int(high / bin_hz) + 1]))
        for low, high in ((line_hz - far, line_hz - near), (line_hz + near, line_hz + far))
    ]
    return max(medians) / float(np.log(2))


def _quiet_power(samples: Floats, rate: float, lines: Floats) -> Floats:
    """The power at each frequency in the quieter windows of 0.5 s (the 20th percentile), ``[lines]``."""
    length = int(0.5 * rate)
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[:: length // 2]
    window = np.hanning(length)
    waves = np.exp(-2j * np.pi / rate * np.outer(np.arange(length), lines)) * window[:, None]
    readings = 2 * np.square(np.abs(frames @ waves)) / window.sum() ** 2 / np.square(np.sinc(lines / rate))
    quiet: Floats = np.percentile(readings, 20, axis=0)
    return quiet


def _a_weighting(hz: Floats) -> Floats:
    """Power gain of the A-weighting (IEC 61672-1), 1 at 1 kHz."""
    squared = np.square(hz)
    amplitude = 12194.0**2 * squared**2 / ((squared + 20.6**2) * (squared + 12194.0**2))
    return 10**0.2 * np.square(amplitude) / ((squared + 107.7**2) * (squared + 737.9**2))


def _quiet_room_power(audio: Audio, speech: list[tuple[float, float]], hum_power: float) -> float:
    """Mean square of what is too quiet to be heard beside the speech (or beside all of it without regions)."""
    rate = audio.sample_rate
    parts = [audio.samples[int(start * rate) : int(end * rate)] for start, end in speech]
    parts = [part for part in parts if len(part)] or [audio.samples]
    power = sum(float(np.square(part).sum(dtype=np.float64)) for part in parts) / sum(map(len, parts))
    return max((power - hum_power) / 10 ** (QUIET_UNDER_SPEECH_DB / 10), 10 ** (INAUDIBLE_DBFS / 10))


# --- bandwidth -----------------------------------------------------------------------------------

BAND_HZ = 125.0
UNDER_PEAK_DB = 50.0  # NeMo's rule (EstimateBandwidth of its speech data processor)
OVER_NOISE_DB = 12.0  # a band's loudest percent over its quietest tenth, from which on it holds speech
WALL_DB = 15.0  # how much of that is lost at once at a codec's edge; noise over whole speech takes up to 14
LOWEST_WALL_HZ = 2_500.0


def bandwidth_hz(audio: Audio, speech: list[tuple[float, float]]) -> float | None:
    """The bandwidth really there, in Hz, at most half the rate; in steps of 125 Hz.

    The highest band within 50 dB of the loudest one, which is NeMo's rule, but of the levels that one percent of the
    speech frames exceed instead of the mean: in some voices only the sibilants reach up, seldom. The loudest band is
    looked for over 500 Hz, where hum and rumble are not. Where noise reaches higher than the voice, the edge of the
    voice is taken if it is a wall, as a codec or a telephone leaves it: speech stands out of the noise just under
    it and at once no more over it. Otherwise the noise may hide the rest, and nothing narrow is claimed.

    Args:
        audio: the recording.
        speech: where somebody speaks, in seconds; all frames count if it is empty.

    Returns:
        None for digital silence and under 0.1 s.
    """
    bands, frame_s = _band_densities(audio)
    if not len(bands) or not bands.any():
        return None
    edges_hz = np.arange(1, bands.shape[1] + 1) * BAND_HZ
    spoken = _spoken_frames(speech, len(bands), frame_s)
    loud = _percentile_db(bands[spoken], 99)
    smooth = np.pad(bands, ((0, 0), (1, 1)), mode="edge")
    smooth = smooth[:, :-2] + smooth[:, 1:-1] + smooth[:, 2:]
    over_noise = _percentile_db(smooth[spoken], 99) - _percentile_db(smooth, 10)
    heard = loud >= loud[edges_hz > 500].max() - UNDER_PEAK_DB
    highest = int(np.flatnonzero(heard)[-1])
    voiced = np.flatnonzero(heard & (over_noise >= OVER_NOISE_DB))
    if len(voiced) and voiced[-1] < highest and edges_hz[voiced[-1]] >= LOWEST_WALL_HZ:
        edge = int(voiced[-1])
        beyond = over_noise[edge + 4 : edge + 8]
        if len(beyond) and np.median(over_noise[edge - 3 : edge + 1]) - np.median(beyond) >= WALL_DB:
            highest = edge
    return float(min(edges_hz[highest], audio.sample_rate / 2))


def _percentile_db(power: Floats, percent: float) -> Floats:
    """The power that all but ``percent`` of the frames exceed, per band, in dB; -200 for none."""
    level: Floats = 10 * np.log10(np.percentile(power, percent, axis=0) + 1e-20)
    return level


def _band_densities(audio: Audio) -> tuple[Floats, float]:
    """Power in bands of 125 Hz up to half the rate, ``[frames, bands]``, and the frames' distance in seconds.

    Frames of 32 ms, half overlapping, or further apart in a long recording (2,000 at most). The window's sidelobes
    are 92 dB down, or a strong low voice would leak upwards.
    """
    from scipy.fft import rfft
    from scipy.signal import get_window

    length = 4 * round(audio.sample_rate / BAND_HZ)
    if len(audio.samples) < 3 * length:
        return np.zeros((0, 0)), 0.0
    hop = max(length // 2, len(audio.samples) // 2_000)
    frames = np.lib.stride_tricks.sliding_window_view(audio.samples, length)[::hop]
    spectrum = rfft(frames * get_window("blackmanharris", length).astype(np.float32), axis=1)
    power = np.square(spectrum.real[:, :-1]) + np.square(spectrum.imag[:, :-1])
    count = power.shape[1] // 4
    bands = power[:, : 4 * count].reshape(len(power), count, 4).sum(axis=2)
    return np.asarray(bands, dtype=np.float64), hop / audio.sample_rate


def _spoken_frames(speech: list[tuple[float, float]], count: int, frame_s: float) -> NDArray[np.bool_]:
    """Which frames lie in the regions; all where none does."""
    times = np.arange(count) * frame_s + 2 / BAND_HZ
    spoken = np.zeros(count, dtype=bool)
    for start, end in speech:
        spoken |= (times >= start) & (times <= end)
    return spoken if spoken.any() else ~spoken


# --- channels ------------------------------------------------------------------------------------


def channel_correlation(recording: Recording) -> float | None:
    """Correlation, -1 to 1, of the two most energetic channels over their louder half of 20 ms frames.

    Each frame is taken without its mean. 1: the same voice in both; about 0: unrelated; -1: one is upside down, and a
    mean of the two erases the voice. None for one channel, where the second carries no sound (under -70 dBFS
    or 40 dB under the first), or under 20 ms.
    """
    samples = recording.samples
    length = max(1, recording.sample_rate // 50)
    count = samples.shape[1] // length
    if len(samples) < 2 or not count:
        return None
    first, second = np.sort(np.argsort(samples.std(axis=1))[-2:])
    one, two = (samples[channel, : count * length].reshape(count, length) for channel in (first, second))
    power_one, power_two, cross = _products(one, one), _products(two, two), _products(one, two)
    loud = power_one + power_two >= np.median(power_one + power_two)
    energy_one, energy_two = float(power_one[loud].mean()), float(power_two[loud].mean())
    if min(energy_one, energy_two) < max(1e-7, 1e-4 * max(energy_one, energy_two)):
        return None
    return float(np.clip(cross[loud].mean() / np.sqrt(energy_one * energy_two), -1, 1))


def _products(one: Samples, two: Samples) -> Floats:
    """Mean product of two channels' frames ``[frames, n]``, each taken without its mean."""
    products = np.einsum("fk,fk->f", one, two) / one.shape[1]
    return np.asarray(products - one.mean(axis=1) * two.mean(axis=1), dtype=np.float64)
