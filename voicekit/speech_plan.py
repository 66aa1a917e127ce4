"""Which segments of which texts are spoken together, and what each such group's sound depends on. Pure.

A group is the unit of resume: its sound is a function of what `digest` counts, and of nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from voicekit.decoding import Sampling
from voicekit.utterances import Utterance, groups


@dataclass(frozen=True)
class Reading:
    """One text, cut: its utterances, the number of the voice that speaks them, and how codes are chosen."""

    voice: int
    sampling: Sampling
    utterances: tuple[Utterance, ...]
    tempo: float = 1.0


@dataclass(frozen=True)
class Line:
    """One utterance of a plan: the number of its reading, and its own number there, both from 0."""

    reading: int
    index: int
    utterance: Utterance


@dataclass(frozen=True)
class Group:
    """Utterances of one voice that are decoded together, `rows` at a time, in up to `tries` takes each.

    tempo: factor by which the finished sound is made faster, its pitch kept.
    """

    voice: int
    sampling: Sampling
    lines: tuple[Line, ...]
    rows: int
    tries: int
    tempo: float = 1.0

    def digest(self, circumstances: Mapping[str, object]) -> str:
        """SHA-256 of all that its sound depends on: of the utterances, and `circumstances` (voice, model, machine)."""
        spoken = [asdict(line.utterance) for line in self.lines]
        counted = [spoken, asdict(self.sampling), self.rows, self.tries, self.tempo, dict(circumstances)]
        return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def plan(readings: Sequence[Reading], rows: int, tries: int, *, first_alone: bool = False) -> tuple[Group, ...]:
    """Group the lines of all readings: those of one voice, sampling and tempo together, in the order of the readings.

    Args:
        rows: the most segments in a step.
        tries: takes that a segment may have; greedy ones have one, because a second would be the same.
        first_alone: somebody listens: the very first segment is spoken before the others begin.
    """
    together: dict[tuple[int, Sampling, float], list[Line]] = {}
    for number, reading in enumerate(readings):
        lines = [Line(number, index, utterance) for index, utterance in enumerate(reading.utterances)]
        together.setdefault((reading.voice, reading.sampling, reading.tempo), []).extend(lines)
    planned: list[Group] = []
    for (voice, sampling, tempo), lines in together.items():
        takes = 1 if sampling.greedy else tries
        planned += [
            Group(voice, sampling, tuple(lines[part.start : part.stop]), rows, takes, tempo)
            for part in groups(len(lines), rows, first_alone=first_alone and not planned)
        ]
    return tuple(planned)
