"""What the parts of a sample's report are made from: the records of a sample, and how its verdict looks."""

from __future__ import annotations

from dataclasses import dataclass

from voicekit.assessment import Assessment
from voicekit.improvement import Analysis, Improvement
from voicekit.metric_words import MetricWords, with_unit
from voicekit.report_page import escaped

VERDICTS = {  # word -> the mark whose colour it has, and what it means
    "excellent": ("good", "Ready to clone: XTTS gets nearly all that it can use."),
    "good": ("good", "This will clone well."),
    "fair": ("weak", "This will clone; you may hear what it lacks."),
    "poor": ("bad", "This will clone badly. A better recording helps more than any repair."),
    "unusable": ("bad", "This cannot be cloned. Please record again."),
}
SEVERITY_MARKS = {"error": "bad", "warning": "weak", "info": "muted"}


@dataclass(frozen=True)
class Side:
    """One half of the comparison, ready to be shown: ``analysis``, and addresses (``data:``) of what goes with it.

    player: of its sound, empty where there is none; played_s: its span, in seconds of the file. picture, dark_picture:
    of its picture on light and on dark, empty where there is none; width, height: the picture's, in pixels.
    """

    analysis: Analysis
    player: str = ""
    played_s: tuple[float, float] = (0.0, 0.0)
    picture: str = ""
    dark_picture: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Sample:
    """What is shown of one sample; anchor: its place in the page. after, improvement: None if it was only examined."""

    anchor: str
    name: str
    before: Side
    after: Side | None
    improvement: Improvement | None

    @property
    def sides(self) -> tuple[tuple[str, Side], ...]:
        """The sides that there are, with their headings."""
        return (("Before", self.before), ("After", self.after)) if self.after else (("Recording", self.before),)

    @property
    def final(self) -> Analysis:
        """What the sample is now."""
        return (self.after or self.before).analysis


def verdict_html(assessment: Assessment) -> str:
    """The verdict's word in its colour."""
    colour, _ = VERDICTS[assessment.verdict]
    return f'<b class="{colour}">{assessment.verdict.capitalize()}</b>'


def from_to(words: MetricWords, was: Analysis, now: Analysis) -> str:
    """A metric of both analyses as people read it: "15.4 dB \u2192 43.9 dB"."""
    old, new = (with_unit(words, getattr(analysis.metrics, words.name)) for analysis in (was, now))
    return f"{old} \u2192 {new}"


def card(title: str, content: str, kind: str = "") -> str:
    """A section of the page under its title; nothing for no content."""
    return f'<section class="card {kind}"><h3>{escaped(title)}</h3>{content}</section>' if content else ""


def table(caption: str, head: str, bodies: str, kind: str = "") -> str:
    """A table; the caption is for those who do not see where it stands."""
    return f'<table class="{kind}"><caption class="vh">{caption}</caption><thead>{head}</thead>{bodies}</table>'


def clock(seconds: float) -> str:
    """Minutes and seconds, as 1:05."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
