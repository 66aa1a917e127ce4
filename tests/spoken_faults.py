"""Takes as XTTS makes them, good ones and faulty ones, without XTTS: sound and codes made here.

The sound is no speech, but it has what the judges look at: syllables that never come again, pauses at the marks of
the text, the pace of reading, a quiet floor.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio
from voicekit.takes import Take

RATE_HZ = 24_000
CODE_S = 1_024 / 22_050  # one audio code of XTTS v2
STOP_CODE, CEILING = 1_025, 602
SYLLABLE_S = 0.2  # three letters
FLOOR = 10 ** (-75 / 20)

Floats = NDArray[np.float32]
TEXT = "The ship had left the harbour before dawn, and nobody on the quay could say where it was bound."


def good(text: str = TEXT, *, seed: int = 0, pace: float = 1.0) -> Take:
    """A take that says the text once, `pace` times as fast as people read."""
    return take(_read(text, seed, pace))


def looping(text: str = TEXT, *, seed: int = 0, phrase_s: float = 1.0, times: int = 4, in_codes: bool = False) -> Take:
    """From one second on a phrase comes again and again; its codes too, or new ones each time."""
    said = good(text, seed=seed)
    start, length = RATE_HZ, round(phrase_s * RATE_HZ)
    phrase = said.audio.samples[start : start + length]
    parts = (said.audio.samples[:start], np.tile(phrase, times), said.audio.samples[start + length :])
    looped = take(np.concatenate(parts))
    if in_codes:
        first, period = round(1.0 / CODE_S), round(phrase_s / CODE_S)
        looped.codes[first : first + times * period] = np.tile(looped.codes[first : first + period], times)
    return looped


def babbling(text: str = TEXT, *, seed: int = 0, seconds: float = 1.5, after_s: float = 0.5, pace: float = 1.0) -> Take:
    """The text is said; after a pause the voice goes on."""
    rng = np.random.default_rng(seed + 1_000)
    more = _syllables(seconds, rng, seconds / max(1, round(seconds / SYLLABLE_S)))
    return take(np.concatenate([good(text, seed=seed, pace=pace).audio.samples, _quiet(after_s, rng), more]))


def murmuring(text: str = TEXT, *, seed: int = 0, seconds: float = 1.2, under_db: float = 32.0) -> Take:
    """The text is said, and the voice goes on at once, much more quietly."""
    rng = np.random.default_rng(seed + 2_000)
    more = _syllables(seconds, rng, SYLLABLE_S, gaps=False) * np.float32(10 ** (-under_db / 20))
    return take(np.concatenate([good(text, seed=seed).audio.samples, more]))


def never_stopping(text: str = TEXT, *, seed: int = 0) -> Take:
    """It speaks until the ceiling of codes."""
    sound = _syllables(CEILING * CODE_S, np.random.default_rng(seed), SYLLABLE_S)
    codes = np.random.default_rng(seed).integers(0, 1_024, CEILING)
    return Take(Audio(sound[: round(CEILING * CODE_S * RATE_HZ)], RATE_HZ), codes, False)


def falling_silent(text: str = TEXT, *, seed: int = 0, seconds: float = 3.0, at: float = 0.5) -> Take:
    """It is silent for a while, at this share of the take; 1 is its end."""
    rng = np.random.default_rng(seed)
    said = good(text, seed=seed).audio.samples
    place = round(at * said.size)
    return take(np.concatenate([said[:place], _quiet(seconds, rng), said[place:]]))


def noise(seconds: float = 6.0, *, seed: int = 0) -> Take:
    """What an untrained checkpoint says."""
    return take((0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32))


def take(samples: Floats, *, stopped: bool = True) -> Take:
    """With codes that do not repeat, as many as the sound is long."""
    codes = np.random.default_rng(samples.size).integers(0, 1_024, max(1, round(samples.size / RATE_HZ / CODE_S)))
    codes[-1] = STOP_CODE
    return Take(Audio(samples.astype(np.float32), RATE_HZ), codes, stopped)


def silence(seconds: float) -> Floats:
    """A quiet floor, float32."""
    return _quiet(seconds, np.random.default_rng(7))


@functools.cache
def _read(text: str, seed: int, pace: float) -> Floats:
    """Clause by clause, 15 characters a second times the pace, 0.35 s of quiet between clauses."""
    rng = np.random.default_rng(seed)
    clauses = [clause for clause in text.replace(".", ",").split(",") if clause.strip()]
    parts: list[Floats] = [_quiet(0.1, rng)]
    for clause in clauses:
        parts += [_syllables(len(clause.strip()) / 15 / pace, rng, SYLLABLE_S / pace), _quiet(0.4, rng)]
    return np.concatenate([*parts[:-1], _quiet(0.1, rng)])


def _syllables(seconds: float, rng: np.random.Generator, length_s: float, *, gaps: bool = True) -> Floats:
    count = max(1, round(seconds / length_s))
    return np.concatenate([_syllable(length_s, rng, gaps) for _ in range(count)])


def _syllable(seconds: float, rng: np.random.Generator, gaps: bool) -> Floats:
    """A burst of noise and a buzz with three formants of its own, of its own length and level."""
    size = round(seconds * rng.uniform(0.75, 1.25) * RATE_HZ)
    time = np.arange(size) / RATE_HZ
    pitch = rng.uniform(100, 150)
    phase = 2 * np.pi * pitch * (time + rng.uniform(-0.1, 0.1) * time**2 / seconds)
    formants = [(rng.uniform(300, 900), 100), (rng.uniform(900, 2_300), 150), (rng.uniform(2_300, 3_800), 250)]
    voice = np.zeros(size)
    for harmonic in range(1, 34):
        strength = sum(np.exp(-0.5 * ((harmonic * pitch - centre) / width) ** 2) for centre, width in formants)
        if strength > 0.01:
            voice += strength / harmonic**0.5 * np.sin(harmonic * phase)
    shape = np.sin(np.pi * np.clip(np.arange(size) / size, 0, 1)) ** 0.5 if gaps else np.ones(size)
    burst = rng.standard_normal(size) * (np.arange(size) < 0.2 * size) * rng.uniform(0.05, 0.3)
    sound = rng.uniform(0.1, 0.2) * shape * (voice / np.abs(voice).max() + burst)
    return (sound + FLOOR * rng.standard_normal(size)).astype(np.float32)


def _quiet(seconds: float, rng: np.random.Generator) -> Floats:
    return (FLOOR * rng.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)
