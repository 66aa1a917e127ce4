"""Text and language into the segments that XTTS can speak.

XTTS takes a limited number of characters at once, per language, and at most 400 tokens; longer
text is cut off or fails. This module cuts at paragraph ends, then sentence ends, then clause ends,
then between words, and keeps every character that is spoken. It knows no model: how many tokens a
text makes is asked of a function that the caller gives.
"""

from __future__ import annotations

import itertools
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from voicekit.complexity import complexity
from voicekit.errors import TextError

# Characters at once, per language: coqui-tts 0.28.0, VoiceBpeTokenizer.char_limits.
MAX_CHARACTERS = {
    "en": 250, "de": 253, "fr": 273, "es": 239, "it": 213, "pt": 203, "pl": 224, "zh-cn": 82, "ar": 166,
    "cs": 186, "ru": 182, "nl": 251, "tr": 226, "ja": 71, "hu": 224, "ko": 95, "hi": 150,
}
LANGUAGES = tuple(MAX_CHARACTERS)
MAX_TEXT_BYTES = 20 << 20  # ten long novels; what is more is no text (or never ends)
MAX_TOKENS = 400  # coqui asserts fewer than gpt_max_text_tokens = 402 with start and stop

# Silence after a segment, seconds [ours: the usual range of read speech].
SENTENCE_GAP_S = 0.25
PARAGRAPH_GAP_S = 0.6
CLAUSE_GAP_S = 0.08

_CLOSERS = "\"'”’»›)\\]」』）"
# A run of marks is tried once, from its start, and given up whole: time stays linear on any text.
_SENTENCE_END = re.compile(rf"(?:(?<![.!?…])[.!?…]++[{_CLOSERS}]*+(?=\s)|[。！？؟।]+[{_CLOSERS}]*)\s*")
_ENDS_SENTENCE = re.compile(rf"[.!?…。！？؟।][{_CLOSERS}]*$")
_CLAUSE_END = re.compile(rf"(?:[,;:–—][{_CLOSERS}]*(?=\s)|[，、；：،؛])\s*")
_WORD_END = re.compile(r"\s+")
# A dot after these ends no sentence: titles, initials and other abbreviations, numbered items.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“„«])(?:[^\W\d_]|\d{1,3}|mrs?|ms|dr|prof|st|sr|jr|sra|mme|mlle|hr|fr|bzw|ca|vs|etc|no|nr|p|pp|vol"
    r"|fig|e\.g|i\.e|z\.b|d\.h|u\.a|cf|ing|tzv|např|ul|т\.е|т\.д|др|г)\.$",
    re.IGNORECASE,
)


def read_text(path: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        TextError: the file cannot be read or is in another encoding.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TextError(f"The text file {path!r} cannot be read: {reason}.", "Check its name.") from error
    return decode_text(data, path)


def decode_text(data: bytes, source: str) -> str:
    """UTF-8 bytes as text; `source` names them in an error.

    Raises:
        TextError: not UTF-8, or more than `MAX_TEXT_BYTES`.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise TextError(f"The text of {source!r} is over {MAX_TEXT_BYTES >> 20} MB.", "Cut it into chapters.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(f"The text of {source!r} is not UTF-8.", "Save it as UTF-8.") from error


FRAGMENT_SHARE = 6  # of the limit: shorter pieces, 41 characters in English, are joined; XTTS speaks fragments badly
_TAIL = 16  # characters before a dot that are looked at: longer than any abbreviation


@dataclass(frozen=True)
class Segment:
    """One piece of text that is spoken at once.

    text: what is spoken, within the language's limits.
    gap_s: the silence that follows it, seconds.
    """

    text: str
    gap_s: float


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
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = "".join(character for character in text if character in "\n\t\u200c\u200d" or _printable(character))
    if not any(unicodedata.category(character)[0] in "LN" for character in kept):
        raise TextError("The text holds nothing that can be spoken.", "Give a text with letters or digits in it.")
    return kept.strip()


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


@complexity(size="characters", time="O(n)", space="O(n)")
def segments(
    text: str, language: str, count_tokens: Callable[[str], int], batch_size: int = 1
) -> tuple[Segment, ...]:
    """Cut a text into segments that XTTS can speak at once, in order.

    Args:
        text: any text; it is cleaned first.
        language: one of `LANGUAGES`.
        count_tokens: how many BPE tokens a piece makes in this language.
        batch_size: segments that are spoken together. A text that is too short to fill a batch is cut into more
            segments, at sentence ends, so that each of them is done sooner.

    Returns:
        At least one segment. O(characters) time, and one token count a piece.

    Raises:
        TextError: nothing to speak, or one word longer than the model can take.
    """
    fits = _Limits(MAX_CHARACTERS[language], count_tokens)
    cut: list[Segment] = []
    cleaned = clean(text)
    enough = len(cleaned) // batch_size
    for paragraph in re.split(r"\n\s*\n", cleaned):
        paragraph = " ".join(paragraph.split())
        if not any(unicodedata.category(character)[0] in "LN" for character in paragraph):
            continue  # a line of asterisks or dashes
        pieces = _pack(_cut_long(_sentences(paragraph), fits), fits, enough)
        cut += [Segment(piece, _gap_after(piece)) for piece in pieces[:-1]]
        cut.append(Segment(pieces[-1], PARAGRAPH_GAP_S))
    return tuple(cut)


@dataclass(frozen=True)
class _Limits:
    max_characters: int
    count_tokens: Callable[[str], int]

    def __call__(self, piece: str) -> bool:
        return len(piece) <= self.max_characters and self.count_tokens(piece) <= MAX_TOKENS


def _gap_after(piece: str) -> float:
    return SENTENCE_GAP_S if _ENDS_SENTENCE.search(piece) else CLAUSE_GAP_S


def _sentences(paragraph: str) -> list[str]:
    """Cut at sentence ends, but not after abbreviations and initials."""
    pieces, start = [], 0
    for end in _SENTENCE_END.finditer(paragraph):
        tail = paragraph[max(start, end.end() - _TAIL) : end.end()].strip()
        if tail and not _ABBREVIATION.search(tail):
            pieces.append(paragraph[start : end.end()].strip())
            start = end.end()
    return pieces + ([paragraph[start:].strip()] if paragraph[start:].strip() else [])


def _cut_long(sentences: Iterable[str], fits: _Limits) -> list[str]:
    """Cut what does not fit at clause ends, then between words; each kind of cut only where needed."""
    pieces: list[str] = []
    for sentence in sentences:
        if fits(sentence):
            pieces.append(sentence)
            continue
        for clause in _pack(_split_at(_CLAUSE_END, sentence), fits):
            pieces += [clause] if fits(clause) else _pack(_words(clause, fits), fits)
    return pieces


def _split_at(ends: re.Pattern[str], text: str) -> list[str]:
    cuts = [0, *(match.end() for match in ends.finditer(text)), len(text)]
    parts = (text[a:b].strip() for a, b in itertools.pairwise(cuts))
    return [part for part in parts if part]


def _words(clause: str, fits: _Limits) -> list[str]:
    """The words of a clause; scripts without spaces fall into runs of characters that fit."""
    words: list[str] = []
    for word in _split_at(_WORD_END, clause):
        if fits(word):
            words.append(word)
        elif _has_no_spaces(word):
            words += [word[i : i + fits.max_characters // 2] for i in range(0, len(word), fits.max_characters // 2)]
        else:
            raise TextError(
                f"One word of {len(word)} characters is longer than XTTS can speak at once"
                f" ({fits.max_characters} characters in this language, {MAX_TOKENS} tokens).",
                "Break it up with spaces or hyphens, or take it out.",
            )
    return words


def _has_no_spaces(word: str) -> bool:
    """True for Chinese and Japanese writing, where a long run of characters is no single word."""
    return sum(unicodedata.east_asian_width(character) in "WF" for character in word) > len(word) // 2


def _pack(pieces: Sequence[str], fits: _Limits, enough: int = sys.maxsize) -> list[str]:
    """Join neighbours while they fit and have not `enough` characters, so that segments are few and none a fragment."""
    packed: list[str] = []
    for piece in pieces:
        joined = _joined(packed[-1], piece) if packed else ""
        has_fragment = bool(packed) and min(len(packed[-1]), len(piece)) < fits.max_characters // FRAGMENT_SHARE
        if packed and (len(joined) <= enough or has_fragment) and fits(joined):
            packed[-1] = joined
        else:
            packed.append(piece)
    return packed


def _joined(first: str, second: str) -> str:
    """Two neighbours as they stood: with a space between them, save in scripts that use none."""
    wide = unicodedata.east_asian_width(first[-1]) in "WF" and unicodedata.east_asian_width(second[0]) in "WF"
    return first + second if wide else f"{first} {second}"
