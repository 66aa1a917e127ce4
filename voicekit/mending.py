"""A plan -> the mended sample: every step that the plan wants is tried, and kept only where a guard lets it pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from logger_config import span
from voicekit import defects, denoising, edits, guards, restoration
from voicekit.assessment import Metrics, assess
from voicekit.audio import Audio, resample
from voicekit.audio_state import changes
from voicekit.declipping import declip
from voicekit.edits import Edits, Kept
from voicekit.hum_removal import remove_hum
from voicekit.improvement import Step
from voicekit.measurement import HEARD_S, OPINION_WINDOWS, Measured, first_seconds
from voicekit.noise import Regions, levels
from voicekit.planning import LONG_S, OUTPUT_RATE_HZ, ImproveSettings, Planned, attenuation_db, worst_snr_db
from voicekit.quality import UNEVEN_LEVEL_LU
from voicekit.stretches import best_stretch

logger = logging.getLogger(__name__)

LIGHT_DB, EVERYTHING_DB = 12.0, 100.0
MOST_TURNS = 3
WORSE_OVRL, BAK_MARGIN = 0.05, 0.3  # DNSMOS differs by so much when later steps move its windows
MIN_HUM_DROP_DB = 6.0


@dataclass(frozen=True, eq=False)
class Mended:
    """audio: 24 kHz mono. steps: all of the plan. edits: the spans of the input's voice that it holds, in order."""

    audio: Audio
    steps: tuple[Step, ...]
    edits: Edits


@dataclass(eq=False)
class _Work:
    """What the steps hand on: the sample as it is, where somebody speaks in it, what it holds of the source."""

    audio: Audio
    speech: Regions
    kept: Edits
    measured: Measured
    settings: ImproveSettings

    def cut(self, spans: Edits) -> None:
        """Keeps these spans of the sample only."""
        spans = edits.on_grid(spans, self.audio.sample_rate)
        self.audio = edits.apply(self.audio, spans)
        self.speech = edits.regions_in_result(spans, self.speech)
        self.kept = edits.compose(self.kept, spans)


# A step changes the work and says what it did; None: there was nothing to do or a guard refused, said by `Refused`.
Change = Callable[[_Work], str]


class Refused(Exception):
    """A guard does not let a step pass, or it found nothing to do; the message is the reason."""


def carry_out(
    planned: tuple[Planned, ...], measured: Measured, settings: ImproveSettings, told: Callable[[Step], None]
) -> Mended:
    """Does what was planned; `told` hears of each step when it is over."""
    voice = measured.voice
    work = _Work(voice, measured.speech, edits.whole(voice.duration_s), measured, settings)
    steps = []
    for item in planned:
        steps.append(_step(item, work))
        told(steps[-1])
    return Mended(work.audio, tuple(steps), work.kept)


def _step(item: Planned, work: _Work) -> Step:
    if not item.wanted:
        logger.info("Optimisation step: %s - skipped: %s", item.name, item.reason)
        return Step(item.name, False, item.reason, 0.0)
    start = time.perf_counter()
    before = work.audio
    with span(item.name, done=f"Optimisation step: {item.name}", logger=logger) as watch:
        try:
            applied, reason = True, CHANGES[item.name](work)
        except Refused as refusal:
            applied, reason = False, str(refusal)
        watch.note(applied="yes" if applied else "no", reason=f"{item.reason}; {reason}" if reason else item.reason,
                   **changes(before, work.audio))
    said = f"{item.reason}: {reason}" if reason else item.reason
    return Step(item.name, applied, said, round(time.perf_counter() - start, 4))


# --- the steps ---------------------------------------------------------------------------------------


def _channel(work: _Work) -> str:
    return ""  # chosen before anything was measured


def _remove_dc(work: _Work) -> str:
    work.audio = _changed(restoration.remove_dc(work.audio), work.audio)
    return ""


def _declip(work: _Work) -> str:
    found = defects.clipping(work.audio.samples)  # an offset that was taken out has moved the levels
    mended = _changed(declip(work.audio, found.low, found.high), work.audio)
    change = guards.speech_change(work.audio, mended, work.speech)
    _refuse_harm(replace(change, level_db=min(change.level_db, 0.0)))  # tops that are drawn anew are louder
    left = defects.clipped_ratio(mended.samples)
    if left > found.ratio / 2:
        raise Refused(f"{left:.2%} would stay clipped")
    work.audio = mended
    return "the tops are drawn anew"


def _resample(work: _Work) -> str:
    work.audio = resample(work.audio, OUTPUT_RATE_HZ)
    return f"to {OUTPUT_RATE_HZ:,} Hz"


def _high_pass(work: _Work) -> str:
    filtered = _changed(restoration.high_pass(work.audio), work.audio)
    _keep_speech(work, filtered)
    work.audio = filtered
    return "from 70 Hz on"


def _remove_hum(work: _Work) -> str:
    found = work.measured.hum
    quieter = _changed(remove_hum(work.audio, found.lines_hz), work.audio)
    _keep_speech(work, quieter)
    left = defects.hum(quieter, work.speech).level_db or 0.0
    if (found.level_db or 0.0) - left < MIN_HUM_DROP_DB:
        raise Refused(f"it would stay at {left:.0f} dB")
    work.audio = quieter
    return f"{len(found.lines_hz)} lines taken out"


def _stretch(work: _Work) -> str:
    """The best stretch; where the beginning is as good, the beginning up to a pause."""
    found = best_stretch(work.audio, work.speech, target_s=HEARD_S)
    if found is None:
        ends = [end for _, end in work.speech if HEARD_S - 6 <= end <= LONG_S]
        found = Kept(0.0, min(max(ends, default=HEARD_S) + 0.15, work.audio.duration_s))
    work.cut((found,))
    return f"kept {found.start_s:.1f} to {found.end_s:.1f} s"


def _denoise(work: _Work) -> str:
    """Once; where it is meant to become clean and is not yet, again, until it is or a guard refuses."""
    metrics, said = work.measured.metrics, []
    for turn in range(MOST_TURNS if work.settings.denoise == "auto" else 1):
        try:
            work.audio, metrics, words = _denoise_once(work, metrics)
        except Refused:
            if turn == 0:
                raise
            break
        said.append(words)
        if not assess(metrics).has("noisy"):
            break
    return "; again: ".join(said)


def _denoise_once(work: _Work, metrics: Metrics) -> tuple[Audio, Metrics, str]:
    """As far as planned; all of it where that leaves it noisy (unless asked for less); lightly where guards refuse."""
    engine = denoising.available()[0]
    cleaned = denoising.denoise(work.audio, engine=engine, threads=work.settings.threads)
    wanted_db = attenuation_db(metrics, work.settings.denoise)
    auto = work.settings.denoise == "auto"
    depths_db = (wanted_db, EVERYTHING_DB, LIGHT_DB) if auto else (wanted_db, LIGHT_DB)
    refusals = []
    for depth_db in dict.fromkeys(depths_db):
        candidate = denoising.keep_share(work.audio, cleaned, depth_db)
        try:
            now = _less_noise(work, candidate, metrics, must_be_clean=auto and depth_db == wanted_db)
        except Refused as refusal:
            refusals.append(str(refusal))
            continue
        drop_db = guards.noise_drop_db(work.audio, candidate, work.speech)
        words = f"{engine}, {depth_db:.0f} dB; the speech stands {drop_db:.0f} dB further above the noise"
        return candidate, now, words
    raise Refused(refusals[0])


def _even_level(work: _Work) -> str:
    evened = work.audio
    for _ in range(3):  # 2.5 to one each time: a spread of 40 LU ends within bounds
        evened = restoration.even_level(evened, above_spread_lu=UNEVEN_LEVEL_LU)
    work.audio = _changed(evened, work.audio)
    return "evened out"


def _pauses(work: _Work) -> str:
    before_s = work.audio.duration_s
    shortened, kept = restoration.shorten_pauses(work.audio, work.speech)
    if shortened is work.audio:
        raise Refused("no pause is too long")
    work.cut(kept)
    return f"{before_s - work.audio.duration_s:.1f} s cut out"


def _trim(work: _Work) -> str:
    found = restoration.spoken_span(work.audio)
    if (found.start_s, found.end_s) == (0.0, work.audio.duration_s):
        raise Refused("there is none to cut")
    before_s = work.audio.duration_s
    work.cut((found,))
    return f"{before_s - work.audio.duration_s:.2f} s cut off"


def _loudness(work: _Work) -> str:
    work.audio = _changed(restoration.normalise_loudness(work.audio), work.audio)
    return "to -20 LUFS, or as far as a true peak of -3 dBTP lets it"


CHANGES: dict[str, Change] = {
    "channel": _channel, "dc_offset": _remove_dc, "declip": _declip, "resample": _resample, "high_pass": _high_pass,
    "hum": _remove_hum, "stretch": _stretch, "denoise": _denoise, "even_level": _even_level, "pauses": _pauses,
    "trim": _trim, "loudness": _loudness,
}


# --- guards ------------------------------------------------------------------------------------------


def _changed(after: Audio, before: Audio) -> Audio:
    """The steps of `restoration` give the same object back where there is nothing to do."""
    if after is before:
        raise Refused("nothing to do")
    return after


def _keep_speech(work: _Work, after: Audio) -> None:
    _refuse_harm(guards.speech_change(work.audio, after, work.speech))


def _refuse_harm(change: guards.SpeechChange) -> None:
    if change.harm:
        raise Refused(change.harm)


def _less_noise(work: _Work, after: Audio, was: Metrics, *, must_be_clean: bool) -> Metrics:
    """What is known of the noise afterwards, where there is less of it and the speech is kept.

    DNSMOS is a second opinion: it may refuse, never approve, because it can reward damage.
    """
    from voicekit.dnsmos import dnsmos

    change = guards.speech_change(work.audio, after, work.speech)
    _refuse_harm(replace(change, snr_db=min(change.snr_db, worst_snr_db(was))))
    drop_db = guards.noise_drop_db(work.audio, after, work.speech)
    if drop_db < guards.MIN_NOISE_DROP_DB:
        raise Refused(f"the noise would fall by {drop_db:.1f} dB only")
    snr_db = levels(after, work.speech).snr_db
    now = replace(was, snr_db=snr_db, heard_snr_db=snr_db)
    if was.dnsmos_ovrl is not None:  # at the level that it will have: DNSMOS hears levels too
        final = restoration.normalise_loudness(first_seconds(after, HEARD_S))
        if (said := dnsmos(final, max_windows=OPINION_WINDOWS)) is not None:
            if said.ovrl < was.dnsmos_ovrl - WORSE_OVRL:
                raise Refused(f"DNSMOS would fall from {was.dnsmos_ovrl:.2f} to {said.ovrl:.2f}")
            now = replace(now, dnsmos_bak=said.bak - BAK_MARGIN, dnsmos_ovrl=said.ovrl)
    if must_be_clean and assess(now).has("noisy"):
        raise Refused("it would stay noisy")
    return now
