"""A pronunciation file: how single words are to be spoken, as ``Siobhan = shiv awn``.

One entry a line, ``word = how it is spoken`` or the two with a tab between them, a third column naming the language
it is for; a line that begins with ``#`` is a comment. It changes spelling only: XTTS takes no phonemes.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from voicekit.errors import TextError
from voicekit.plain_text import plain
from voicekit.rewritten import Rewritten
from voicekit.text_files import read_whole

MAX_LEXICON_BYTES = 1 << 20  # ten thousand entries and more

# A mark that belongs to the letter before it is no letter for `re`: without these a Hindi word would end inside.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u200c\u200d"
# Han, kana and Hangul: no space ends a word, or (in Korean) a particle clings to it.
_ANYWHERE = "\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u3131-\u318e\u31f0-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
_IN_WORD = rf"[^\W{_ANYWHERE}]|[{_MARKS}]"
# Where an entry may begin: at a word, at a character of such a script, at a symbol.
_HEAD = re.compile(rf"(?:{_IN_WORD})+|\S")

@dataclass(frozen=True)
class Entry:
    """One word, or several in a row.

    written: as it stands in a text.
    spoken: what is said instead.
    language: the only one in which it holds; None: it holds in all.
    """

    written: str
    spoken: str
    language: str | None = None

    @property
    def is_exact(self) -> bool:
        """Whether upper and lower case count: they do where a capital stands inside a word, as in NASA."""
        return any(character.isupper() for word in self.written.split() for character in word[1:])


@dataclass(frozen=True)
class Lexicon:
    """The entries of a file, in its order."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def read(cls, path: str | Path, known_language: Callable[[str], str] = str.lower) -> Lexicon:
        """Read a file; one that says the same as the last one is not taken apart again.

        Args:
            known_language: gives a language its code, and raises TextError for one that is not known.

        Raises:
            TextError: the file cannot be read, or a line of it is no entry; the line is named.
        """
        return _parsed(_file_text(path), known_language)

    @classmethod
    def parse(cls, text: str, known_language: Callable[[str], str] = str.lower) -> Self:
        """The entries of a file's text. Raises TextError as `read` does."""
        entries: list[Entry] = []
        lines: dict[tuple[str, str | None], int] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            entry = _entry(line, number, known_language)
            key = (entry.written if entry.is_exact else entry.written.lower(), entry.language)
            if key in lines:
                raise _refused(number, f"has the word of line {lines[key]} again", "Take one of the two out.")
            lines[key] = number
            entries.append(entry)
        return cls(tuple(entries))

    def readings(self, text: str, language: str) -> tuple[str, ...]:
        """What the text becomes in its language, and in each other one that an entry is for: a part may be in that."""
        languages = {language, *(each.language for each in self.entries if each.language)} if self.entries else ()
        return tuple(self.apply(text, each) for each in sorted(languages))

    def apply(self, text: str, language: str) -> str:
        """The text with its words replaced, each at most once. O(characters) time, however many entries there are."""
        return self.rewrite(Rewritten.of(text), language).text

    def rewrite(self, given: Rewritten, language: str) -> Rewritten:
        """As `apply`, keeping where each character comes from."""
        return given.replaced(self._edits(given.text, language)) if self.entries else given

    def _edits(self, text: str, language: str) -> Iterator[tuple[int, int, str]]:
        heads, end = self._heads, 0
        for head in _HEAD.finditer(text):
            if head.start() < end:
                continue
            for entry in heads.get(head[0].lower(), ()):
                match = _pattern(entry).match(text, head.start()) if entry.language in (None, language) else None
                if match:
                    end = match.end()
                    yield head.start(), end, entry.spoken
                    break

    @functools.cached_property
    def _heads(self) -> dict[str, list[Entry]]:
        """The entries by what they begin with: the longest first, then those for one language, then the exact ones."""
        heads: dict[str, list[Entry]] = {}
        for entry in sorted(self.entries, key=lambda each: (-len(each.written), each.language is None,
                                                            not each.is_exact)):  # fmt: skip
            found = _HEAD.match(entry.written)
            heads.setdefault(found[0].lower() if found else "", []).append(entry)
        return heads


NO_LEXICON = Lexicon()


@functools.lru_cache(maxsize=1)
def _parsed(text: str, known_language: Callable[[str], str]) -> Lexicon:
    """Each line of a job file asks for it, and most of them for the same one."""
    return Lexicon.parse(text, known_language)


@functools.lru_cache(maxsize=4096)
def _pattern(entry: Entry) -> re.Pattern[str]:
    """The entry from its beginning on, to where its last word ends; made for those only whose first word is met."""
    words = r"\s+".join(re.escape(word) for word in entry.written.split())
    ends_in_word = re.search(rf"(?:{_IN_WORD})\Z", entry.written)
    return re.compile(words + (rf"(?!{_IN_WORD})" if ends_in_word else ""), 0 if entry.is_exact else re.IGNORECASE)


def _entry(line: str, number: int, known_language: Callable[[str], str]) -> Entry:
    columns = line.strip("\r\n").split("\t") if "\t" in line.strip() else line.split("=", 1)
    columns = [unicodedata.normalize("NFC", column).strip() for column in columns]
    if not 2 <= len(columns) <= 3:
        raise _refused(number, "is no entry", "Write: word = how it is spoken.")
    written, spoken = plain(columns[0]).strip(), plain(columns[1]).strip()
    if not _has_letters(written) or not _has_letters(spoken):
        raise _refused(number, "lacks a word or how it is spoken", "Write: word = how it is spoken.")
    try:
        language = known_language(columns[2]) if len(columns) == 3 and columns[2] else None
    except TextError as error:
        raise _refused(number, "names no language that can be spoken", error.hint) from error
    return Entry(written, spoken, language)


def _has_letters(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _refused(number: int, why: str, hint: str) -> TextError:
    return TextError(f"Line {number} of the pronunciation file {why}.", hint)


def _file_text(path: str | Path) -> str:
    data = read_whole(path, MAX_LEXICON_BYTES, "pronunciation file", "Give a shorter one.")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise TextError(f"The pronunciation file {str(path)!r} is not UTF-8.", "Save it as UTF-8.") from error
