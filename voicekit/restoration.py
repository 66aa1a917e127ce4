"""Audio -> Audio: one pure function a step, its numbers as arguments.

Each step gives the audio back as it is where it has nothing to do, so a caller can tell by ``is`` whether
it was applied, and a second pass over its own result does next to nothing.
"""

from __future__ import annotations

import numpy as np

from voicekit.audio import Audio
from voicekit.quality import (
    UNEVEN_LEVEL_LU,
    loudness_lufs,
    speech_level_track,
    speech_regions,
    true_peak_dbtp,
)


def remove_dc(audio: Audio) -> Audio:
    """Takes the constant offset away: the mean becomes 0 (under 1e-7 of full scale is none)."""
    offset = float(np.mean(audio.samples, dtype=np.float64)) if len(audio.samples) else 0.0
    if abs(offset) < 1e-7:
        return audio
    return Audio(audio.samples - np.float32(offset), audio.sample_rate)


def apply_gain_db(audio: Audio, gain_db: float) -> Audio:
    """Multiplies by ``10 ** (gain_db / 20)``; the result may exceed full scale."""
    if gain_db == 0:
        return audio
    return Audio(audio.samples * np.float32(10 ** (gain_db / 20)), audio.sample_rate)


def trim_silence(audio: Audio, *, keep_s: float = 0.15, slack_s: float = 0.1, fade_s: float = 0.005) -> Audio:
    """Cuts silence off both ends, never inside, and never speech.

    Args:
        audio: the recording; speech is what :func:`voicekit.quality.speech_regions` finds.
        keep_s: silence left before the first and after the last speech (Azure's guide for recording custom
            voices asks for 0.1 to 0.2 s). It also holds soft onsets and breaths under the threshold.
        slack_s: an end is cut only where its silence is longer than ``keep_s + slack_s``, so that a
            trimmed recording is within bounds the next time.
        fade_s: raised-cosine fade at a cut, so that cutting through noise makes no click.

    Returns:
        The same audio where neither end is cut, or where no speech is found.
    """
    start, stop = 0, len(audio.samples)
    for _ in range(5):  # a cut can change the noise floor, and so where speech is found: until it settles
        head, tail = _silent_ends(Audio(audio.samples[start:stop], audio.sample_rate), keep_s, slack_s)
        start, stop = start + head, stop - tail
        if not head and not tail:
            break
    if (start, stop) == (0, len(audio.samples)):
        return audio
    kept = audio.samples[start:stop].copy()
    fade = min(int(fade_s * audio.sample_rate), len(kept) // 2)
    if fade:
        rise = (0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)).astype(np.float32)
        kept[:fade] *= rise if start else np.float32(1)
        kept[-fade:] *= rise[::-1] if stop < len(audio.samples) else np.float32(1)
    return Audio(kept, audio.sample_rate)


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
