"""Sentences of rare words in five scripts, and what of a text can still be read in something that was written."""

from __future__ import annotations

import json
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator

SENTENCES = {
    "latin": "Zyzzyva fjörðr kvöldmáltíð übermäßig ñandú quokka",
    "cyrillic": "Щебетание ёжиковый подъездной чечевица",
    "arabic": "قسطنطينية مستشفيات طيلسان فسيفساء",
    "han": "饕餮魑魅魍魉貔貅",
    "kana": "ぽにょぱぴゎゐ カナリヤヴェ",
}
_SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")


def pieces(text: str) -> Iterator[str]:
    """Each word of 3 letters or more; of Han, kana and Hangul any two neighbours."""
    for word in re.findall(r"\w+", text):
        if unicodedata.name(word[0]).startswith(_SPACELESS):
            yield from (word[start : start + 2] for start in range(len(word) - 1))
        elif len(word) >= 3:
            yield word


def spellings(piece: str) -> set[str]:
    """How Python, JSON, bytes and addresses write it."""
    written = set()
    for word in (piece, piece.lower(), piece.upper(), unicodedata.normalize("NFD", piece)):
        written |= {word, ascii(word)[1:-1], json.dumps(word)[1:-1], repr(word.encode())[2:-1]}
        written.add(urllib.parse.quote(word))
    return written


def traces(text: str, shown: str) -> list[str]:
    """The pieces of a text that can be read in what is shown, at any depth of quoting."""
    plain = re.sub(r"\\+", r"\\", shown)
    return [piece for piece in pieces(text) if any(spelling in plain for spelling in spellings(piece))]
