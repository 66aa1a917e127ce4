"""A request's text into what is spoken of it: segments, and the earliest moment of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from voicekit import markup
from voicekit.cloning import CloneSettings, Request
from voicekit.lexicon import NO_LEXICON, Lexicon
from voicekit.text import Gaps, Measured, Segment, normalise_language, segments


@dataclass(frozen=True)
class Cut:
    """Segments in their order; `begins_s` holds for each the moment before which it is not spoken, 0 for none."""

    segments: tuple[Segment, ...]
    begins_s: tuple[float, ...]

    @property
    def characters(self) -> int:
        """Characters of all that is spoken."""
        return sum(len(segment.text) for segment in self.segments)


def gaps_of(settings: CloneSettings) -> Gaps:
    """The silences that are asked for: those between clauses and paragraphs keep their ratio to that of sentences."""
    if settings.gap_s is None:
        return Gaps()
    usual = Gaps()
    factor = settings.gap_s / usual.sentence_s
    return Gaps(settings.gap_s, usual.clause_s * factor, usual.paragraph_s * factor)


def lexicon_of(settings: CloneSettings) -> Lexicon:
    """The pronunciation file that is asked for; raises TextError where it cannot be read."""
    return NO_LEXICON if settings.lexicon is None else Lexicon.read(settings.lexicon, normalise_language)


def cut(request: Request, measure: Callable[[str, str], Measured], lexicon: Lexicon, batch_size: int) -> Cut:
    """Cut a request's text, or each of its cues.

    Args:
        measure: how many characters and tokens a piece makes in a language.
        batch_size: segments of this text that share a step; see `text.segments`.

    Raises:
        TextError: nothing to speak, or a word longer than the model can take.
    """
    gaps = gaps_of(request.settings)
    if not request.cues:
        whole = segments(request.text, request.language, measure, batch_size=batch_size, lexicon=lexicon, gaps=gaps)
        return Cut(whole, (0.0,) * len(whole))
    found: list[Segment] = []
    begins: list[float] = []
    for cue, text in zip(request.cues, markup.carried(cue.text for cue in request.cues), strict=True):
        pieces = segments(text, request.language, measure, lexicon=lexicon, gaps=gaps)
        # The next one begins at its own time, or when the pause is over.
        found += [*pieces[:-1], replace(pieces[-1], gap_s=pieces[-1].tail_s)]
        begins += [cue.start_s] + [0.0] * (len(pieces) - 1)
    return Cut(tuple(found), tuple(begins))
