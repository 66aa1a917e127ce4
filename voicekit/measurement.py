"""A recording -> everything that is measured of it, each thing once: the voice's channel, the metrics, and what the
steps that mend need to know (where somebody speaks, where it clips, which lines hum).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from logger_config import span
from voicekit import defects, quality
from voicekit.assessment import Metrics
from voicekit.audio import Audio, Recording, to_mono, voice_channels
from voicekit.complexity import complexity
from voicekit.noise import Regions, levels
from voicekit.restoration import normalise_loudness
from voicekit.screening import Excerpt

logger = logging.getLogger(__name__)
T = TypeVar("T")

HEARD_S = 30.0  # XTTS v2's released config.json: gpt_cond_len and max_ref_len
SPEECH_FOR_BANDWIDTH_S = 3.0
OPINION_WINDOWS = 3  # of 9 s: what is heard, once


@dataclass(frozen=True, eq=False)
class Measured:
    """metrics: see there. voice: the voice as one channel, at the file's rate. channels: which make it, from 0.

    speech: where somebody speaks, in seconds of `voice`. clipping: of `voice`. hum: of `voice`.
    """

    metrics: Metrics
    voice: Audio
    channels: tuple[int, ...]
    speech: Regions
    clipping: defects.Clipping
    hum: defects.Hum


@complexity(size="audio_s", time="O(n)", space="O(n)", stage="measure")
def measure(excerpt: Excerpt, *, opinion: bool = True, one_speaker: bool = False) -> Measured:
    """Measures a recording thoroughly.

    The networks that judge and that count speakers hear a fixed number of windows: a second, however long it is.

    Args:
        excerpt: the recording.
        opinion: ask DNSMOS too (half a second).
        one_speaker: it is known that one person speaks: it is a part of a recording in which nobody else was found.
    """
    from voicekit.dnsmos import dnsmos
    from voicekit.reverberation import reverb_rt60_s
    from voicekit.speakers import count_speakers
    from voicekit.speech_detection import detect_speech

    recording = excerpt.recording
    voice, channels, clipping = voice_of(recording)
    heard = normalise_loudness(first_seconds(voice, HEARD_S))  # DNSMOS hears levels, and the level counts elsewhere
    asked = _in_background(lambda: dnsmos(heard, max_windows=OPINION_WINDOWS)) if opinion else None
    with _step("Speech") as step:
        speech = detect_speech(voice)
        file = {"duration_s": excerpt.source_s, "channels": len(recording.samples),
                "sample_rate_hz": recording.sample_rate}
        pauses = _pauses(speech, voice.duration_s)
        step.note(**pauses)
    counted = _in_background(lambda: 1 if one_speaker else count_speakers(voice, speech))
    found = _basic(voice, speech)
    with _step("Room, hum and bandwidth") as step:
        hum = defects.hum(voice, speech)
        room = {
            "hum_db": hum.level_db, "hum_hz": hum.mains_hz, "bandwidth_hz": _bandwidth_hz(voice, speech),
            "reverb_rt60_s": reverb_rt60_s(voice, speech),
        }
        step.note(**room)
    with _step("Channels and speakers") as step:
        people = {
            "channel_correlation": defects.channel_correlation(recording), "speakers": counted.result(),
            "clipped_ratio": clipping.ratio, "dc_offset": defects.dc_offset(recording.samples[list(channels)]),
        }
        step.note(**people)
    opinions = {}
    if asked is not None:
        with _step("DNSMOS") as step:  # what was still to wait for
            said = asked.result()
            if said is not None:
                opinions = {"dnsmos_sig": said.sig, "dnsmos_bak": said.bak, "dnsmos_ovrl": said.ovrl}
            step.note(**opinions)
    metrics = Metrics(**file, **pauses, **found, **room, **people, **opinions)  # type: ignore[arg-type]
    return Measured(metrics, voice, channels, speech, clipping, hum)


def _in_background(work: Callable[[], T]) -> Future[T]:
    """Begins some work beside this thread: networks run outside Python's lock."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def measure_cheaply(recording: Recording) -> Metrics:
    """The measurements that cost next to nothing: no network, no search for speakers or a room."""
    voice, channels, clipping = voice_of(recording)
    heard = first_seconds(voice, HEARD_S)
    speech = quality.speech_regions(heard)
    return Metrics(
        duration_s=voice.duration_s, channels=len(recording.samples), sample_rate_hz=recording.sample_rate,
        **_pauses(speech, heard.duration_s), **_levels(heard, speech),  # type: ignore[arg-type]
        clipped_ratio=clipping.ratio, dc_offset=defects.dc_offset(recording.samples[list(channels)]),
        channel_correlation=defects.channel_correlation(recording),
        bandwidth_hz=_bandwidth_hz(heard, speech),
    )


def voice_of(recording: Recording) -> tuple[Audio, tuple[int, ...], defects.Clipping]:
    """The voice as one channel, the channels that it is made of, and its clipping.

    The mean of `voicekit.audio.voice_channels`; where the best of them is clipped it stands alone, because a mean
    would bend its flat tops, by which they are found and mended.
    """
    channels = voice_channels(recording)
    best = recording.samples[channels[0]]
    clipping = defects.clipping(best)
    if clipping.ratio > 0 or len(channels) == 1:
        return Audio(best, recording.sample_rate), channels[:1], clipping
    return to_mono(recording), channels, clipping


def first_seconds(audio: Audio, seconds: float) -> Audio:
    """The beginning of a recording; all of it where it is not longer."""
    count = round(seconds * audio.sample_rate)
    return audio if len(audio.samples) <= count else Audio(audio.samples[:count], audio.sample_rate)


def _pauses(speech: Regions, duration_s: float) -> dict[str, float]:
    speech_s = sum(end - start for start, end in speech)
    edges = np.array([0.0, *(edge for region in speech for edge in region), duration_s])
    longest_s = float(np.max(edges[1::2] - edges[::2]))
    return {"speech_s": speech_s, "silence_ratio": 1 - speech_s / duration_s, "longest_pause_s": longest_s}


def _basic(voice: Audio, speech: Regions) -> dict[str, float | None]:
    with _step("Levels and noise") as step:
        heard = [(start, min(end, HEARD_S)) for start, end in speech if start < HEARD_S]
        found = {
            **_levels(voice, speech),
            "heard_snr_db": levels(first_seconds(voice, HEARD_S), heard).snr_db,
            "loudness_lufs": quality.loudness_lufs(voice),
            "true_peak_dbtp": quality.true_peak_dbtp(voice),
            "level_spread_lu": quality.level_spread_lu(voice),
        }
        step.note(**found)
    return found


def _bandwidth_hz(voice: Audio, speech: Regions) -> float | None:
    """A few words may hold no hiss: with less than three seconds of speech the bandwidth cannot be told."""
    spoken_s = sum(end - start for start, end in speech)
    return defects.bandwidth_hz(voice, speech) if spoken_s >= SPEECH_FOR_BANDWIDTH_S else None


def _levels(voice: Audio, speech: Regions) -> dict[str, float | None]:
    found = levels(voice, speech)
    return {"speech_rms_dbfs": found.speech_rms_dbfs, "noise_floor_dbfs": found.noise_floor_dbfs,
            "snr_db": found.snr_db, "heard_snr_db": found.snr_db}


def _step(name: str) -> span:
    return span(name, done=f"Analysis step: {name}", logger=logger)
