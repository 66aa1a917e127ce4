"""Audio -> Audio: one pure function a step, its numbers as arguments.

Each step gives the audio back as it is where it has nothing to do, so a caller can tell by ``is`` whether
it was applied, and a second pass over its own result does next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio, Samples
from voicekit.complexity import complexity
from voicekit.edits import Edits, Kept, apply, on_grid
from voicekit.quality import (
    UNEVEN_LEVEL_LU,
    loudness_lufs,
    speech_level_track,
    speech_regions,
    true_peak_dbtp,
)

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


def remove_dc(audio: Audio) -> Audio:
    """Takes the constant offset away: the mean becomes 0 (under 1e-7 of full scale is none)."""
    offset = float(np.mean(audio.samples, dtype=np.float64)) if len(audio.samples) else 0.0
    if abs(offset) < 1e-7:
        return audio
    return Audio(audio.samples - np.float32(offset), audio.sample_rate)


def high_pass(
    audio: Audio, *, cutoff_hz: float = 70.0, order: int = 8, rumble_db: float = -40.0
) -> Audio:
    """Takes away what lies under a voice (rumble, wind, steps, an offset), without delay or phase shift.

    A Butterworth filter forward and backward: 6 dB down at the cutoff, 1 dB at 80 Hz, 0.4 dB at 85 Hz, 47 dB at
    50 Hz. It starts and ends at rest on the signal's own offset, so neither end clicks.

    Args:
        audio: the recording.
        cutoff_hz: under the lowest men's voices (80 Hz).
        order: of one direction.
        rumble_db: what lies under three quarters of the cutoff counts from this level on, relative to all above
            it. A quieter one is not heard and not worth touching the voice for; and so a second pass is idle.

    Returns:
        The same audio where there is no rumble.
    """
    for _ in range(3):  # heavy rumble (louder than the voice) may take more than one
        if not _rumbles(audio, 0.75 * cutoff_hz, rumble_db):
            break
        audio = Audio(_high_passed(audio, cutoff_hz, order), audio.sample_rate)
    return audio


def _rumbles(audio: Audio, below_hz: float, threshold_db: float) -> bool:
    """Whether the power under a frequency exceeds a level, relative to the power above it, and -100 dBFS."""
    length = min(len(audio.samples), audio.sample_rate // 4)
    if length < 2:
        return False
    frames = audio.samples[: len(audio.samples) // length * length].reshape(-1, length)
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    turns = np.outer(np.arange(length) / length, np.arange(np.ceil(below_hz * length / audio.sample_rate)))
    waves = np.concatenate([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1) * window[:, None]
    waves[:, 0] *= np.sqrt(0.5)  # the offset has no mirror image
    spectrum = frames @ waves.astype(np.float32)
    low = 2 * float(np.square(spectrum).sum(dtype=np.float64)) / (frames.size * float(np.square(window).sum()))
    high = float(np.vdot(frames, frames)) / frames.size - low
    return low > max(1e-10, 10 ** (threshold_db / 10) * high)


def _high_passed(audio: Audio, cutoff_hz: float, order: int) -> Samples:
    """Filters half a minute at a time, with more beside it than the filter remembers: an hour needs little memory."""
    from scipy.signal import butter, sosfiltfilt

    sections = butter(order, cutoff_hz, "highpass", fs=audio.sample_rate, output="sos")
    piece, beside, total = 30 * audio.sample_rate, audio.sample_rate // 2, len(audio.samples)
    result = np.empty_like(audio.samples)
    for start in range(0, total, piece):
        first, stop = max(0, start - beside), min(total, start + piece + beside)
        mirrored = min(stop - first - 1, audio.sample_rate // 4)
        filtered = sosfiltfilt(sections, audio.samples[first:stop], padlen=mirrored)
        result[start : start + piece] = filtered[start - first : start - first + piece]
    return result


def apply_gain_db(audio: Audio, gain_db: float) -> Audio:
    """Multiplies by ``10 ** (gain_db / 20)``; the result may exceed full scale."""
    if gain_db == 0:
        return audio
    return Audio(audio.samples * np.float32(10 ** (gain_db / 20)), audio.sample_rate)


@complexity(size="samples", time="O(n)", space="O(n)")
def trim_silence(audio: Audio, *, keep_s: float = 0.15, slack_s: float = 0.1, fade_s: float = 0.005) -> Audio:
    """Cuts silence off both ends, never inside, and never speech: keeps :func:`spoken_span`.

    Args:
        audio: the recording.
        keep_s: see :func:`spoken_span`.
        slack_s: see :func:`spoken_span`.
        fade_s: raised-cosine fade at a cut, so that cutting through noise makes no click.

    Returns:
        The same audio where neither end is cut, or where no speech is found.
    """
    return apply(audio, (spoken_span(audio, keep_s=keep_s, slack_s=slack_s),), fade_s=fade_s)


def spoken_span(audio: Audio, *, keep_s: float = 0.15, slack_s: float = 0.1) -> Kept:
    """The recording without the silence at its ends: what :func:`trim_silence` keeps, on the sample grid.

    Args:
        audio: the recording; speech is what :func:`voicekit.quality.speech_regions` finds.
        keep_s: silence left before the first and after the last speech (Azure's guide for recording custom
            voices asks for 0.1 to 0.2 s). It also holds soft onsets and breaths under the threshold.
        slack_s: an end is cut only where its silence is longer than ``keep_s + slack_s``, so that a
            trimmed recording is within bounds the next time.
    """
    start, stop = 0, len(audio.samples)
    for _ in range(5):  # a cut can change the noise floor, and so where speech is found: until it settles
        head, tail = _silent_ends(Audio(audio.samples[start:stop], audio.sample_rate), keep_s, slack_s)
        start, stop = start + head, stop - tail
        if not head and not tail:
            break
    return Kept(start / audio.sample_rate, stop / audio.sample_rate)


def _silent_ends(audio: Audio, keep_s: float, slack_s: float) -> tuple[int, int]:
    """How many samples to cut off the head and the tail (0: nothing to cut)."""
    regions = speech_regions(audio)
    if not regions:
        return 0, 0
    ends_s = regions[0][0], audio.duration_s - regions[-1][1]
    head, tail = (
        int((end_s - keep_s) * audio.sample_rate) if end_s > keep_s + slack_s else 0 for end_s in ends_s
    )
    return head, tail


def shorten_pauses(
    audio: Audio,
    speech: Sequence[tuple[float, float]],
    *,
    max_pause_s: float = 0.6,
    slack_s: float = 0.2,
    fade_s: float = 0.005,
) -> tuple[Audio, Edits]:
    """Cuts the middle out of long pauses, never speech; the silence at both ends is :func:`trim_silence`'s.

    XTTS averages its reference in chunks of 4 s that all count the same, so a long pause dilutes the voice
    (coqui-ai/TTS PR #3207 brought the chunks in for that reason).

    Args:
        audio: the recording.
        speech: where somebody speaks, (start, end) in seconds, ascending.
        max_pause_s: what is left of a long pause, half of it after the speech (room, soft endings), half
            before the next (breath, soft onsets). 0.6 s is the pause between two sentences read aloud: the
            rhythm of the voice stays as it is.
        slack_s: a pause up to ``max_pause_s + slack_s`` stays whole (0.8 s: what a good sample may hold), so
            that a second pass, whose speech detector may differ by a syllable's end, changes nothing.
        fade_s: raised cosine on both sides of a cut, inside what is kept.

    Returns:
        The shortened audio and what was kept of the source, on its sample grid: the audio is exactly as long as
        the spans together. The same audio where no pause is that long.
    """
    spans, start_s, spoken_to_s = [], 0.0, None
    for region_start_s, region_end_s in speech:
        if spoken_to_s is not None and region_start_s - spoken_to_s > max_pause_s + slack_s:
            spans.append(Kept(start_s, spoken_to_s + max_pause_s / 2))
            start_s = region_start_s - max_pause_s / 2
        spoken_to_s = max(region_end_s, spoken_to_s or 0.0)
    edits = on_grid((*spans, Kept(start_s, audio.duration_s)), audio.sample_rate)
    return apply(audio, edits, fade_s=fade_s), edits


@complexity(size="samples", time="O(n)", space="O(n)")
def even_level(
    audio: Audio,
    *,
    above_spread_lu: float = UNEVEN_LEVEL_LU,
    target_spread_lu: float = 4.0,
    max_ratio: float = 2.5,
    max_gain_db: float = 6.0,
) -> Audio:
    """Gentle compression: rides the gain slowly where the talker's level wanders, and only there.

    The level is :func:`voicekit.quality.speech_level_track` (3 s of speech, pauses left out). Its distance
    from the recording's median level is shrunk so that the spread becomes ``target_spread_lu``, at most
    ``max_ratio`` to one and at most ``max_gain_db`` up or down. Syllables keep their dynamics: no gain moves
    faster than the 3 s window. Through a pause the gain goes straight from one side to the other: no pumping.

    Args:
        audio: the recording.
        above_spread_lu: a spread (see :func:`voicekit.quality.level_spread_lu`) up to this is left alone.
        target_spread_lu: the spread of ordinary reading.
        max_ratio: 2.5 means that 10 dB of wandering stay 4 dB. A spread of more than about 12 LU is therefore
            still over ``above_spread_lu`` afterwards, and a second pass would even it further.
        max_gain_db: bounds what noise and room are raised by.

    Returns:
        The same audio where its spread is within bounds or cannot be told.
    """
    times, levels = speech_level_track(audio)
    known = np.isfinite(levels)
    if known.sum() < 20:  # two seconds of readings, as in level_spread_lu
        return audio
    low, middle, high = np.percentile(levels[known], [10, 50, 90])
    if high - low <= above_spread_lu:
        return audio
    share = 1 - max(1 / max_ratio, target_spread_lu / (high - low))
    gain_db = np.clip(-share * (levels[known] - middle), -max_gain_db, max_gain_db)
    at = np.arange(len(audio.samples)) / audio.sample_rate
    gain = np.interp(at, times[known], 10 ** (gain_db / 20)).astype(np.float32)
    return Audio(audio.samples * gain, audio.sample_rate)


@complexity(size="sample_s", time="O(n)", space="O(n)", stage="preprocess")
def normalise_loudness(
    audio: Audio, *, target_lufs: float = -20.0, max_true_peak_dbtp: float = -3.0
) -> Audio:
    """Brings speech to one loudness by a single linear gain; no limiter, so nothing is bent.

    The gain is what ``target_lufs`` (integrated, BS.1770-4) asks for, or less where the true peak would
    exceed ``max_true_peak_dbtp``: then the result is quieter than the target and its peak is at the cap.
    -20 LUFS puts speech at the -23 to -18 dB RMS that audiobook and cloning guides ask for (ACX, ElevenLabs).

    Returns:
        The same audio where it is within 0.05 dB under the rule already, silent, or under 0.4 s.
    """
    loudness, peak = loudness_lufs(audio), true_peak_dbtp(audio)
    if loudness is None or peak is None:
        return audio
    gain_db = min(target_lufs - loudness, max_true_peak_dbtp - peak)
    return audio if 0 <= gain_db < 0.05 else apply_gain_db(audio, gain_db)
