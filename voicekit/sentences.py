"""Where a reader would stop: sentence ends, clause ends, word ends, as places in a text.

A place is the first character of what follows. It knows neither models nor limits.
"""

from __future__ import annotations

import contextlib
import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

CLOSERS = "\"'”’»›)\\]」』）"
# A run of marks is tried once, from its start, and given up whole: time stays linear on any text.
_SENTENCE_END = re.compile(rf"(?:(?<![.!?…])[.!?…]++[{CLOSERS}]*+(?=\s)|[。！？؟।॥۔]+[{CLOSERS}]*+)\s*")
_ENDS_SENTENCE = re.compile(rf"[.!?…。！？؟।॥۔][{CLOSERS}]*+$")
_CLAUSE_END = re.compile(rf"(?:[,;:–—…][{CLOSERS}]*+(?=\s)|[，、；：،؛…])\s*")
_WORD_END = re.compile(r"\s+")
_INSIDE = re.compile(r"(?<=[^\W_])[^\w\s]++(?=[^\W_])")
_DIGIT = re.compile(r"(?<=\d)(?=\d)")
_TAIL = 16  # characters before a dot that are looked at: longer than any abbreviation
# A dot after these ends no sentence: titles, dates, "for example". None of them is a word that sentences end in.
_ABBREVIATIONS = {
    "en": r"mrs? ms dr drs prof st jr rev gen maj lt col capt sgt hon esq inc vs pp vol fig e\.g i\.e cf approx dept"
          r" jan feb aug sept? oct nov dec",
    "es": r"sra? srta dra? prof st ud uds pág núm aprox p\.\s?ej ee\.\s?uu vol",
    "fr": r"mm mr mmes? mlles? dr st chap p\.\s?ex c\.-à-d env vol",
    "de": r"hr fr frl dr prof bzw ca z\.\s?b d\.\s?h u\.\s?a usw sog ggf evtl inkl nr str bd"
          r" v\.\s?chr n\.\s?chr dipl st",
    "it": r"sigg? sig\.ra dott prof dr avv ing geom ecc pag",
    "pt": r"sra? dra? prof exmo eng pág vol",
    "pl": r"dr prof tzn np m\.in itp ul mgr inż hab godz św r w p\.n\.e",
    "nl": r"dhr mevr mw dr drs ir prof bijv d\.w\.z enz blz jhr ca",
    "cs": r"dr ing mgr mudr judr phdr prof doc tzv např atd apod tj č st sv obr",
    "ru": r"ул т\.\s?е т\.\s?д т\.\s?п т\.\s?к др гг стр руб тыс млн н\.\s?э проф акад см",
    "tr": r"dr prof doç örn bkz vb cad mah yy",
    "hu": r"dr prof pl stb ill kb özv ifj ún",
    "hi": r"डॉ श्री प्रो",
}  # fmt: skip
_DOTTED_ORDINALS = {"de", "cs", "pl", "hu", "tr"}
_LOOKED_UP = 400  # characters at a time: the packages take more than linear time
_RUN = 8  # characters of a script without spaces that are kept together where nothing says what a word is


@functools.cache
def _abbreviation(language: str) -> re.Pattern[str]:
    """A tail of text that ends in an abbreviation, an initial, an item's number or (in some languages) an ordinal."""
    known = "".join(f"|{word}" for word in _ABBREVIATIONS.get(language, "").split())
    ordinal = r"|\d{1,3}" if language in _DOTTED_ORDINALS else ""
    return re.compile(rf"(?:^\d{{1,3}}|(?:^|[\s(\"'])(?:[^\W\d_]{known}{ordinal}))\.$", re.IGNORECASE)


def ends_sentence(piece: str) -> bool:
    """Whether a piece of text closes a sentence."""
    return _ENDS_SENTENCE.search(piece) is not None


def sentence_ends(text: str, language: str) -> Iterator[int]:
    """Places behind sentences, not behind abbreviations and not before a small letter."""
    has_capitals = text != text.lower()
    for place in _loose_sentence_ends(text, language):
        if not (has_capitals and text[place : place + 1].islower()):
            yield place


def _loose_sentence_ends(text: str, language: str) -> Iterator[int]:
    abbreviation, last = _abbreviation(language), 0
    for end in _SENTENCE_END.finditer(text):
        tail = text[max(last, end.end() - _TAIL) : end.end()].strip()
        if tail and not abbreviation.search(tail):
            last = end.end()
            yield last


def clause_ends(text: str, language: str) -> Iterator[int]:
    """Places behind commas, semicolons, colons, dashes; and behind marks that might end a sentence."""
    return iter(sorted({*_loose_sentence_ends(text, language), *(end.end() for end in _CLAUSE_END.finditer(text))}))


def word_ends(text: str) -> Iterator[int]:
    """Places between words; where a script has no spaces, between the words that a dictionary sees."""
    last = 0
    for place in (*(end.end() for end in _WORD_END.finditer(text)), len(text)):
        word = text[last:place]
        if has_no_spaces(word):
            yield from (last + inner for inner in _spaceless_word_ends(word))
        last = place
        yield place


def inner_ends(word: str) -> Iterator[int]:
    """Places inside what has no spaces, where it can part: behind hyphens, slashes and dots."""
    return (end.end() for end in _INSIDE.finditer(word))


def digit_ends(number: str) -> Iterator[int]:
    """Places between the digits of a number, in whatever script they are."""
    return (match.start() for match in _DIGIT.finditer(number))


def has_no_spaces(word: str) -> bool:
    """True for Chinese and Japanese writing, where a long run of characters is no single word."""
    return sum(unicodedata.east_asian_width(character) in "WF" for character in word) > len(word) // 2


def _spaceless_word_ends(word: str) -> Iterator[int]:
    """Places between words of at least a few characters each; fewer and longer ones are as good."""
    last = place = 0
    for start in range(0, len(word), _LOOKED_UP):
        for part in _dictionary_words(word[start : start + _LOOKED_UP]):
            if place - last >= _RUN:
                last = place
                yield place
            place += len(part)


def _dictionary_words(word: str) -> Iterable[str]:
    """What the package that reads the language anyway takes for words; single characters without it."""
    is_japanese = any("\u3041" <= character <= "\u30ff" for character in word)
    with contextlib.suppress(Exception):  # a package or its dictionary is missing: any cut is better than none
        words = list((_japanese_words if is_japanese else _chinese_words)()(word))
        if "".join(words) == word:
            return words
    return word


@functools.cache
def _chinese_words() -> Callable[[str], Iterable[str]]:
    from pypinyin.seg import mmseg

    return mmseg.seg.cut  # type: ignore[no-any-return]


@functools.cache
def _japanese_words() -> Callable[[str], Iterable[str]]:
    import fugashi

    tagger = fugashi.Tagger()
    return lambda text: [word.surface for word in tagger(text)]
