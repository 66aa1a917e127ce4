"""Text and language into the segments that XTTS can speak.

XTTS takes a limited number of characters at once, per language, and at most 400 tokens; longer
text is cut off or fails. This module cuts at paragraph ends, then sentence ends, then clause ends,
then between words, and keeps every character that is spoken. It knows no model: what a text comes to
once its numbers are read out, and how many tokens it makes, is asked of a function that the caller gives.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from voicekit import markup, packing, plain_text
from voicekit.complexity import complexity
from voicekit.errors import TextError
from voicekit.lexicon import NO_LEXICON, Lexicon
from voicekit.rewritten import Rewritten
from voicekit.sentences import ends_sentence

# Characters at once, per language: coqui-tts 0.28.0, VoiceBpeTokenizer.char_limits.
MAX_CHARACTERS = {
    "en": 250, "de": 253, "fr": 273, "es": 239, "it": 213, "pt": 203, "pl": 224, "zh-cn": 82, "ar": 166,
    "cs": 186, "ru": 182, "nl": 251, "tr": 226, "ja": 71, "hu": 224, "ko": 95, "hi": 150,
}
LANGUAGES = tuple(MAX_CHARACTERS)
MAX_TEXT_BYTES = 20 << 20  # ten long novels; what is more is no text (or never ends)
MAX_TOKENS = 400  # coqui asserts fewer than gpt_max_text_tokens = 402 with start and stop
_LINE_END = re.compile("\r\n|[\r\v\f\x85]")  # Word writes some of them within a paragraph
_NO_SPACES = {"zh-cn", "ja"}
_LONGEST_NUMBER_WORDS = 12  # characters that a digit comes to when its number is read out, at most
_TOKENS_PER_CHARACTER = {"zh-cn": 4, "ja": 3, "ko": 3}  # these are spelt in Latin letters before they are counted


@dataclass(frozen=True)
class Measured:
    """What a piece comes to once its numbers and abbreviations are read out.

    characters: compared with `MAX_CHARACTERS`.
    tokens: of the model's text vocabulary; compared with `MAX_TOKENS`.
    """

    characters: int
    tokens: int


Measure = Callable[[str, str], Measured]  # of a piece in a language


@dataclass(frozen=True)
class Gaps:
    """Silence after a segment, seconds [ours: the usual range of read speech]."""

    sentence_s: float = 0.25
    clause_s: float = 0.08
    paragraph_s: float = 0.6


@dataclass(frozen=True)
class Segment:
    """One piece of text that is spoken at once.

    text: what is spoken, within the language's limits: in plain forms, with the lexicon's words.
    gap_s: the silence that follows it, seconds: what its end asks for, or a pause in the text where that is longer.
    speed: factor of the run's own speed.
    language: a code, or None for that of the run.
    source: the text as the author wrote it, without tags; for subtitles.
    lead_s: the silence before it, seconds; only of the first segment, where the text begins with a pause.
    tail_s: the silence after it where nothing follows, seconds; only of the last one, where the text ends with a pause.
    """

    text: str
    gap_s: float
    speed: float = 1.0
    language: str | None = None
    source: str = ""
    lead_s: float = 0.0
    tail_s: float = 0.0


def normalise_language(language: str) -> str:
    """The code that XTTS knows: `zh` and `zh-cn` are one, case does not matter.

    Raises:
        TextError: none of the 17 languages.
    """
    code = language.strip().lower().replace("_", "-").split("-")[0].split(".")[0]
    code = "zh-cn" if code == "zh" else code
    if code not in MAX_CHARACTERS:
        raise TextError(f"XTTS v2 does not speak '{language}'.", f"It speaks {', '.join(LANGUAGES)}.")
    return code


def clean(text: str) -> str:
    """Take out what nobody speaks and what breaks tools: control, format and surrogate characters.

    Raises:
        TextError: nothing is left that can be spoken.
    """
    text = unicodedata.normalize("NFC", _LINE_END.sub("\n", text))
    kept = "".join(character for character in text if character in "\n\t\u200c\u200d" or _printable(character))
    if not _is_spoken(kept):
        raise _nothing_to_speak()
    return kept.strip()


def _nothing_to_speak() -> TextError:
    return TextError("The text holds nothing that can be spoken.", "Give a text with letters or digits in it.")


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


@complexity(size="characters", time="O(n)", space="O(n)")
def segments(
    text: str,
    language: str,
    measure: Measure,
    *,
    batch_size: int = 1,
    lexicon: Lexicon = NO_LEXICON,
    gaps: Gaps = Gaps(),
) -> tuple[Segment, ...]:
    """Cut a text into segments that XTTS can speak at once, in order.

    Args:
        text: any text, with tags (`voicekit.markup`); it is cleaned first.
        language: one of `LANGUAGES`.
        measure: what a piece comes to in a language.
        batch_size: segments that are spoken together. A text that is too short to fill a batch is cut into more
            segments, at sentence ends, so that each of them is done sooner.
        lexicon: how single words are spoken.
        gaps: silence after segments.

    Returns:
        At least one segment. O(characters) time; each part of the text is measured a few times at most.

    Raises:
        TextError: nothing to speak, a tag that asks for what cannot be, or one word longer than the model can take.
    """
    cleaned = clean(text)
    enough = len(cleaned) // batch_size
    cut: list[Segment] = []
    lead_s = tail_s = 0.0
    for run in markup.runs(cleaned, LANGUAGES):
        if cut and _starts_paragraph(run.text):
            cut[-1] = _with_pause(cut[-1], gaps.paragraph_s)
        cut += (found := _run_segments(run, language, measure, enough, lexicon, gaps))
        tail_s = run.pause_s if found else max(tail_s, run.pause_s)
        if cut:
            cut[-1] = _with_pause(cut[-1], gaps.paragraph_s if _ends_paragraph(run.text) else 0.0)
            cut[-1] = _with_pause(cut[-1], run.pause_s)
        else:
            lead_s = max(lead_s, run.pause_s)
    if not cut:
        raise _nothing_to_speak()
    cut[0] = replace(cut[0], lead_s=lead_s)
    cut[-1] = replace(_with_pause(cut[-1], gaps.paragraph_s), tail_s=tail_s)
    return tuple(cut)


def roughly(piece: str, language: str) -> Measured:
    """What a piece in plain forms comes to at most, without a model: its characters, and some for each digit."""
    digits = sum(map(str.isdigit, piece))
    characters = len(piece) + _LONGEST_NUMBER_WORDS * digits
    return Measured(characters, 1 + characters * _TOKENS_PER_CHARACTER.get(language, 1))


def _run_segments(
    run: markup.Run, language: str, measure: Measure, enough: int, lexicon: Lexicon, gaps: Gaps
) -> list[Segment]:
    """The segments between two tags; the last of a paragraph has a paragraph's gap, the last of all that of its end."""
    code = run.language or language
    room = _room(code, measure)
    aim = min(packing.AIM, enough / room.limit)
    found: list[Segment] = []
    for paragraph in re.split(r"\n\s*\n", run.text):
        spoken = lexicon.rewrite(plain_text.rewrite(Rewritten.of(paragraph), code), code)
        if not _is_spoken(spoken.text):
            continue  # a line of asterisks or dashes
        if found:
            found[-1] = _with_pause(found[-1], gaps.paragraph_s)
        for piece, source in _pieces(spoken, room, aim):
            gap_s = gaps.sentence_s if ends_sentence(piece) else gaps.clause_s
            found.append(Segment(piece, gap_s, run.speed, run.language, source))
    return found


def _pieces(spoken: Rewritten, room: packing.Room, aim: float) -> Iterator[tuple[str, str]]:
    """The pieces of a paragraph, each with what the author wrote."""
    try:
        places = packing.pieces(spoken.text, room, aim)
    except packing.TooLongError as error:
        raise TextError(
            f"One word of {error.length} characters is longer than XTTS can speak at once"
            f" ({room.limit} characters in this language, {MAX_TOKENS} tokens).",
            "Break it up with spaces or hyphens, or take it out.",
        ) from error
    for start, end in places:
        yield spoken.text[start:end].strip(), spoken.source_between(start, end)


def _room(language: str, measure: Measure) -> packing.Room:
    limit = MAX_CHARACTERS[language]

    def fill(piece: str) -> float:
        measured = measure(piece, language)
        return max(measured.characters / limit, measured.tokens / MAX_TOKENS)

    return packing.Room(language, fill, limit, language not in _NO_SPACES)


def _with_pause(segment: Segment, seconds: float) -> Segment:
    return replace(segment, gap_s=max(segment.gap_s, seconds))


def _is_spoken(text: str) -> bool:
    return any(unicodedata.category(character)[0] in "LN" for character in text)


def _starts_paragraph(text: str) -> bool:
    return text[: len(text) - len(text.lstrip())].count("\n") > 1


def _ends_paragraph(text: str) -> bool:
    return text[len(text.rstrip()) :].count("\n") > 1
