"""Does a take say the same thing again and again? In its codes, and in its sound.

A loop is a stretch that equals what came one period before it, period after period. A held vowel, noise and silence
equal themselves at every period and are none. Knows nothing of text: whoever asks knows whether the words repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicekit.audio import Audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

# Codes: 46.4 ms each. Of 100 takes of 602 random codes out of 50 (XTTS has 1,024) none has such a run by chance.
LONGEST_PERIOD = 44  # codes, 2 s
TIMES_OVER = 4  # a period is there so many times in a row
SHORTEST_RUN = 26  # codes, 1.2 s: what one code, or two and three in turn, may last
EQUAL_SHARE = 0.8  # of a run's codes: a loop of a model is nearly exact

# Sound: frames of 64 ms (each the sum of three of 32 ms), 16 ms apart, in bands as wide as the ear's. Of 870 recordings
# of read and synthesised speech (8,000 s) eight hold stretches more alike than these; in one of them the words repeat.
STEP_S = 0.016
SUMMED = 3
BANDS = 16
LOWEST_HZ, HIGHEST_HZ = 150.0, 5_500.0
SHORTEST_PERIOD_S, PHRASE_S, LONGEST_PERIOD_S = 0.2, 0.7, 4.0  # a phrase is a loop when it is there twice
PHRASE_ALIKE, SYLLABLES_ALIKE = 0.87, 0.75  # correlation
LIVELY_DB = 6.0  # a stretch whose bands vary less than this is one held sound


@dataclass(frozen=True)
class Loop:
    """A stretch from `start_s` to `end_s` in which the first `period_s` seconds are heard `times` times."""

    start_s: float
    end_s: float
    period_s: float
    times: int


def loop_in_codes(codes: NDArray[np.int64]) -> tuple[int, int, int] | None:
    """The longest loop of a take's codes: its first code, one behind its last, its period. None without one.

    At each period the codes that equal those one period before are counted; a run may miss one in five.
    """
    import numpy as np

    longest: tuple[int, int, int] | None = None
    for period in range(1, min(LONGEST_PERIOD, codes.size // 2) + 1):
        span = max((TIMES_OVER - 1) * period, SHORTEST_RUN - period)
        if span > codes.size - period:
            continue
        counted = np.concatenate([[0], np.cumsum(codes[period:] == codes[:-period])])
        full = np.flatnonzero(counted[span:] - counted[:-span] >= EQUAL_SHARE * span)
        if not full.size:
            continue
        first, last = _longest_run(full, span)
        if longest is None or last + period - first > longest[1] - longest[0]:
            longest = first, last + period, period
    return longest


def _longest_run(starts: NDArray[np.int64], span: int) -> tuple[int, int]:
    """The longest of the stretches that windows of `span` from these starts cover together: first, one behind last."""
    import numpy as np

    cuts = np.flatnonzero(np.diff(starts) > span)
    firsts, lasts = starts[np.append(0, cuts + 1)], starts[np.append(cuts, starts.size - 1)] + span
    longest = int(np.argmax(lasts - firsts))
    return int(firsts[longest]), int(lasts[longest])


def loop_in_sound(audio: Audio) -> Loop | None:
    """The stretch of a take that most resembles what came one period before it; None where none does.

    The spectrum over time, its bands in dB, is correlated with itself at each period: over one period from 0.7 s on,
    over three periods under it, and there in finer steps. Only what varies in itself can be a loop.
    """
    levels = band_levels(audio)
    syllables = _most_alike(levels, STEP_S, SHORTEST_PERIOD_S, PHRASE_S, TIMES_OVER - 1, SYLLABLES_ALIKE)
    return syllables or _most_alike(levels[::2], 2 * STEP_S, PHRASE_S, LONGEST_PERIOD_S, 1, PHRASE_ALIKE)


def _most_alike(
    levels: Floats, step_s: float, shortest_s: float, longest_s: float, periods: int, at_least: float
) -> Loop | None:
    """The loop of the highest correlation over so many periods, of those between the two lengths."""
    import numpy as np

    best, found, spectra = at_least, None, Spectra.of(levels)
    for lag in range(round(shortest_s / step_s), round(longest_s / step_s)):
        span = periods * lag - SUMMED  # frames that reach into what follows the loop are left out
        if lag + span > len(levels):
            break
        alike = spectra.similarity(lag, span)
        first = int(np.argmax(alike))
        if alike[first] > best:
            best = float(alike[first])
            found = Loop(first * step_s, (first + (1 + periods) * lag) * step_s, lag * step_s, 1 + periods)
    return found


@dataclass(frozen=True, eq=False)
class Spectra:
    """Levels in dB [frames, bands] with their running sums, from which each stretch's mean and spread follow."""

    levels: Floats
    sums: Floats
    energy: NDArray[np.float64]

    @classmethod
    def of(cls, levels: Floats) -> Spectra:
        """With the sums; the mean spectrum of the whole is taken out, which changes no correlation."""
        import numpy as np

        levels = levels - levels.mean(axis=0, keepdims=True) if len(levels) else levels
        return cls(levels, _running(levels).astype(np.float32), _running(np.einsum("tb,tb->t", levels, levels)))

    def similarity(self, lag: int, span: int) -> Floats:
        """How each stretch of `span` frames correlates with the one `lag` frames later: -1 to 1; held sound gives 0.

        Both are taken less their own mean spectrum. Float32 [frames - lag - span + 1], at least one.
        """
        import numpy as np

        count = len(self.levels) - lag - span + 1
        common = _running(np.einsum("tb,tb->t", self.levels[:-lag], self.levels[lag:]))
        means = self.sums[span:] - self.sums[:-span]
        spread = self.energy[span:] - self.energy[:-span] - np.einsum("tb,tb->t", means, means) / span
        first, second = spread[:count], spread[lag : lag + count]
        shared = np.einsum("tb,tb->t", means[:count], means[lag : lag + count]) / span
        lively = np.minimum(first, second) > LIVELY_DB**2 * span * self.levels.shape[1]
        alike = (common[span:] - common[:-span] - shared) / np.sqrt(np.where(lively, first * second, 1.0))
        return np.where(lively, alike, 0.0).astype(np.float32)


def _running(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sums of all before each place along the first axis: one longer than the values."""
    import numpy as np

    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])


def band_levels(audio: Audio) -> Floats:
    """The level of each band over time in dB, at most 50 dB under the loudest: float32 [frames, BANDS]; of 24 kHz."""
    import numpy as np

    # Neighbours are added: half the rate is enough under 6 kHz, and what folds back does so in every repetition.
    even = audio.samples.size // 2 * 2
    samples, rate = audio.samples[:even:2] + audio.samples[1:even:2], audio.sample_rate / 2
    step = round(STEP_S * rate)
    if samples.size < (SUMMED + 1) * step:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * step)[::step]
    spectrum = np.fft.rfft(frames * np.hanning(2 * step).astype(np.float32), axis=1)
    edges = np.round(np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * 2 * step / rate).astype(int)
    spectrum = spectrum[:, : edges[-1] + 1]
    power = np.add.reduceat(np.square(spectrum.real) + np.square(spectrum.imag), edges, axis=1)[:, :-1]
    power = _running(power)
    levels = 10 * np.log10(np.maximum(power[SUMMED:] - power[:-SUMMED], 0.0) + 1e-12)
    return np.asarray(np.maximum(levels, levels.max() - 50.0), dtype=np.float32)
