"""Measurements -> issues, score, verdict: what the numbers mean for a voice sample. Measures nothing itself.

The score says how much XTTS is given to work with, from 0 to 100. It is derived from how XTTS v2 listens (mono, up to
8 kHz, the first 30 s, equal chunks of 4 s averaged) and from thresholds that cloning services and corpora publish;
it was not calibrated against listeners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

SEVERITIES = ("error", "warning", "info")
FAIR_SCORE = 45.0  # a sample that scores less is poor
RAISED = ("error", "warning")  # what counts against a sample; `info` never does


@dataclass(frozen=True)
class Metrics:
    """What was measured of a recording. None: it could not be told, or was not asked for.

    duration_s: of the whole recording. speech_s: somebody speaks (voice activity). silence_ratio: the share, 0 to 1,
    in which nobody does. longest_pause_s: the longest such stretch, ends included.
    channels; channel_correlation: of the two loudest, -1 to 1 (under 0: out of phase).
    sample_rate_hz: of the file; bandwidth_hz: up to where there is sound.
    loudness_lufs: integrated, ITU-R BS.1770-4; true_peak_dbtp: 4x oversampled, same, annex 2.
    speech_rms_dbfs, noise_floor_dbfs, snr_db: of the speech, of the pauses, and between them, 80 Hz to 8 kHz.
    heard_snr_db: snr_db of the first 30 s, which is what XTTS hears. level_spread_lu: how far the level wanders.
    clipped_ratio: share of samples in flat tops, 0 to 1. dc_offset: mean, -1 to 1 of full scale.
    hum_db: mains hum over the level of a quiet room, as it is heard; hum_hz: 50 or 60.
    reverb_rt60_s: time in which the room's sound falls by 60 dB, as speech shows it. speakers: 1, or 2 for several.
    dnsmos_sig, dnsmos_bak, dnsmos_ovrl: DNSMOS P.835's opinion of speech, background, all; 1 to 5; of the first
    30 s, brought to -20 LUFS, because it hears levels too.
    """

    duration_s: float
    speech_s: float
    silence_ratio: float
    longest_pause_s: float
    channels: int
    sample_rate_hz: int
    channel_correlation: float | None = None
    bandwidth_hz: float | None = None
    loudness_lufs: float | None = None
    true_peak_dbtp: float | None = None
    speech_rms_dbfs: float | None = None
    noise_floor_dbfs: float | None = None
    snr_db: float | None = None
    heard_snr_db: float | None = None
    level_spread_lu: float | None = None
    clipped_ratio: float = 0.0
    dc_offset: float = 0.0
    hum_db: float | None = None
    hum_hz: float | None = None
    reverb_rt60_s: float | None = None
    speakers: int | None = None
    dnsmos_sig: float | None = None
    dnsmos_bak: float | None = None
    dnsmos_ovrl: float | None = None


@dataclass(frozen=True)
class Issue:
    """Something wrong with a sample.

    code: one of DESIGN's (`RULES`). severity: error, warning or info; the first two are "raised".
    value, threshold: what was measured, and the bound that it crossed, in the metric's unit.
    message: what is wrong. fix: what to do. mendable: whether this tool can mend it, or only a new recording can.
    """

    code: str
    severity: str
    value: float
    threshold: float
    message: str
    fix: str
    mendable: bool

    @property
    def raised(self) -> bool:
        """Whether people are told of it: a warning or an error, no note."""
        return self.severity in RAISED

    @property
    def gone(self) -> str:
        """What is said of it where a result no longer has it: nobody mended what no tool can mend."""
        return "Mended" if self.mendable else "No longer measured"


@dataclass(frozen=True)
class Assessment:
    """score: 0 to 100, the product of `parts` (each 0 to 1). issues: the worst first. verdict: one word."""

    score: float
    parts: Mapping[str, float]
    issues: tuple[Issue, ...]

    @property
    def verdict(self) -> str:
        """excellent, good, fair, poor, or unusable (an error, or a score under 20)."""
        worst = {issue.severity for issue in self.issues}
        if self.score < 20 or "error" in worst:
            return "unusable" if self.score < 20 or any(issue.code == "no_speech" for issue in self.issues) else "poor"
        names = ((85, "excellent"), (70, "good"), (FAIR_SCORE, "fair"), (0, "poor"))
        return next(name for least, name in names if self.score >= least)

    @property
    def raised(self) -> tuple[Issue, ...]:
        """The issues that count."""
        return tuple(issue for issue in self.issues if issue.raised)

    def has(self, code: str) -> bool:
        """Whether this issue was raised."""
        return any(issue.code == code for issue in self.raised)


def assess(metrics: Metrics) -> Assessment:
    """Issues and score of what was measured."""
    parts = {name: round(quality, 4) for name, quality in _parts(metrics).items()}
    found = sorted((issue for rule in RULES if (issue := rule.judge(metrics))), key=_rank)
    if any(issue.code == "no_speech" for issue in found):  # nothing else can be said of a voice that is not there
        found = [issue for issue in found if issue.code == "no_speech"]
    once = {issue.code: issue for issue in reversed(found)}  # a code of two rules: the worse one stays
    found = sorted(once.values(), key=_rank)
    return Assessment(round(100 * float(np.prod(list(parts.values()))), 1), parts, tuple(found))


def _rank(issue: Issue) -> int:
    return SEVERITIES.index(issue.severity)


def recommendations(assessment: Assessment) -> list[str]:
    """What to do, the most important first; one sentence an issue."""
    return [f"{issue.message} {issue.fix}" for issue in assessment.raised]


def metric_values(metrics: Metrics) -> dict[str, float | int | None]:
    """All metrics by name, rounded to four decimals, for JSON and reports."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(metrics).items()}


# --- the score ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """A part of the score: quality 0 to 1 by a metric's value, straight between the points, constant outside.

    source: where the points come from; what lies between them is ours.
    """

    part: str
    metric: str
    points: tuple[tuple[float, float], ...]
    source: str

    def quality(self, metrics: Metrics) -> float | None:
        """The part of the score, 0 to 1, between the curve's points; None where the metric could not be measured."""
        value = getattr(metrics, self.metric)
        if value is None:
            return None
        at, qualities = zip(*self.points, strict=True)
        return float(np.interp(abs(value) if self.metric == "dc_offset" else value, at, qualities))


CURVES = (
    Curve("length", "speech_s", ((0, 0.02), (3, 0.5), (6, 0.9), (10, 1.0)),
          "XTTS model card: a 6 second clip, over 3 at least; other services ask for 10 (Sarvam, Chatterbox)"),
    Curve("noise", "heard_snr_db", ((-5, 0.06), (0, 0.12), (10, 0.4), (20, 0.75), (35, 0.98), (45, 1.0)),
          "Azure's guide to recording custom voices: over 35 dB, under 20 obvious noise; of the first 30 s"),
    Curve("clipping", "clipped_ratio", ((0, 1.0), (5e-5, 0.95), (1e-3, 0.8), (1e-2, 0.55), (0.1, 0.3), (0.5, 0.1)),
          "ours: clipping over a tenth of a percent is heard"),
    Curve("room", "reverb_rt60_s", ((0.28, 1.0), (0.45, 0.85), (0.75, 0.6), (1.1, 0.4), (2.0, 0.2)),
          "ours: dry speech reads up to 0.28 s, a furnished room 0.3 to 0.5 s"),
    Curve("bandwidth", "bandwidth_hz", ((1000, 0.1), (3400, 0.4), (5500, 0.8), (7000, 1.0)),
          "XTTS's mel spectrum ends at 8 kHz (TTS/tts/models/xtts.py); telephone speech ends at 3.4 kHz (ITU-T G.712)"),
    Curve("hum", "hum_db", ((0, 1.0), (6, 0.9), (15, 0.65), (25, 0.4), (45, 0.15)), "ours: 0 is a quiet room's level"),
    Curve("pauses", "silence_ratio", ((0.25, 1.0), (0.45, 0.85), (0.95, 0.3)),
          "coqui-ai/TTS PR 3207: references with many silent segments; chunks are averaged with equal weight"),
    Curve("level", "speech_rms_dbfs", ((-70, 0.3), (-45, 0.7), (-28, 1.0), (-14, 1.0), (-6, 0.7)),
          "ElevenLabs, ACX: -23 to -18 dB RMS; XTTS's conditioning spectrum is not normalised"),
    Curve("steadiness", "level_spread_lu", ((6, 1.0), (12, 0.85), (20, 0.6)), "ours, see quality.level_spread_lu"),
    Curve("offset", "dc_offset", ((0.001, 1.0), (0.01, 0.97), (0.1, 0.7)), "ours"),
    Curve("phase", "channel_correlation", ((-1, 0.5), (-0.3, 0.9), (0, 1.0)),
          "coqui averages the channels: opposite ones cancel"),
    Curve("speakers", "speakers", ((1, 1.0), (2, 0.6)), "one voice is cloned from all that is heard"),
    Curve("opinion", "dnsmos_ovrl", ((1, 0.35), (2, 0.65), (2.8, 0.92), (3.2, 1.0)),
          "DNSMOS P.835; the Emilia corpus keeps recordings from 3.0 on"),
)


def _parts(metrics: Metrics) -> dict[str, float]:
    found = {curve.part: curve.quality(metrics) for curve in CURVES}
    return {part: quality for part, quality in found.items() if quality is not None}


# --- the issues --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """When a metric becomes an issue: beyond a bound, upwards where `above`, else downwards.

    bounds: severity -> threshold, in the metric's unit. message: `{value}` and `{threshold}` are filled in.
    unless: another metric and its value above which the rule says nothing (not measured: it is not above).
    """

    code: str
    metric: str
    bounds: Mapping[str, float]
    above: bool
    message: str
    fix: str
    mendable: bool
    unless: tuple[str, float] | None = None

    def judge(self, metrics: Metrics) -> Issue | None:
        """What the metric says is wrong with the sample; None if nothing is, or nothing was measured."""
        value = getattr(metrics, self.metric)
        if value is None or self._is_excused(metrics):
            return None
        value = abs(value) if self.metric == "dc_offset" else value
        for severity in SEVERITIES:
            bound = self.bounds.get(severity)
            if bound is not None and (value > bound if self.above else value < bound):
                said = self.message.format(value=value, threshold=bound)
                return Issue(self.code, severity, round(float(value), 4), bound, said, self.fix, self.mendable)
        return None

    def _is_excused(self, metrics: Metrics) -> bool:
        if self.unless is None:
            return False
        metric, above = self.unless
        other = getattr(metrics, metric)
        return other is not None and other > above


ABOVE_NOISE = "The voice is {value:.0f} dB above the noise; from 35 dB on it is clean."
BEHIND_VOICE = "There is noise behind the voice (DNSMOS background {value:.1f} of 5)."
QUIETER = "Denoising helps; a quiet room helps more."
NOWHERE = "Only a new recording can mend this: "
RULES = (
    Rule("no_speech", "speech_s", {"error": 0.25}, False, "No speech was found.",
         NOWHERE + "record somebody who speaks, near the microphone.", False),
    Rule("too_short", "speech_s", {"error": 2.0, "warning": 4.0, "info": 9.0}, False,
         "There are {value:.1f} s of speech; 6 to 30 s clone better.",
         NOWHERE + "read aloud for 15 seconds.", False),
    # Two witnesses. Of 91 clean voices one read 18.7 dB (DNSMOS 4.1), five 22 to 24 dB, two DNSMOS 2.8 and 3.0.
    Rule("noisy", "snr_db", {"error": 10.0, "warning": 15.0}, False, ABOVE_NOISE, QUIETER, True),
    Rule("noisy", "snr_db", {"warning": 20.0, "info": 30.0}, False, ABOVE_NOISE, QUIETER, True,
         unless=("dnsmos_bak", 3.7)),
    Rule("noisy", "dnsmos_bak", {"warning": 3.2}, False, BEHIND_VOICE, QUIETER, True, unless=("snr_db", 22.0)),
    Rule("noisy", "dnsmos_bak", {"warning": 2.8}, False, BEHIND_VOICE, QUIETER, True),
    Rule("clipped", "clipped_ratio", {"error": 0.001, "warning": 0.00005}, True,
         "{value:.2%} of the samples are clipped (cut off at the top).",
         "Light clipping is mended; better record again with less gain.", True),
    Rule("reverberant", "reverb_rt60_s", {"error": 0.75, "warning": 0.45}, True,
         "The room is heard: it takes {value:.1f} s to fall silent.",
         NOWHERE + "go nearer to the microphone, into a room with carpets and curtains.", False),
    Rule("hum", "hum_db", {"error": 14.0, "warning": 5.5}, True,
         "Mains hum is heard, {value:.0f} dB above a quiet room.",
         "It is taken out; look for a ground loop or a power supply.", True),
    Rule("narrow_band", "bandwidth_hz", {"error": 4200.0, "warning": 5500.0, "info": 6500.0}, False,
         "The recording ends at {value:,.0f} Hz; XTTS hears up to 8,000 Hz.",
         NOWHERE + "not through a telephone or a voice messenger.", False),
    Rule("several_speakers", "speakers", {"warning": 1}, True,
         "More than one person seems to speak.",
         NOWHERE + "cut out the part with one voice.", False),
    Rule("too_quiet", "speech_rms_dbfs", {"error": -60.0, "warning": -40.0, "info": -32.0}, False,
         "The voice is quiet ({value:.0f} dBFS).", "It is raised; its noise is raised with it.", True),
    Rule("too_loud", "speech_rms_dbfs", {"warning": -11.0}, True,
         "The voice is very loud ({value:.0f} dBFS).", "It is turned down.", True),
    Rule("uneven_level", "level_spread_lu", {"warning": 9.0, "info": 7.0}, True,
         "The level wanders by {value:.0f} LU.", "It is evened out; keep your distance to the microphone.", True),
    Rule("mostly_silence", "silence_ratio", {"error": 0.7, "warning": 0.4}, True,
         "{value:.0%} of the recording is silence.", "Pauses are shortened.", True),
    Rule("dc_offset", "dc_offset", {"error": 0.1, "warning": 0.03, "info": 0.005}, True,
         "The signal stands {value:.3f} of full scale off zero.", "It is taken out.", True),
    Rule("out_of_phase", "channel_correlation", {"error": -0.8, "warning": -0.6}, False,
         "The channels oppose each other (correlation {value:.1f}): their mean would cancel the voice.",
         "One channel is taken.", True),
)
