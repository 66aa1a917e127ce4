"""What runs cost, as a function of their sizes: seconds of each stage, and how far single runs lie from that.

Runs in, a law out: which runs are comparable is the caller's. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from voicekit.run_records import Run
from voicekit.run_statistics import Line, median, usual_line

# A decode step costs a fixed part (the weights are read) and a part a row; their ratio where the runs on record do not
# tell it: 1 and 16 rows took 90 and 252 ms in float32, 67 and 155 in bfloat16 (bench/README.md).
ROW_SHARE = 0.11
# Spread of the logarithm of a run's time, believed before runs tell of it; a belief counts as `BELIEF` runs.
TIME_SIGMA, BELIEF = 0.25, 2

_FIXED = ("import", "load_model")
_SIZED = {"preprocess": "sample_s", "condition_voice": "sample_s", "vocode": "codes", "write": "audio_s"}
_OF_SAMPLES = ("preprocess", "condition_voice")
_FEWEST_ROWS = 2.0  # a ratio of rows: runs that differ less do not tell the cost of a row


@dataclass(frozen=True)
class Work:
    """What a run has to do. rows: segments decoded together; sample_s: None where that is unknown."""

    codes: float
    rows: float
    audio_s: float
    sample_s: float | None
    voice_known: bool


@dataclass(frozen=True)
class _Sized:
    """Seconds by a size, and the size that is usual."""

    line: Line
    usual_size: float


@dataclass(frozen=True)
class Usual:
    """What comparable runs took. codes_per_s: of the finished file, whose pauses have no codes."""

    fixed: Mapping[str, float]
    lines: Mapping[str, tuple[str, _Sized]]  # by stage: the size it is measured by, and seconds by it
    decoding: _Decoding
    codes_per_s: float
    sigma: float = TIME_SIGMA

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Usual:
        """runs: at least one, finished."""
        fixed = {name: median(known) for name in _FIXED if (known := _seconds(runs, name))}
        lines = {name: (kind, line) for name, kind in _SIZED.items() if (line := _line(runs, name, kind))}
        codes_per_s = median([run.sizes["codes"] / run.sizes["audio_s"] for run in runs])
        usual = cls(fixed, lines, _decoding(runs), codes_per_s)
        ratios = [usual._ratio(run) for run in runs]
        return replace(usual, sigma=spread(ratios, TIME_SIGMA))

    def stages(self, work: Work) -> dict[str, float]:
        """Seconds by stage, without those that nobody measured."""
        sizes = {"sample_s": work.sample_s, "codes": work.codes, "audio_s": work.audio_s}
        found = {**self.fixed, "generate": self.decoding.seconds(work.codes, work.rows)}
        for name, (kind, line) in self.lines.items():
            known = sizes[kind]
            found[name] = line.line.at(line.usual_size if known is None else known)
        return {name: 0.0 if work.voice_known and name in _OF_SAMPLES else found[name] for name in found}

    def _ratio(self, run: Run) -> float:
        """What a run took over what would have been forecast for its sizes."""
        sample_s = run.sizes.get("sample_s")
        work = Work(run.sizes["codes"], run.rows, run.sizes["audio_s"], sample_s, voice_known=sample_s is None)
        known = {name: seconds for name, seconds in self.stages(work).items() if name in run.stages}
        return sum(run.stages[name].seconds for name in known) / max(sum(known.values()), 1e-6)


def _seconds(runs: Sequence[Run], name: str) -> list[float]:
    return [run.stages[name].seconds for run in runs if name in run.stages]


def _line(runs: Sequence[Run], name: str, kind: str) -> _Sized | None:
    """Of the runs that know the size: one with a known voice heard no sample."""
    there = [run for run in runs if name in run.stages and kind in run.sizes]
    if not there:
        return None
    sizes = [run.sizes[kind] for run in there]
    return _Sized(usual_line(_seconds(there, name), sizes, proportional=True), median(sizes))


@dataclass(frozen=True)
class _Decoding:
    """Seconds of a decode: `step_s` a step, and `row_s` more for each row in it."""

    step_s: float
    row_s: float

    def seconds(self, codes: float, rows: float) -> float:
        return codes / rows * (self.step_s + self.row_s * rows)


def _decoding(runs: Sequence[Run]) -> _Decoding:
    """Least squares of the relative errors, neither part under zero; the ratio is believed where runs are alike."""
    measured = [(run.sizes["codes"], run.rows, run.stages["generate"].seconds) for run in runs]
    rows = [run.rows for run in runs]
    if max(rows) / min(rows) >= _FEWEST_ROWS and (fitted := _fitted(measured)):
        return fitted
    each = [seconds / (codes / width * (1 + ROW_SHARE * width)) for codes, width, seconds in measured]
    return _Decoding(median(each), ROW_SHARE * median(each))


def _fitted(measured: Sequence[tuple[float, float, float]]) -> _Decoding | None:
    """None where the runs contradict a cost of steps and rows."""
    steps = [codes / width / seconds for codes, width, seconds in measured]
    places = [codes / seconds for codes, _, seconds in measured]
    a = sum(x * x for x in steps)
    b = sum(x * y for x, y in zip(steps, places, strict=True))
    c = sum(y * y for y in places)
    determinant = a * c - b * b
    if determinant <= 1e-9 * a * c:
        return None
    step_s = (c * sum(steps) - b * sum(places)) / determinant
    row_s = (a * sum(places) - b * sum(steps)) / determinant
    return _Decoding(step_s, row_s) if step_s >= 0 and row_s >= 0 else None


def growing_share(stages: Mapping[str, float]) -> float:
    """Which part of the time grows with the speech."""
    total = sum(stages.values())
    return sum(stages.get(name, 0.0) for name in ("generate", "vocode", "write")) / total if total > 0 else 0.0


def spread(values: Sequence[float], before: float) -> float:
    """Spread of the logarithms about their median; few values are mixed with what was believed before."""
    centre = math.log(median(values))
    squares = sum((math.log(value) - centre) ** 2 for value in values)
    return math.sqrt((squares + BELIEF * before**2) / (len(values) + BELIEF))
