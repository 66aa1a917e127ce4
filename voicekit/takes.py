"""One take of a segment -> what is wrong with it; several takes -> the best one.

XTTS sometimes misses its end: it speaks on without a text, repeats itself, falls silent, or stops early. Each judge
here asks one question of the sound, the codes and the text. A fault is a suspicion: it is worth another take, never
a reason to refuse one. A checkpoint that speaks noise is judged like any other.
Measured on 870 recordings of read and synthesised English; changes nothing, and knows nothing of the model.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicekit.audio import Audio
from voicekit.complexity import complexity
from voicekit.loops import Loop, loop_in_codes, loop_in_sound
from voicekit.quality import speech_regions
from voicekit.speaking_rate import SpokenSeconds, spoken_seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAUSE_S = 0.3  # a shorter gap is a stop consonant, and counts as speech
LONG_SILENCE_S, EXPLAINED_SILENCE_S = 1.5, 3.0  # the second where the text itself hesitates ("...")
BEFORE_BABBLE_S = 0.35  # the pause after which sound is suspected
ENOUGH = 0.7  # of a text's typical seconds: it may have been spoken in them
SAME_PLACE, SAME_PLACE_S = 0.08, 0.25  # of a text, or in seconds: a pause this near to a mark is that mark's
MURMUR_S, MURMUR_DB = 0.5, 25.0  # sound so long and so far under the speech, at the end
LEVEL_S = 0.010
CEILING_WEIGHT, SILENT_WEIGHT, MISSING_WEIGHT = 10.0, 30.0, 2.0  # what is missing is worse than what is too much

_HESITATES = re.compile(r"\.\.\.|…|⋯")
_MARK = re.compile(r"(?:[.,;:!?)\]-]+(?=\s)|[–—…。，、！？；：；؟،؛।])(?=\W*\w)")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+")
LONGEST_REPEAT, REPEAT_RANGE = 8, 3.0  # words; a word said again with stress and pauses takes up to so many times


@dataclass(frozen=True, eq=False)
class Take:
    """One attempt at a segment.

    audio: 24 kHz, mono, float32, as vocoded.
    codes: int64 [n], the stop code included when it came.
    stopped: False when the ceiling of codes was reached without a stop code.
    """

    audio: Audio
    codes: NDArray[np.int64]
    stopped: bool


@dataclass(frozen=True)
class Fault:
    """What is suspicious about a take.

    code: ceiling, too_long, too_short, loop, babble or silence.
    reason: one clause with figures; never a word of the text.
    weight: about how many seconds are wrong, above 0; it ranks takes.
    """

    code: str
    reason: str
    weight: float


@complexity(size="samples", time="O(n)", space="O(n)")
def faults(take: Take, text: str, language: str, speed: float) -> tuple[Fault, ...]:
    """Everything suspicious about a take; empty for a good one.

    Args:
        take: the attempt.
        text: what it should say, as it is spoken.
        language: one of `voicekit.text.LANGUAGES`.
        speed: times as fast as normal; all plausible seconds are divided by it.
    """
    regions = speech_regions(take.audio, join_s=PAUSE_S)
    found: list[Fault | None] = [_ceiling(take)]
    if not regions:
        found.append(Fault("silence", "it is silent throughout", SILENT_WEIGHT))
        return tuple(fault for fault in found if fault)
    plausible = spoken_seconds(text, language, speed)
    found.append(_rate(_spoken_s(regions), plausible))
    found.append(_loop(take, text, language))
    found.append(_babble(take, text, language, speed, regions))
    found.append(_silence(take.audio.duration_s, regions, text, speed))
    return tuple(fault for fault in found if fault)


def best(judged: Sequence[tuple[Take, tuple[Fault, ...]]]) -> int:
    """The number of the best take: the first without faults, else the first of the least weight."""
    return min(range(len(judged)), key=lambda number: sum(fault.weight for fault in judged[number][1]))


def babble_start(take: Take, text: str, language: str, speed: float) -> float | None:
    """From which second a take speaks on although its text must be over; None where it does not, or nobody can say.

    Sound after a pause, where the seconds before it are enough for the whole text and no mark of the text explains
    the pause; or a murmur far under the level of the speech.
    """
    return _babble_start(take, text, language, speed, speech_regions(take.audio, join_s=PAUSE_S))


# --- judges --------------------------------------------------------------------------------------


def _ceiling(take: Take) -> Fault | None:
    if take.stopped:
        return None
    return Fault("ceiling", f"it did not stop within {take.codes.size} codes", CEILING_WEIGHT)


def _rate(spoken_s: float, plausible: SpokenSeconds) -> Fault | None:
    if spoken_s > plausible.most:
        reason = f"it speaks for {spoken_s:.1f} s, plausible are {plausible.most:.1f} s at most"
        return Fault("too_long", reason, spoken_s - plausible.typical)
    if spoken_s < plausible.least:
        reason = f"it speaks for {spoken_s:.1f} s, plausible are {plausible.least:.1f} s at least"
        return Fault("too_short", reason, MISSING_WEIGHT * (plausible.typical - spoken_s))
    return None


def _loop(take: Take, text: str, language: str) -> Fault | None:
    in_codes = _audible_loop_in_codes(take)
    if in_codes:
        start_s, end_s, period_s = in_codes
        return Fault("loop", f"its codes repeat from {start_s:.1f} to {end_s:.1f} s", end_s - start_s - period_s)
    heard = loop_in_sound(take.audio)
    if heard is None or _said_again(text, language, heard):
        return None
    seconds = f"{heard.period_s:.1f} s of sound are heard {heard.times} times from {heard.start_s:.1f} s on"
    return Fault("loop", seconds, heard.end_s - heard.start_s - heard.period_s)


def _audible_loop_in_codes(take: Take) -> tuple[float, float, float] | None:
    """Start, end and period in seconds; a pause repeats its codes too, and is no loop."""
    import numpy as np

    found = loop_in_codes(take.codes)
    if found is None:
        return None
    code_s = take.audio.duration_s / take.codes.size
    start_s, end_s, period_s = (places * code_s for places in found)
    levels = sound_levels(take.audio)
    within = levels[round(start_s / LEVEL_S) : round(end_s / LEVEL_S)]
    audible = bool(within.size) and float(np.median(within)) > loud_level(levels) - 30.0
    return (start_s, end_s, period_s) if audible else None


def _said_again(text: str, language: str, heard: Loop) -> bool:
    """Whether the text itself says the same words so many times in a row, and these take about that long."""
    words = [word.casefold() for word in _WORD.findall(text)]
    for length in range(1, LONGEST_REPEAT + 1):
        for at in range(len(words) - heard.times * length + 1):
            unit = words[at : at + length]
            if words[at : at + heard.times * length] == unit * heard.times:
                typical = spoken_seconds(" ".join(unit), language).typical
                if heard.period_s / REPEAT_RANGE <= typical <= heard.period_s * REPEAT_RANGE:
                    return True
    return False


def _babble(take: Take, text: str, language: str, speed: float, regions: list[tuple[float, float]]) -> Fault | None:
    start_s = _babble_start(take, text, language, speed, regions)
    if start_s is None:
        return None
    seconds = regions[-1][1] - start_s
    return Fault("babble", f"{seconds:.1f} s of sound follow from {start_s:.1f} s on, after the text is over", seconds)


def _babble_start(
    take: Take, text: str, language: str, speed: float, regions: list[tuple[float, float]]
) -> float | None:
    typical = spoken_seconds(text, language, speed).typical
    marks = mark_places(text, language)
    all_s, before_s = _spoken_s(regions), 0.0
    near = max(SAME_PLACE, SAME_PLACE_S / all_s) if all_s else 0.0
    for region, following in itertools.pairwise(regions):
        before_s += region[1] - region[0]
        explained = any(abs(mark - before_s / all_s) <= near for mark in marks)
        if following[0] - region[1] >= BEFORE_BABBLE_S / speed and before_s >= ENOUGH * typical and not explained:
            return following[0]
    murmur_s = _murmur_start(take.audio, regions[-1]) if regions else None
    if murmur_s is None or all_s - (regions[-1][1] - murmur_s) < ENOUGH * typical:
        return None
    return murmur_s


def _murmur_start(audio: Audio, last: tuple[float, float]) -> float | None:
    """Where the last stretch of speech sinks far under the level of the whole for good, and sounds on."""
    import numpy as np

    levels = sound_levels(audio)
    loud = np.flatnonzero(levels[: round(last[1] / LEVEL_S)] > loud_level(levels) - MURMUR_DB)
    start_s = float(loud[-1] + 1) * LEVEL_S if loud.size else 0.0
    return start_s if start_s > last[0] and last[1] - start_s >= MURMUR_S else None


def mark_places(text: str, language: str) -> tuple[float, ...]:
    """Where in the text its inner punctuation stands, as shares of the time that it takes: 0 to 1."""
    whole = spoken_seconds(text, language).typical
    if whole == 0.0:
        return ()
    return tuple(spoken_seconds(text[: mark.start()], language).typical / whole for mark in _MARK.finditer(text))


def _silence(duration_s: float, regions: list[tuple[float, float]], text: str, speed: float) -> Fault | None:
    bound_s = (EXPLAINED_SILENCE_S if _HESITATES.search(text) else LONG_SILENCE_S) / speed
    gaps = [(after[0] - before[1], before[1]) for before, after in itertools.pairwise(regions)]
    longest_s, at_s = max([*gaps, (duration_s - regions[-1][1], regions[-1][1]), (regions[0][0], 0.0)])
    if longest_s < bound_s:
        return None
    return Fault("silence", f"it is silent for {longest_s:.1f} s from {at_s:.1f} s on", longest_s - bound_s + 0.1)


# --- sound ---------------------------------------------------------------------------------------


def _spoken_s(regions: list[tuple[float, float]]) -> float:
    return sum(end - start for start, end in regions)


def sound_levels(audio: Audio) -> NDArray[np.float32]:
    """The level of each 10 ms in dBFS, at least -120: float32 [n], a last incomplete one left out."""
    import numpy as np

    step = round(LEVEL_S * audio.sample_rate)
    whole = audio.samples[: audio.samples.size // step * step].reshape(-1, step)
    power = np.einsum("ts,ts->t", whole, whole) / step
    return np.asarray(10 * np.log10(power + 1e-12), dtype=np.float32)


def loud_level(levels: NDArray[np.float32]) -> float:
    """The level of the loud sounds, dBFS: the 95th percentile, or the loudest 0.3 s where that is less."""
    import numpy as np

    if not levels.size:
        return -120.0
    return float(np.percentile(levels, max(95.0, 100.0 - 100.0 * 0.3 / LEVEL_S / levels.size)))
