"""The ends of a take: silence, and a little babble after the text, are taken off; the speech is left alone.

Plain silence may go in any length. Of sound at most `MAX_BABBLE_S` seconds go, all of a babble or none of it: half a
babble is no better. Who says that it is babble is `voicekit.takes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicekit.audio import Audio
from voicekit.complexity import complexity
from voicekit.takes import LEVEL_S, Take, loud_level, sound_levels

START_MARGIN_S, END_MARGIN_S = 0.05, 0.1  # what stays: an onset builds up faster than a last sound dies away
MAX_BABBLE_S = 0.3
SILENCE_DB = 40.0  # so far under the loud sounds is plain silence; soft consonants lie up to 35 dB under
SILENT_DBFS = -70.0  # a take whose loud sounds are under this has no ends


@dataclass(frozen=True)
class Trimmed:
    """A take without its useless ends.

    start_s, end_s: seconds that were taken from the start and from the end.
    reason: what they were, one clause; None when nothing was taken.
    """

    audio: Audio
    start_s: float
    end_s: float
    reason: str | None


@complexity(size="samples", time="O(n)", space="O(n)")
def trim_ends(take: Take, *, greedy: bool, babble_from_s: float | None = None) -> Trimmed:
    """Take the silence off both ends down to a margin, and a babble of at most 0.3 s off the end.

    Args:
        take: as it was vocoded.
        greedy: only plain silence goes; a greedy take is to stay what the model says.
        babble_from_s: of `takes.babble_start`.

    Returns:
        The samples between the ends, none of them changed; all of them where the whole take is silent.
    """
    import numpy as np

    levels = sound_levels(take.audio)
    loud = loud_level(levels)
    sounds = np.flatnonzero(levels > loud - SILENCE_DB)
    if loud < SILENT_DBFS or not sounds.size:
        return Trimmed(take.audio, 0.0, 0.0, None)
    kept = sounds
    if babble_from_s is not None and not greedy:
        kept = sounds[sounds < round(babble_from_s / LEVEL_S)]
        if not kept.size or (sounds.size - kept.size) * LEVEL_S > MAX_BABBLE_S:
            kept = sounds
    babble_s = float(sounds.size - kept.size) * LEVEL_S
    return _cut(take.audio, float(kept[0]) * LEVEL_S, float(kept[-1] + 1) * LEVEL_S, babble_s)


def _cut(audio: Audio, first_s: float, last_s: float, babble_s: float) -> Trimmed:
    rate, length = audio.sample_rate, audio.samples.size
    start = max(0, round((first_s - START_MARGIN_S) * rate))
    end = min(length, round((last_s + END_MARGIN_S) * rate))
    if length - end < LEVEL_S * rate:  # less than was looked at
        end = length
    start_s, end_s = start / rate, (length - end) / rate
    return Trimmed(Audio(audio.samples[start:end], rate), start_s, end_s, _reason(start_s, end_s, babble_s))


def _reason(start_s: float, end_s: float, babble_s: float) -> str | None:
    parts = [f"{start_s:.2f} s of silence at the start"] if start_s else []
    if end_s:
        babble = f", {babble_s:.2f} s of them babble," if babble_s else " of silence"
        parts.append(f"{end_s:.2f} s{babble} at the end")
    return " and ".join(parts) or None
