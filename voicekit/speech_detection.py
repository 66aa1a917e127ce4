"""Audio -> where somebody speaks, by the Silero network and by what stands out of the noise.

The network (silero-vad, MIT; its ONNX file lies in the package) knows speech from other sound but blurs the ends
of words and takes talk in the background for speech. The sound itself knows where a pause is, wherever it rises
and falls over its own floor. So the network says what is speech, the sound says where it starts and stops.

The package itself is never imported: that would load torch and set it to one thread.
Does not know whose speech it is: several people, or a radio nearby, are speech too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio, resample
from voicekit.bundled import bundled_network
from voicekit.complexity import complexity

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

RATE_HZ = 16_000
WINDOW = 512  # samples that give one probability: 32 ms
CONTEXT = 64  # samples before its window that the network sees as well
STEP = WINDOW // 2  # samples between two frames of the spectrum: 16 ms
STEP_S = STEP / RATE_HZ
BLOCK_S = 60  # what is held at once: 1,875 whole windows
WARM_UP = 2 * RATE_HZ  # samples heard once before they count, so that the first word is heard like any other

RUMBLE_HZ = 60.0  # under this is no speech
TINY = 1e-8  # -160 dBFS: a filter's dying tail is silence, and denormal numbers cost twenty times the time
LEVEL_DBFS = -20.0  # where the loud frames are put: the network hears well from -40 to 0
SILENCE_DBFS = -70.0  # a block whose loud frames are under this is silent
BANDS_HZ = (100, 400, 900, 1_800, 3_500, 7_600)  # edges: voice bar, vowels, consonants
MIN_PAUSE_S = 0.2  # quiet for less is a stop consonant or a soft syllable
FLOOR_SPAN_S = 5.0  # noise floor and speech level hold for this long; measured over it and both neighbours


def speech_probability(audio: Audio) -> Floats:
    """How likely each 32 ms window (at 16 kHz) holds speech: float32 ``[ceil(n / 512)]``, 0 to 1.

    The level does not matter: each minute is brought to -20 dBFS first; one under -70 dBFS gives zeros.
    """
    parts = [probability for probability, _ in _listen(audio, spectrum=False)]
    return np.concatenate([np.zeros(0, np.float32), *parts])[: -(-_length_16k(audio) // WINDOW)]


@complexity(size="samples", time="O(n)", space="O(1)")
def detect_speech(
    audio: Audio, *, threshold: float = 0.5, join_s: float = 0.1, min_s: float = 0.1, pad_s: float = 0.03
) -> list[tuple[float, float]]:
    """Where somebody speaks, as (start, end) in seconds, ascending, at least ``join_s`` apart.

    The network decides with hysteresis, as silero's ``get_speech_timestamps``: speech starts at ``threshold`` and
    lasts until the probability is 0.15 lower. Each end then moves outwards, up to 0.25 s, over what still stands
    out of the noise (soft consonants), and ``pad_s`` further. Last, what is as quiet as a pause for 0.2 s or
    longer (see :func:`_pauses`) is cut out, up to 50 ms from the sound on either side.

    Args:
        audio: any rate, any level; beyond four minutes working memory hardly grows (0.1 MB a minute).
        threshold: probability from 0 to 1 at which speech starts.
        join_s: pauses shorter than this are closed.
        min_s: what is shorter than this is dropped.
        pad_s: kept before and after the speech.

    Returns:
        Regions inside ``[0, audio.duration_s]``; empty for silence, and for sound that is no speech.
    """
    heard = list(_listen(audio))
    if not heard:
        return []
    from scipy.ndimage import binary_dilation

    power = np.concatenate([part for _, part in heard])
    spoken = np.repeat(_lasting(np.concatenate([part for part, _ in heard]), threshold), 2)
    if not spoken.any():
        return []
    pauses, audible = _pauses(power)
    spoken = binary_dilation(spoken, iterations=_steps(0.25), mask=spoken | audible)
    spoken = binary_dilation(spoken, iterations=max(1, _steps(pad_s))) if pad_s > 0 else spoken
    return _regions(spoken & ~pauses, audio.duration_s, join_s, min_s)


# --- listening -----------------------------------------------------------------------------------


def _listen(audio: Audio, spectrum: bool = True) -> Iterator[tuple[Floats, Floats]]:
    """For each minute: the probabilities ``[w]``, and the powers ``[2 w, bands]`` of frames 16 ms apart, if asked."""
    state = (np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32))
    before = np.zeros(STEP, np.float32)
    for number, block in enumerate(blocks_16k(audio)):
        gain = _gain(block)
        if gain and number == 0:
            first = block[: min(WARM_UP, len(block)) // WINDOW * WINDOW]
            _, state = _network(before, first * gain, state)
        probability = np.zeros(len(block) // WINDOW, np.float32)
        if gain:
            probability, state = _network(before * gain, block * gain, state)
        yield probability, _band_powers(before, block) if spectrum else np.zeros((0, 0), np.float32)
        before = block[-STEP:]


def blocks_16k(audio: Audio) -> Iterator[Floats]:
    """The recording at 16 kHz without rumble, a minute at a time; the last one filled up to whole windows."""
    from scipy.signal import butter, sosfilt, sosfilt_zi

    rate, length = audio.sample_rate, _length_16k(audio)
    sections = butter(2, RUMBLE_HZ, "highpass", fs=RATE_HZ, output="sos").astype(np.float32)
    rest = np.zeros((1, 2), np.float32)
    for second in range(0, -(-length // RATE_HZ), BLOCK_S):
        margin = min(second, 1)  # whole seconds, so that no sample moves; the filter needs far less
        piece = audio.samples[(second - margin) * rate : (second + BLOCK_S + 1) * rate]
        start = margin * RATE_HZ
        block = resample(Audio(piece, rate), RATE_HZ).samples[start : start + BLOCK_S * RATE_HZ]
        block = block[: length - second * RATE_HZ]
        if second == 0:  # an offset makes no click at the start
            rest = (sosfilt_zi(sections) * block[0]).astype(np.float32)
        block, rest = sosfilt(sections, block, zi=rest)
        block[np.abs(block) < TINY] = 0.0
        yield np.pad(block, (0, -len(block) % WINDOW))


def _length_16k(audio: Audio) -> int:
    return round(len(audio.samples) * RATE_HZ / audio.sample_rate)


def _gain(block: Floats) -> np.float32:
    """What brings the loud frames (95th percentile, or the loudest 0.3 s) to -20 dBFS; 0 for silence."""
    power = np.square(block.reshape(-1, WINDOW)).mean(axis=1)
    loud = float(np.percentile(power, max(95.0, 100 - 1000 / len(power))))
    return np.float32(np.sqrt(10 ** (LEVEL_DBFS / 10) / loud) if loud > 10 ** (SILENCE_DBFS / 10) else 0.0)


def _network(before: Floats, block: Floats, state: tuple[Floats, Floats]) -> tuple[Floats, tuple[Floats, Floats]]:
    """The probabilities ``[w]`` of a block of whole windows, and the state after it.

    ``silero_vad_16k_sequence.onnx`` takes all windows at once; its values are those of ``silero_vad.onnx``
    fed window by window, to the last bit, in half the time or less.
    """
    windows = block.reshape(-1, WINDOW)
    contexts = np.concatenate([before[None, -CONTEXT:], windows[:-1, -CONTEXT:]]) if len(windows) else windows
    session = bundled_network("silero_vad", "data/silero_vad_16k_sequence.onnx")
    parts = [np.zeros(0, np.float32)]
    for first in range(0, len(windows), 256):  # 8 s: what stays in the cache
        rows = slice(first, first + 256)
        feed = {"input": np.concatenate([contexts[rows], windows[rows]], axis=1), "h": state[0], "c": state[1]}
        values, *after = session.run(["speech_probs", "hn", "cn"], feed)
        state = (after[0], after[1])
        parts.append(values.ravel())
    return np.concatenate(parts), state


def _band_powers(before: Floats, block: Floats) -> Floats:
    """The power in each band of frames of 32 ms (Hann), 16 ms apart, the first centred on the block's start."""
    from scipy.fft import rfft

    samples = np.concatenate([before, block])
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::STEP]
    window = np.hanning(WINDOW).astype(np.float32) * np.float32(np.sqrt(2 / 0.375) / WINDOW)
    edges = [round(edge * WINDOW / RATE_HZ) for edge in BANDS_HZ]
    powers = [np.zeros((0, len(edges) - 1), np.float32)]
    for first in range(0, len(frames), 512):
        spectrum = rfft(frames[first : first + 512] * window, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        powers.append(np.add.reduceat(power, edges, axis=1)[:, :-1])
    return np.concatenate(powers)


# --- deciding ------------------------------------------------------------------------------------


def _lasting(probability: Floats, threshold: float) -> Flags:
    """Hysteresis: true from a value of at least ``threshold`` until one more than 0.15 under it."""
    known = np.where(probability >= threshold, 1, np.where(probability < max(threshold - 0.15, 0.01), 0, -1))
    latest = np.maximum.accumulate(np.where(known >= 0, np.arange(len(known)), 0))
    return np.asarray(known[latest] == 1)


def _pauses(power: Floats) -> tuple[Flags, Flags]:
    """Which frames lie in a pause, and which stand out of the noise (both ``[frames]``).

    Floor and speech level are the recording's own, around each moment: percentiles 5 (8 in a band) and 95 of
    15 s. A frame is quiet where

    - no band is more than 3 dB over its floor (steady noise, in which a consonant shows in one band only),
    - or the whole is in the lower third between floor and speech, at most 15 dB over the floor, where the two
      are at least 14 dB apart (unsteady noise, talk in the background),
    - or the whole is 40 dB under the speech (a silence without noise has no floor).

    A pause is 0.2 s of that, without 50 ms at either end. A frame stands out where a band is 9 dB over its floor.
    """
    from scipy.ndimage import binary_erosion, binary_opening, uniform_filter1d

    smooth = uniform_filter1d(power, 3, axis=0) + np.float32(1e-12)
    total = 10 * np.log10(smooth.sum(axis=1))
    low, high = _around(total, 5), _around(total, 95)
    bands = 10 * np.log10(smooth)
    over = (bands - np.maximum(_around(bands, 8), (high - 50)[:, None])).max(axis=1)
    third = (high - low >= 14) & (total < low + np.minimum((high - low) / 3, 15))
    quiet = (over < 3) | third | (total < high - 40)
    shortest = _steps(MIN_PAUSE_S)
    lasting = binary_opening(np.pad(quiet, shortest, mode="edge"), np.ones(shortest))
    pauses = binary_erosion(lasting, iterations=_steps(0.05))[shortest:-shortest]
    return np.asarray(pauses), np.asarray(over >= 9)


def _around(levels: Floats, percentile: float) -> Floats:
    """A percentile over time of the 15 s around each 5 s; shaped like ``levels`` ``[frames, ...]``."""
    span, around = _steps(FLOOR_SPAN_S), np.empty_like(levels)
    for start in range(0, len(levels), span):
        first = max(0, min(start - span, len(levels) - 3 * span))
        around[start : start + span] = np.percentile(levels[first : max(start, span) + 2 * span], percentile, axis=0)
    return around


def _regions(spoken: Flags, end_s: float, join_s: float, min_s: float) -> list[tuple[float, float]]:
    """The runs of true frames in seconds; joined, then dropped where short."""
    edges = np.flatnonzero(np.diff(np.pad(spoken.astype(np.int8), 1)))
    starts = np.maximum((edges[::2] - 0.5) * STEP_S, 0.0)
    stops = np.minimum((edges[1::2] - 0.5) * STEP_S, end_s)
    apart = starts[1:] - stops[:-1] >= join_s
    starts, stops = starts[np.append(True, apart)[: len(starts)]], stops[np.append(apart, True)[: len(stops)]]
    return [(float(start), float(stop)) for start, stop in zip(starts, stops, strict=True) if stop - start >= min_s]


def _steps(seconds: float) -> int:
    return round(seconds / STEP_S)
