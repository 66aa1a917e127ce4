"""What each metric, issue, step and part of the score is called, and how its values are written for people.

Judges nothing: whether a value is good was said by the assessment, here it is only looked up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from voicekit.assessment import Assessment, Issue, Metrics

DASH = "\u2013"  # what stands for a value that could not be told
MINUS = "\u2212"

MARKS = ("good", "ok", "weak", "bad")  # the best first
_MARK_OF_SEVERITY = {"info": "ok", "warning": "weak", "error": "bad"}
_LEAST_QUALITY = ((0.9, "good"), (0.7, "ok"), (0.45, "weak"), (-math.inf, "bad"))


@dataclass(frozen=True)
class MetricWords:
    """How people are told about one metric.

    name: of the field of `Metrics`. label, explanation: what it is, in a word and in a sentence without jargon.
    unit, decimals, scale: how a value is written, after it was multiplied by `scale`.
    better: 1 where more is better, -1 where less is, 0 where neither is. least: the change (in the metric's own unit)
    under which two values are as good as the same. codes, part: the issues and the part of the score that judge it.
    """

    name: str
    label: str
    explanation: str
    unit: str = ""
    decimals: int = 1
    scale: float = 1.0
    better: int = 0
    least: float = 0.0
    codes: tuple[str, ...] = ()
    part: str = ""


GROUPS: tuple[tuple[str, tuple[MetricWords, ...]], ...] = (
    ("Speech", (
        MetricWords("speech_s", "Speech", "how long somebody speaks", "s", codes=("too_short", "no_speech"),
                    part="length", least=0.5),
        MetricWords("duration_s", "Length", "of the whole recording", "s"),
        MetricWords("silence_ratio", "Silence", "share in which nobody speaks", "%", 0, 100, -1, 0.03,
                    ("mostly_silence",), "pauses"),
        MetricWords("longest_pause_s", "Longest pause", "start and end included", "s", better=-1, least=0.2),
        MetricWords("speakers", "Voices", "2: several; one is wanted", decimals=0, better=-1,
                    codes=("several_speakers",), part="speakers"),
    )),
    ("Background and room", (
        MetricWords("snr_db", "Voice over noise", "how far the voice stands above its pauses", "dB",
                    better=1, least=1.0, codes=("noisy",)),
        MetricWords("heard_snr_db", "Voice over noise, first 30 s", "which is what XTTS hears", "dB", better=1,
                    least=1.0, codes=("noisy",), part="noise"),
        MetricWords("noise_floor_dbfs", "Noise level", "in the pauses, under full scale", "dBFS"),
        MetricWords("hum_db", "Mains hum", "above the noise beside it", "dB", better=-1, least=1.0, codes=("hum",),
                    part="hum"),
        MetricWords("hum_hz", "Hum frequency", "50 or 60 Hz, by country", "Hz", 0),
        MetricWords("reverb_rt60_s", "Echo of the room", "time to fall silent (by 60 dB)", "s", 2,
                    better=-1, least=0.05, codes=("reverberant",), part="room"),
    )),
    ("Level", (
        MetricWords("speech_rms_dbfs", "Level of the voice", "mean, under full scale", "dBFS",
                    codes=("too_quiet", "too_loud"), part="level"),
        MetricWords("loudness_lufs", "Loudness", "as the ear weighs it; \u221220 is aimed at", "LUFS"),
        MetricWords("true_peak_dbtp", "Highest peak", "0 is full scale", "dBTP"),
        MetricWords("level_spread_lu", "Wandering of the level", "from soft to loud stretches", "LU",
                    better=-1, least=0.5, codes=("uneven_level",), part="steadiness"),
    )),
    ("Signal", (
        MetricWords("bandwidth_hz", "Sound up to", "XTTS hears up to 8 kHz", "kHz", 1, 0.001, codes=("narrow_band",),
                    part="bandwidth"),
        MetricWords("clipped_ratio", "Clipped", "share of samples cut off at the top", "%", 2, 100, -1, 5e-5,
                    ("clipped",), "clipping"),
        MetricWords("dc_offset", "Offset from zero", "a fault of sound cards", "%", 2, 100, 0, 5e-4,
                    ("dc_offset",), "offset"),
        MetricWords("sample_rate_hz", "Sample rate", "of the file", "kHz", 2, 0.001),
        MetricWords("channels", "Channels", "1 is mono", decimals=0),
        MetricWords("channel_correlation", "Likeness of channels", "1: the same; under 0: opposed", "",
                    2, codes=("out_of_phase",), part="phase"),
    )),
    ("A listener\u2019s opinion, as a network predicts it (DNSMOS, 1 to 5)", (
        MetricWords("dnsmos_ovrl", "Overall", "", "", 2, better=1, least=0.1, part="opinion"),
        MetricWords("dnsmos_sig", "The voice", "is it undistorted?", "", 2, better=1, least=0.1),
        MetricWords("dnsmos_bak", "The background", "is it quiet?", "", 2, better=1, least=0.1, codes=("noisy",)),
    )),
)
WORDS = tuple(words for _, group in GROUPS for words in group)

ISSUES = {
    "no_speech": "No speech", "too_short": "Too short", "noisy": "Background noise", "clipped": "Clipping",
    "reverberant": "Echo of the room", "hum": "Mains hum", "narrow_band": "Dull, narrow sound",
    "several_speakers": "Several voices", "too_quiet": "Too quiet", "too_loud": "Too loud",
    "uneven_level": "Wandering level", "mostly_silence": "Mostly silence", "dc_offset": "Offset from zero",
    "out_of_phase": "Channels against each other",
}
PARTS = {
    "length": "Enough speech", "noise": "Little noise", "clipping": "No clipping", "room": "Little echo",
    "bandwidth": "Full sound", "hum": "No hum", "pauses": "Few pauses", "level": "Right level",
    "steadiness": "Steady level", "offset": "No offset", "phase": "Channels agree", "speakers": "One voice",
    "opinion": "Listener\u2019s opinion",
}
STEPS = {
    "channel": "Choice of the channel", "dc_offset": "Offset taken out", "declip": "Clipping mended",
    "resample": "Sample rate changed", "high_pass": "Rumble taken out", "hum": "Mains hum taken out",
    "stretch": "Best stretch chosen", "denoise": "Background noise reduced", "even_level": "Level evened out",
    "pauses": "Pauses shortened", "trim": "Silence at the ends cut", "loudness": "Loudness set",
}
SEVERITY_WORDS = {"error": "Serious", "warning": "Problem", "info": "Note"}


def issue_title(code: str) -> str:
    """A few words for an issue's code; a code without words is its own."""
    return ISSUES.get(code, code.replace("_", " ").capitalize())


def part_title(part: str) -> str:
    """A few words for a part of the score; one without words is its own."""
    return PARTS.get(part, part.replace("_", " ").capitalize())


def step_title(name: str) -> str:
    """A few words for a step; one without words is its own."""
    return STEPS.get(name, name.replace("_", " ").capitalize())


# --- values --------------------------------------------------------------------------------------


def number(value: float, decimals: int) -> str:
    """With a true minus, spaces between thousands, and no minus before a zero."""
    written = f"{value:,.{decimals}f}".replace(",", "\u202f")
    if not written.strip("-0.\u202f"):
        written = written.lstrip("-")
    return written.replace("-", MINUS)


def with_unit(words: MetricWords, value: float | None) -> str:
    """A value with its unit; a dash where there is none."""
    written = metric_text(words, value)
    return f"{written}\u00a0{words.unit}" if words.unit and written != DASH else written


def metric_text(words: MetricWords, value: float | None) -> str:
    """A value in its unit; a dash where there is none. A little over zero is never written as zero."""
    if value is None or not math.isfinite(value):
        return DASH
    shown = value * words.scale
    decimals = _decimals(words, shown)
    smallest = 10.0**-decimals
    if words.unit == "%" and 0 < abs(shown) < smallest / 2:
        return f"\u2264\u2009{number(smallest, decimals)}"
    return number(shown, decimals)


def _decimals(words: MetricWords, shown: float) -> int:
    """As many as the metric has, but no zeros after kHz: 48, 22.05."""
    fewer = (few for few in range(words.decimals) if words.unit == "kHz" and abs(round(shown, few) - shown) < 1e-9)
    return next(fewer, words.decimals)


def change_text(words: MetricWords, before: float | None, after: float | None) -> str:
    """The signed difference as it is written, empty where there is none to tell."""
    if before is None or after is None or not math.isfinite(after - before):
        return ""
    delta = round((after - before) * words.scale, words.decimals)
    return (("+" if delta > 0 else "") + number(delta, _decimals(words, delta))) if delta else ""


# --- judgements, looked up -----------------------------------------------------------------------


def issue_metric(issue: Issue, metrics: Metrics) -> MetricWords | None:
    """The metric that an issue is about: of those with its code, the one that has its value."""
    for words in WORDS:
        value = getattr(metrics, words.name)
        if issue.code in words.codes and value is not None and abs(abs(value) - abs(issue.value)) < 1e-3:
            return words
    return None


def mark(words: MetricWords, metrics: Metrics, assessment: Assessment) -> str | None:
    """One of `MARKS`: the worse of what the issues and the score's part say; None where nothing judges the metric.

    A metric that shares its issue with another one, and was not the one that raised it, is not called good for that.
    """
    if getattr(metrics, words.name) is None:
        return None
    issues = [issue for issue in assessment.issues if issue.code in words.codes]
    said = [_MARK_OF_SEVERITY[issue.severity] for issue in issues if issue_metric(issue, metrics) is words]
    if words.part in assessment.parts:
        quality = assessment.parts[words.part]
        said.append(next(name for least, name in _LEAST_QUALITY if quality >= least))
    elif words.codes and not issues:
        said.append("good")
    return max(said, key=MARKS.index, default=None)


def direction(
    words: MetricWords, before: float | None, after: float | None, marks: tuple[str | None, str | None]
) -> str:
    """"better", "worse", "same", or nothing where no direction is the better one.

    Where the marks differ, they say it. What is still as good as it should be has not become worse.
    """
    if before is None or after is None:
        return ""
    first, second = marks
    if first and second and first != second:
        return "better" if MARKS.index(second) < MARKS.index(first) else "worse"
    if not words.better:
        return ""
    if abs(after - before) < max(words.least, 1e-9):
        return "same"
    if (after - before) * words.better > 0:
        return "better"
    return "" if second == "good" else "worse"
