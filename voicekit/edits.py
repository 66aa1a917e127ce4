"""Which spans of a recording are kept, in which order: the one record of what was cut.

A step that cuts says so as an edit list: the kept spans, in seconds of the source, in the order in which they
stand in the result (the best stretch may come first). Lists of one step after the other compose to one list, so
a time in a result can always be told in the source's time, and back.

Knows seconds and samples; nothing of speech or of why something was cut.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicekit.audio import Audio, Samples
from voicekit.complexity import complexity

SAME_S = 1e-9  # times this close are one time: float noise of sums of seconds, 1/10,000 of a sample at 96 kHz
FADE_S = 0.005  # against clicks at a cut; short against any sound of speech


@dataclass(frozen=True)
class Kept:
    """A span of the source: ``start_s`` <= t < ``end_s``, seconds of source time."""

    start_s: float
    end_s: float


Edits = tuple[Kept, ...]


def whole(duration_s: float) -> Edits:
    """The edit list that changes nothing."""
    return (Kept(0.0, duration_s),)


def total_s(edits: Edits) -> float:
    """Length of the result in seconds; its length in samples over the rate exactly for edits :func:`on_grid`."""
    return sum(kept.end_s - kept.start_s for kept in edits)


def on_grid(edits: Edits, sample_rate: int) -> Edits:
    """The spans as :func:`apply` will cut them at this rate: each bound at the nearest sample, empty ones left out.

    The rule for seconds that lie between samples (a list made at 44,100 Hz, used at 24,000): every bound is
    rounded by itself to the nearest sample, ``round(t * rate)``. A bound moves by half a sample at most and
    always the same way, so spans that touch go on touching and nothing is doubled or lost between them; only
    lengths may change, by one sample a span. Lists on one grid compose, map and add up on that grid.
    """
    spans = [(_sample(kept.start_s, sample_rate), _sample(kept.end_s, sample_rate)) for kept in edits]
    return tuple(Kept(start / sample_rate, stop / sample_rate) for start, stop in spans if stop > start)


def _sample(time_s: float, sample_rate: int) -> int:
    return round(time_s * sample_rate)


@complexity(size="spans", time="O(n log n)", space="O(n)")
def compose(first: Edits, then: Edits) -> Edits:
    """Two steps as one: ``then``, whose times are those of ``first``'s result, in the time of the source.

    A span may split where ``first`` had cut; spans that go on in the source where the last one ended are one.
    """
    parts, starts = [], _starts_s(first)
    for span in then:
        for number in range(max(0, bisect_right(starts, span.start_s) - 1), len(first)):
            kept, at_s = first[number], starts[number]
            if at_s >= span.end_s:
                break
            start_s = max(kept.start_s, kept.start_s + span.start_s - at_s)
            end_s = min(kept.end_s, kept.start_s + span.end_s - at_s)
            if end_s - start_s > SAME_S:
                parts.append(Kept(start_s, end_s))
    return _merged(parts)


def _starts_s(edits: Edits) -> list[float]:
    """Where each span begins in the result."""
    starts, at_s = [], 0.0
    for kept in edits:
        starts.append(at_s)
        at_s += kept.end_s - kept.start_s
    return starts


def _merged(parts: Sequence[Kept]) -> Edits:
    merged: list[Kept] = []
    for part in parts:
        if merged and abs(part.start_s - merged[-1].end_s) < SAME_S:
            merged[-1] = Kept(merged[-1].start_s, part.end_s)
        else:
            merged.append(part)
    return tuple(merged)


def apply(audio: Audio, edits: Edits, *, fade_s: float = FADE_S) -> Audio:
    """The kept spans one after the other, without overlap: as long as all spans together.

    Args:
        audio: the source; bounds are rounded as in :func:`on_grid`, what lies outside the source is left out.
        edits: the spans to keep, in the order of the result.
        fade_s: raised cosine on both sides of a cut, inside the spans. There is none where a span goes on in
            the source where the last one ended, nor at the source's own start and end where they stay put.

    Returns:
        The same audio where all of it is kept in order.
    """
    total = len(audio.samples)
    spans = _cuts(edits, audio.sample_rate, total)
    if spans == [(0, total)] or not total:
        return audio
    result = np.concatenate([audio.samples[:0], *(audio.samples[start:stop] for start, stop in spans)])
    at = 0
    for number, (start, stop) in enumerate(spans):
        piece = result[at : at + stop - start]
        at += stop - start
        _fade(
            piece,
            min(int(fade_s * audio.sample_rate), len(piece) // 2),
            rise=number > 0 or start > 0,
            fall=number < len(spans) - 1 or stop < total,
        )
    return Audio(result, audio.sample_rate)


def _cuts(edits: Edits, sample_rate: int, total: int) -> list[tuple[int, int]]:
    """The spans in samples inside the source, none empty, those that go on joined."""
    spans: list[tuple[int, int]] = []
    for kept in edits:
        start = max(0, _sample(kept.start_s, sample_rate))
        stop = min(total, _sample(kept.end_s, sample_rate))
        if stop <= start:
            continue
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, stop))
    return spans


def _fade(piece: Samples, length: int, *, rise: bool, fall: bool) -> None:
    """Raises the first and lowers the last ``length`` samples in place; 0 at the very edge."""
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(1, length))).astype(np.float32)
    if rise and length:
        piece[:length] *= ramp
    if fall and length:
        piece[-length:] *= ramp[::-1]


def to_result_time(edits: Edits, source_s: float) -> float | None:
    """Where a moment of the source stands in the result, in seconds; None if it was cut out.

    The end of a span counts as kept where no span starts there. Of a moment that is kept twice, the first place.
    """
    last = None
    for kept, at_s in zip(edits, _starts_s(edits), strict=True):
        if kept.start_s - SAME_S <= source_s < kept.end_s - SAME_S:
            return at_s + max(0.0, source_s - kept.start_s)
        if last is None and abs(source_s - kept.end_s) < SAME_S:
            last = at_s + kept.end_s - kept.start_s
    return last


def to_source_time(edits: Edits, result_s: float) -> float | None:
    """Where a moment of the result came from, in seconds of the source; None before its start or after its end.

    At a cut the later span answers; at the very end of the result the last one.
    """
    source_s = None
    for kept, at_s in zip(edits, _starts_s(edits), strict=True):
        if -SAME_S <= result_s - at_s <= kept.end_s - kept.start_s + SAME_S:
            source_s = min(kept.start_s + max(0.0, result_s - at_s), kept.end_s)
    return source_s


def regions_in_result(edits: Edits, regions: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Regions of the source (speech, say) as (start, end) seconds of the result, ascending; cut parts are gone."""
    found, ends = [], [end_s for _, end_s in regions]
    for kept, at_s in zip(edits, _starts_s(edits), strict=True):
        for start_s, end_s in regions[bisect_right(ends, kept.start_s) :]:
            if start_s >= kept.end_s:
                break
            start_s, end_s = max(start_s, kept.start_s), min(end_s, kept.end_s)
            if end_s - start_s > SAME_S:
                found.append((at_s + start_s - kept.start_s, at_s + end_s - kept.start_s))
    return found
