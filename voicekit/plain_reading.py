"""Plain text -> chapters, where its lines name them as a book does: `Chapter 1`, `Kapitel II.`, `第一章`.

Such a line must stand alone between blank lines, and there must be two different ones; otherwise the text is one
chapter. The text itself is kept as it is, hard line ends included: the splitter joins the lines of a paragraph.
"""

from __future__ import annotations

import re

from voicekit.chapters import Chapter

_ROMAN = r"(?=[ivxlc])c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_ENGLISH = (
    rf"{_ONES}|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    rf"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:[ -](?:{_ONES}))?"
)
_PLAIN = rf"\d{{1,4}}|{_ROMAN}|{_ENGLISH}"
_CHAPTER = "kapitel|chapitre|cap[ií]tulo|capitolo|rozdział|hoofdstuk|kapitola|глава|अध्याय|الفصل"
_PART = "chapter|part|book|teil|partie|parte|część|deel|část|часть|bölüm"
_SPELT = r"[^\W\d_]{2,15}(?:[ -][^\W\d_]{2,15})?"  # a number in words, of a language whose numbers are not listed here
_COUNTED = (
    rf"(?:{_CHAPTER})\s+(?:{_PLAIN}|{_SPELT})|(?:{_PART})\s+(?:{_PLAIN})"
    rf"|(?:\d{{1,4}}|{_ROMAN})\.?\s*(?:bölüm|fejezet|kapitel|rozdział|kapitola|глава|часть)"  # "3. Bölüm"
)
_EAST_ASIAN = r"第\s*[0-9０-９〇零一二三四五六七八九十百千两兩]{1,8}\s*[章回節节部卷]|제\s*\d{1,4}\s*[장부]"
_HEADING = re.compile(
    rf"(?:(?:{_COUNTED})(?:\s*[.:–—-]\s*\S.{{0,80}}|[.:]?)|(?:{_EAST_ASIAN})(?:[\s:：.]\s*\S.{{0,60}})?)", re.IGNORECASE
)
_MAX_HEADING = 120  # characters


def chapters_of(text: str) -> tuple[Chapter, ...]:
    """The chapters of a plain text; a heading is its chapter's title and stays its first paragraph."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if _stands_alone(lines, i) and _is_heading(line.strip())]
    if len({lines[i].strip().casefold() for i in starts}) < 2:
        return (Chapter(None, text.strip("\n")),)
    ends = [*starts[1:], len(lines)]
    chapters = [Chapter(lines[a].strip(), "\n".join(lines[a:b]).strip()) for a, b in zip(starts, ends, strict=True)]
    before = "\n".join(lines[: starts[0]]).strip()
    return (Chapter(None, before), *chapters) if before else tuple(chapters)


def _stands_alone(lines: list[str], i: int) -> bool:
    before, after = lines[i - 1] if i else "", lines[i + 1] if i + 1 < len(lines) else ""
    return bool(lines[i].strip()) and not before.strip() and not after.strip()


def _is_heading(line: str) -> bool:
    return len(line) <= _MAX_HEADING and bool(_HEADING.fullmatch(line))
