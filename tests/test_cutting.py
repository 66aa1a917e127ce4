"""Texts and cues into what is spoken of them, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voicekit.audio import Audio
from voicekit.chapters import Cue
from voicekit.cloning import CloneSettings, Request
from voicekit.cutting import Cut, cut, gaps_of, lexicon_of
from voicekit.errors import TextError
from voicekit.joining import Joiner
from voicekit.lexicon import NO_LEXICON, Lexicon
from voicekit.text import MAX_CHARACTERS, Gaps, roughly

LONG = "This sentence is one of many in a cue that is far too long to be spoken at once by the model. " * 5


def of(text: str, *cues: Cue, settings: CloneSettings = CloneSettings()) -> Request:
    return Request(text, ("voice.wav",), "out.wav", "en", settings, cues=cues)


def cut_of(request: Request, lexicon: Lexicon = NO_LEXICON) -> Cut:
    return cut(request, roughly, lexicon, 1)


def starts(made: Cut, seconds: float, rate: int = 1000) -> list[float]:
    """Where the segments come to lie if each is spoken in so many seconds."""
    joiner = Joiner(rate, made.segments[0].lead_s)
    piece = Audio(np.ones(round(seconds * rate), np.float32), rate)
    return [joiner.lay(piece, segment.gap_s, begin_s)[1].start_s
            for segment, begin_s in zip(made.segments, made.begins_s, strict=True)]  # fmt: skip


def test_the_silences_keep_their_ratio() -> None:
    assert gaps_of(CloneSettings()) == Gaps()
    asked = gaps_of(CloneSettings(gap_s=0.5))
    assert asked.sentence_s == 0.5
    assert asked.paragraph_s == pytest.approx(1.2)  # --help: 2.4 times as long
    assert asked.clause_s / asked.sentence_s == pytest.approx(Gaps().clause_s / Gaps().sentence_s)
    assert gaps_of(CloneSettings(gap_s=0)) == Gaps(0.0, 0.0, 0.0)


def test_the_silence_that_is_asked_for_is_between_sentences() -> None:
    first = cut_of(of("One two three.\n\nFour.", settings=CloneSettings(gap_s=1.0))).segments[0]
    assert first.gap_s == pytest.approx(2.4)
    sentences = cut(of(LONG, settings=CloneSettings(gap_s=1.0)), roughly, NO_LEXICON, 1).segments
    assert len(sentences) > 1 and sentences[0].gap_s == 1.0


def test_a_pronunciation_file_counts(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("Siobhan = shiv awn\n")
    lexicon = lexicon_of(CloneSettings(lexicon=str(tmp_path / "words.txt")))
    (segment,) = cut_of(of("Siobhan sings."), lexicon).segments
    assert (segment.text, segment.source) == ("shiv awn sings.", "Siobhan sings.")
    (cue,) = cut_of(of("", Cue(0, 1, "Siobhan sings.")), lexicon).segments
    assert cue.text == "shiv awn sings."
    assert lexicon_of(CloneSettings()) is NO_LEXICON
    with pytest.raises(TextError):
        lexicon_of(CloneSettings(lexicon=str(tmp_path / "none.txt")))


def test_a_text_has_no_times() -> None:
    made = cut_of(of(LONG))
    assert len(made.segments) > 1
    assert made.begins_s == (0.0,) * len(made.segments)
    assert made.characters == sum(len(segment.text) for segment in made.segments)
    assert all(len(segment.text) <= MAX_CHARACTERS["en"] for segment in made.segments)


def test_a_text_too_short_for_a_batch_is_cut_finer() -> None:
    text = "One sentence is here. Another one is there. A third one follows. The fourth is the last."
    assert len(cut(of(text), roughly, NO_LEXICON, 4).segments) > len(cut_of(of(text)).segments) == 1


def test_the_first_segment_of_a_cue_begins_at_its_time() -> None:
    made = cut_of(of("ignored", Cue(1.5, 2.0, "First."), Cue(10.0, 12.0, LONG), Cue(60.0, 61.0, "Last.")))
    assert made.segments[0].text == "First." and made.segments[-1].text == "Last."
    inner = len(made.segments) - 2
    assert inner > 1
    assert made.begins_s == (1.5, 10.0, *[0.0] * (inner - 1), 60.0)
    laid = starts(made, 0.4)
    assert (laid[0], laid[1], laid[-1]) == (1.5, 10.0, 60.0)
    assert all(10.4 < at < 60 for at in laid[2:-1])


def test_a_cue_is_late_only_if_the_one_before_takes_longer() -> None:
    two = cut_of(of("", Cue(0.0, 2.0, "First."), Cue(2.0, 4.0, "Second.")))
    assert starts(two, 1.9) == [0.0, 2.0]
    assert starts(two, 2.5)[1] >= 2.5


def test_a_pause_at_the_end_of_a_cue_is_silence_before_the_next_one() -> None:
    two = cut_of(of("", Cue(0.0, 2.0, "First. [pause:3]"), Cue(2.0, 4.0, "Second. [pause:1]")))
    assert starts(two, 1.0) == [0.0, 4.0]
    assert [segment.tail_s for segment in two.segments] == [3.0, 1.0]
    late = cut_of(of("", Cue(0.0, 2.0, "First. [pause:3]"), Cue(9.0, 10.0, "Second.")))
    assert starts(late, 1.0) == [0.0, 9.0]


def test_a_tag_holds_over_the_ends_of_cues() -> None:
    made = cut_of(of("", Cue(0, 1, "[speed:0.9]One."), Cue(1, 2, "Two."), Cue(2, 3, "[speed]Three.")))
    assert [(each.text, each.speed, each.source) for each in made.segments] == [
        ("One.", 0.9, "One."), ("Two.", 0.9, "Two."), ("Three.", 1.0, "Three."),
    ]  # fmt: skip


def test_nothing_to_speak_is_refused() -> None:
    with pytest.raises(TextError):
        cut_of(of(" ... "))
    with pytest.raises(TextError):
        cut_of(of("", Cue(0, 1, "One."), Cue(1, 2, "...")))
