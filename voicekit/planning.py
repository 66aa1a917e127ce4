"""Measurements -> which steps mend this sample, and why or why not. Nothing is done here.

A step that changes more than level, ends and rate is wanted only where its issue was raised: a good sample is left
as it is, and so is one that was mended before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from voicekit import denoising
from voicekit.assessment import Assessment, Metrics
from voicekit.measurement import HEARD_S, Measured

OUTPUT_RATE_HZ = 24_000
LONG_S = 1.2 * HEARD_S  # longer ones are cut to their best stretch, where anything is wrong with them
# How far noise is lowered, by SNR in dB: the louder it is, the deeper. What stays covers what the network bends: at
# good SNRs the voice is nearer to the original so (bench/README.md).
ATTENUATION_BY_SNR = [5.0, 10.0, 15.0, 20.0, 25.0], [60.0, 46.0, 33.0, 23.0, 15.0]
SNR_BY_BAK = [1.3, 2.0, 2.6, 3.0, 3.5], [5.0, 12.0, 19.0, 24.0, 30.0]  # white noise that gets this DNSMOS background
ATTENUATION_DB = {"light": 12.0, "strong": 60.0}  # `--denoise`
DENOISE = ("auto", "off", "light", "strong")
STEPS = ("channel", "dc_offset", "declip", "resample", "high_pass", "hum", "stretch", "denoise", "even_level", "pauses",
         "trim", "loudness")
HARMLESS = ("channel", "resample", "trim", "loudness")


@dataclass(frozen=True)
class ImproveSettings:
    """denoise: auto (where it is noisy, as far as needed), off, light, strong (both asked for: done even if clean).

    opinion: ask DNSMOS. overwrite: replace an existing output. threads: of the denoiser; 0: one a core.
    """

    denoise: str = "auto"
    opinion: bool = True
    overwrite: bool = False
    threads: int = 0


@dataclass(frozen=True)
class Planned:
    """A step of `STEPS`: wanted or not, and why, in a few words."""

    name: str
    wanted: bool
    reason: str


def plan(measured: Measured, assessment: Assessment, settings: ImproveSettings) -> tuple[Planned, ...]:
    """Every step in the order in which it would be done."""
    metrics = measured.metrics
    cleaning = [code for code in ("noisy", "hum", "dc_offset") if assessment.has(code)]
    return (
        _channel(measured),
        _if_raised(assessment, "dc_offset", "dc_offset", f"the mean is {metrics.dc_offset:+.4f} of full scale"),
        _if_raised(assessment, "clipped", "declip", f"{metrics.clipped_ratio:.2%} of the samples are clipped"),
        Planned("resample", metrics.sample_rate_hz != OUTPUT_RATE_HZ, f"{metrics.sample_rate_hz:,} Hz"),
        Planned("high_pass", bool(cleaning), ", ".join(cleaning) if cleaning else "no noise, hum or offset"),
        _hum(metrics, assessment),
        _stretch(measured, assessment),
        _denoise(metrics, assessment, settings),
        _if_raised(assessment, "uneven_level", "even_level",
                   f"the level wanders by {_db(metrics.level_spread_lu, 'LU')}"),
        _if_raised(assessment, "mostly_silence", "pauses", f"{metrics.silence_ratio:.0%} is silence, the longest"
                   f" pause {metrics.longest_pause_s:.1f} s"),
        Planned("trim", True, "silence at the ends"),
        Planned("loudness", True, f"now {_db(metrics.loudness_lufs, 'LUFS')}"),
    )


def without_risk(planned: tuple[Planned, ...]) -> tuple[Planned, ...]:
    """The same plan with nothing left in it that could harm a voice."""
    return tuple(each if each.name in HARMLESS else replace(each, wanted=False, reason="it did not make it better")
                 if each.wanted else each for each in planned)


def attenuation_db(metrics: Metrics, denoise: str) -> float:
    """How far noise is lowered, by 15 to 60 dB; or as asked for."""
    if denoise in ATTENUATION_DB:
        return ATTENUATION_DB[denoise]
    return float(np.interp(worst_snr_db(metrics), *ATTENUATION_BY_SNR))


def worst_snr_db(metrics: Metrics) -> float:
    """The worse of two witnesses: what was measured in the first 30 s, and what DNSMOS's background stands for.

    The pauses may be quieter than what lies under the voice. 0 where there is neither.
    """
    witnesses = [] if metrics.heard_snr_db is None else [metrics.heard_snr_db]
    if metrics.dnsmos_bak is not None:
        witnesses.append(float(np.interp(metrics.dnsmos_bak, *SNR_BY_BAK)))
    return min(witnesses, default=0.0)


def _if_raised(assessment: Assessment, code: str, step: str, value: str) -> Planned:
    return Planned(step, assessment.has(code), value)


def _channel(measured: Measured) -> Planned:
    count, used = measured.metrics.channels, measured.channels
    if count == 1:
        return Planned("channel", False, "there is one")
    if len(used) == count:
        return Planned("channel", True, f"the mean of {count}, which agree")
    kept = " and ".join(str(channel + 1) for channel in used)
    return Planned("channel", True, f"of {count}, {kept} {'is' if len(used) == 1 else 'are'} best")


def _hum(metrics: Metrics, assessment: Assessment) -> Planned:
    if metrics.hum_hz is None:
        return Planned("hum", False, "none is heard")
    return Planned("hum", assessment.has("hum"), f"{metrics.hum_hz:.0f} Hz and harmonics, {_db(metrics.hum_db)}")


def _stretch(measured: Measured, assessment: Assessment) -> Planned:
    long_s = measured.voice.duration_s
    if long_s <= LONG_S:
        return Planned("stretch", False, f"{long_s:.1f} s fit into the {HEARD_S:.0f} s that XTTS hears")
    if not assessment.raised:
        return Planned("stretch", False, "all of it is good")
    return Planned("stretch", True, f"XTTS hears {HEARD_S:.0f} of {long_s:.0f} s")


def _denoise(metrics: Metrics, assessment: Assessment, settings: ImproveSettings) -> Planned:
    ratio = f"speech {_db(metrics.snr_db)} above the noise"
    if settings.denoise == "off":
        return Planned("denoise", False, "switched off")
    if not denoising.available():
        return Planned("denoise", False, "no denoiser is installed for this system")
    wanted = assessment.has("noisy") or settings.denoise in ATTENUATION_DB
    by = f", lowered by up to {attenuation_db(metrics, settings.denoise):.0f} dB" if wanted else ""
    return Planned("denoise", wanted, ratio + by)


def _db(value: float | None, unit: str = "dB") -> str:
    return "not measurable" if value is None else f"{value:.1f} {unit}"
