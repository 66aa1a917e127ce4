"""What a run is to speak, kept out of what the run writes.

Texts that are registered here are masked in any line that is shown to this module: word by word where others wrote
the line, which may hold the text in any shape, and phrase by phrase where this project wrote it, whose own words
must stay readable. It knows nothing of logging; standard library only.

What is compared is folded: no case, no accents or vowel points, no format characters, so that a word is known
again after a library has normalised it. Scripts without spaces are compared by the character; Korean too, since a
word of it is often two characters long. Not known again: a number that somebody spelt out, a transliteration, a
piece of a word, bytes that are not UTF-8.
"""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

MASK = "***"
_WORD_CHARACTERS = 3  # a shorter word says nothing, and half of any log consists of such
_PHRASE_WORDS = 4
_PHRASE_CHARACTERS = 6  # of a script without spaces
_WHOLE_CHARACTERS = 8  # a text shorter than this is an everyday word or two

_OURS = frozenset({"voicekit", "simple_voice_clone", "improve_voice_sample", "logger_config"})

# Thai to Lao, Burmese, Hangul's letters, Khmer, Han and its parts, kana, bopomofo, Hangul, half-width forms.
_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b"
    "\u3041-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff66-\uff9d\uffa0-\uffdc\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# Not letters for `re`, and yet inside a word: accents, vowel points and signs; format characters, which a reader
# does not see and which the text that is spoken no longer has.
_MARKS = (
    "\u00ad\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061c\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0900-\u0963\u0966-\u0dff"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20f0\u3099\u309a\ufe00-\ufe0f"
    "\ufe20-\ufe2f\ufeff\uff9e\uff9f"
)
_UNIT = re.compile(f"[{_SPACELESS}][{_MARKS}]*|(?:[^\\W_{_SPACELESS}][{_MARKS}]*)+")
_ASCII_UNIT = re.compile(r"[A-Za-z0-9]+")
_SPACELESS_START = re.compile(f"[{_SPACELESS}]")
_PART = re.compile(r"[^\W\d_]+|\d+")
_UNSEEN = frozenset({"Mn", "Me", "Cf"})
_TATWEEL = "\u0640"  # stretches an Arabic word
_CHARACTER = "\0"  # begins the key of a character of such a script; no word has it

# How repr(), ascii(), json.dumps() and addresses write what is not plain ASCII, at any depth of quoting; and the
# colours of a terminal, whose last letter would cling to the word that follows.
_COLOUR = r"(?:\x1b|\\+(?:x1b|033|u001b))\[[\d;]*[A-Za-z]"
_CODE = r"\\+x[\da-fA-F]{2}|\\+u[\da-fA-F]{4}|\\+U[\da-fA-F]{8}|\\+[abfnrtv0]|%[\da-fA-F]{2}"
_ESCAPES = re.compile(f"(?:{_COLOUR}|{_CODE})+")
_HIGH_BYTE = re.compile(r"(?:\\x|%)[89a-fA-F]")
_ESCAPE = re.compile(f"({_COLOUR}|\\\\+[abfnrtv0])|\\\\*[xuU%]([\\da-fA-F]+)")


class _Registered:
    """What the texts of this process consist of.

    Attributes:
        words: keys of words, of the letters and the digits in them, and of pairs of characters.
        phrases: hashes of tuples of consecutive keys.
        sizes: how long these tuples are.
    """

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.phrases: set[int] = set()
        self.sizes: tuple[int, ...] = ()


_lock = threading.Lock()
_registered = _Registered()


def register(text: str) -> None:
    """From now on the two functions that scrub know this text. O(characters) time and space."""
    text = unicodedata.normalize("NFC", text)
    keys = _keys(text)
    words = {*_words(text), *_pairs(keys)}
    sizes, phrases = _phrases(keys, len(text.strip()))
    with _lock:
        _registered.words |= words
        _registered.phrases |= phrases
        _registered.sizes = tuple(sorted({*_registered.sizes, *sizes}))


def forget() -> None:
    """No text is known any more."""
    global _registered
    with _lock:
        _registered = _Registered()
    _folded.cache_clear()


def is_ours(logger_name: str) -> bool:
    """Whether the records of this logger are this project's own sentences."""
    return logger_name.partition(".")[0] in _OURS


def scrub_words(line: str) -> str:
    """For what others wrote: each word of a text as ``***``, neighbours as one."""
    words = _registered.words
    return _scrub(line, lambda keys: _private_words(keys, words)) if words else line


def scrub_sentences(line: str) -> str:
    """For what this project wrote: four words of a text in its order, six characters, or a short text whole."""
    known = _registered
    return _scrub(line, lambda keys: _private_phrases(keys, known)) if known.phrases else line


# --- a text as words and characters ------------------------------------------------------------------------


def _keys(text: str) -> list[str]:
    """Each word, and each character of a script without spaces, as it is compared."""
    if text.isascii():
        return _ASCII_UNIT.findall(text.lower())
    return [word.lower() if word.isascii() else _folded(word) for word in _UNIT.findall(text)]


@functools.lru_cache(maxsize=8192)
def _folded(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word.casefold())
    key = "".join(c for c in plain if c != _TATWEEL and unicodedata.category(c) not in _UNSEEN)
    return _CHARACTER + key if _SPACELESS_START.match(word) else key


def _words(text: str) -> Iterator[str]:
    """The keys of a text's words, and of the letters and the digits in each."""
    for word in set(_UNIT.findall(text)):
        key = _folded(word)
        if len(word) >= _WORD_CHARACTERS and not key.startswith(_CHARACTER):
            yield key
            yield from (part for part in _PART.findall(key) if len(part) >= _WORD_CHARACTERS)


def _pairs(keys: Sequence[str]) -> Iterator[str]:
    for one, two in set(pairwise(keys)):
        if one.startswith(_CHARACTER) and two.startswith(_CHARACTER):
            yield one + two


def _phrases(keys: Sequence[str], length: int) -> tuple[set[int], set[int]]:
    """The sizes of a text's phrases and their hashes; of those that are characters alone the longer ones."""
    characters = [key.startswith(_CHARACTER) for key in keys]
    if len(keys) < (_PHRASE_CHARACTERS if all(characters) else _PHRASE_WORDS):
        is_long = length + sum(characters) >= _WHOLE_CHARACTERS  # a character says as much as two letters
        return ({len(keys)}, {hash(tuple(keys))}) if is_long and keys else (set(), set())
    if not any(characters):
        return {_PHRASE_WORDS}, set(map(hash, _windows(keys, _PHRASE_WORDS)))
    phrases = set(map(hash, _windows(keys, _PHRASE_CHARACTERS)))
    kinds = _windows(characters, _PHRASE_WORDS)
    phrases.update(hash(four) for four, kind in zip(_windows(keys, _PHRASE_WORDS), kinds, strict=True) if not all(kind))
    return {_PHRASE_WORDS, _PHRASE_CHARACTERS}, phrases


def _windows(items: Sequence[object], size: int) -> Iterable[tuple[object, ...]]:
    return zip(*(items[start:] for start in range(size)), strict=False)


# --- a line ------------------------------------------------------------------------------------------------

_Span = tuple[int, int]
_Judge = Callable[[Sequence[str]], Sequence[bool]]  # which of a line's keys are private; empty: none is


def _private_words(keys: Sequence[str], words: set[str]) -> Sequence[bool]:
    private = [key in words or _has_private_part(key, words) for key in keys]
    for place, (one, two) in enumerate(pairwise(keys)):
        if one + two in words and one.startswith(_CHARACTER):
            private[place] = private[place + 1] = True
    return private if any(private) else ()


def _has_private_part(key: str, words: set[str]) -> bool:
    """Whether a word clings to digits, as in ``hello123``."""
    return not (key.isalpha() or key.startswith(_CHARACTER)) and any(part in words for part in _PART.findall(key))


def _private_phrases(keys: Sequence[str], known: _Registered) -> Sequence[bool]:
    private: list[bool] = []
    for size in known.sizes:
        hashes = list(map(hash, _windows(keys, size)))
        if known.phrases.isdisjoint(hashes):
            continue
        private = private or [False] * len(keys)
        for start, value in enumerate(hashes):
            if value in known.phrases:
                private[start : start + size] = [True] * size
    return private


def _scrub(line: str, judge: _Judge) -> str:
    if not unicodedata.is_normalized("NFC", line):  # a file name of macOS has its syllables in pieces
        line = unicodedata.normalize("NFC", line)
    spans = _spans(line, judge)
    if "\\" in line or "%" in line or "\x1b" in line:
        for as_bytes in (False, True) if _HIGH_BYTE.search(line) else (False,):
            decoded = _ESCAPES.sub(functools.partial(_read, as_bytes=as_bytes), line)
            if hidden := _spans(decoded, judge):
                places = _places(line, as_bytes)
                spans += [(places[start][0], places[end - 1][1]) for start, end in hidden]
    return _masked(line, spans) if spans else line


def _spans(line: str, judge: _Judge) -> list[_Span]:
    """Where the private words of a line are, neighbours together."""
    spans: list[_Span] = []
    was_private = False
    private = judge(_keys(line))
    if private:
        places = (_ASCII_UNIT if line.isascii() else _UNIT).finditer(line)
        for found, is_private in zip(places, private, strict=True):
            if is_private:
                start = spans.pop()[0] if was_private else found.start()
                spans.append((start, found.end()))
            was_private = is_private
    return spans


def _masked(line: str, spans: Sequence[_Span]) -> str:
    pieces: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start > end or not pieces:
            pieces += [line[end:start], MASK]
        end = max(end, stop)
    return "".join([*pieces, line[end:]])


def _places(line: str, as_bytes: bool) -> list[_Span]:
    """For each character of the decoded line the place that it stands for; a run of escapes is one."""
    places: list[_Span] = []
    end = 0
    for run in _ESCAPES.finditer(line):
        places += _each(end, run.start())
        places += [run.span()] * len(_read(run, as_bytes))
        end = run.end()
    return [*places, *_each(end, len(line))]


def _each(start: int, end: int) -> Iterable[_Span]:
    return zip(range(start, end), range(start + 1, end + 1), strict=True)


def _read(run: re.Match[str], as_bytes: bool) -> str:
    r"""What a run of escapes says: ``\xe9`` is a character, or a byte of UTF-8."""
    codes = [ord(" ") if found[1] else int(found[2], 16) for found in _ESCAPE.finditer(run[0])]
    if as_bytes and max(codes) < 0x100:
        return bytes(codes).decode("utf-8", "replace")
    units = "".join(chr(min(code, 0x10FFFF)) for code in codes)
    # JSON writes a character beyond 16 bits as two surrogates.
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
