"""The records of an improvement: what was done to a sample, and what came of it. No work is done here."""

from __future__ import annotations

from dataclasses import dataclass

from voicekit.assessment import Assessment, Metrics
from voicekit.edits import Kept


@dataclass(frozen=True)
class Step:
    """One step of the chain: applied or not, why, and its wall time in seconds."""

    name: str
    applied: bool
    reason: str
    seconds: float


@dataclass(frozen=True)
class Analysis:
    """What one recording is: path, measurements, their meaning, and where in it somebody speaks.

    examined: the part that was measured, (start, end) in seconds of the file: all of it, up to three minutes.
    speech: (start, end) in seconds of that part.
    """

    path: str
    metrics: Metrics
    assessment: Assessment
    speech: tuple[tuple[float, float], ...]
    examined: tuple[float, float]


@dataclass(frozen=True)
class Improvement:
    """What a sample became.

    output: path of the result. before, after: analyses of the input and of the written file.
    edits: the spans of the input (seconds) that the result holds, in its order.
    """

    output: str
    before: Analysis
    after: Analysis
    steps: tuple[Step, ...]
    edits: tuple[Kept, ...]
