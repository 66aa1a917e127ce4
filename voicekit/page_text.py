"""A page of XHTML -> its paragraphs, as they would be read aloud.

Left out: scripts and styles, pictures and formulas, ruby readings, marks of notes and the notes themselves, page
numbers, tables of contents and indexes, and what is hidden. A line break stays one; a table row is a paragraph.
The page can be cut at places that the caller names.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicekit.chapters import is_speakable
from voicekit.xml_reading import local_name, parse_page, semantic_types

if TYPE_CHECKING:
    from lxml.etree import _Element


def _named(names: str) -> frozenset[str]:
    return frozenset(names.split())


_BLOCKS = _named(
    "address article aside blockquote body caption center dd details dialog div dl dt figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 header hr html legend li main ol p pre section summary table tbody tfoot thead tr ul"
)
_HEADINGS = _named("h1 h2 h3 h4 h5 h6")
_CELLS = _named("td th")
_SILENT = _named(
    "audio button canvas head iframe img input map math nav noscript object picture rp rt rtc script select style svg"
    " template textarea title video"
)
_SILENT_TYPES = _named(
    "noteref footnote footnotes endnote endnotes rearnote rearnotes backlink pagebreak toc page-list landmarks loi lot"
    " index cover copyright-page"
)
_NOTE_MARK = re.compile(r"[\[(]? ?(?:\d{1,4}|[*†‡§¶]+|[a-z]) ?[\])]?")
_NOTE_SIGN = re.compile(r"[\[(] ?\d{1,4} ?[\])]|[*†‡§¶]+")
_MARK_PIECES = 8
_MARK_CHARACTERS = 40
_SPACE = re.compile(r"\s+")
_CELL_END = "\x1f"
_LINE_END = "\x1e"


@dataclass
class Passage:
    """A page, or a part of it that begins at a named place.

    anchor: the id at which it begins; None: at the page's start.
    heading: its first heading.
    """

    anchor: str | None
    heading: str | None = None
    paragraphs: list[str] = field(default_factory=list)


def passages(page: bytes, anchors: frozenset[str] = frozenset()) -> list[Passage]:
    """The passages of a page, at least one; cut where an element has one of these ids.

    Raises:
        ValueError: the page nests too deep to be read to its end.
    """
    reader = _Reader(anchors)
    root = parse_page(page)
    if root is not None:
        _walk(root, reader)
    reader.end_paragraph()
    return reader.passages


class _Reader:
    """Collects words into paragraphs, and paragraphs into passages."""

    def __init__(self, anchors: frozenset[str]) -> None:
        self._anchors = anchors
        self._words: list[str] = []
        self._in_heading = False
        self.passages = [Passage(None)]

    def start(self, element: _Element) -> None:
        name = local_name(element)
        if name in _BLOCKS:
            self.end_paragraph()
        anchor = element.get("id") or (element.get("name") if name == "a" else None)
        if anchor in self._anchors:
            self.end_paragraph()
            self.passages.append(Passage(anchor))
        if name in _HEADINGS:
            self._in_heading = True
        elif name == "br":
            self._words.append(_LINE_END)
        self.say(element.text)

    def end(self, element: _Element) -> None:
        name = local_name(element)
        if name in _BLOCKS:
            self.end_paragraph()
        elif name in _CELLS:
            self._words.append(_CELL_END)
        if name in _HEADINGS:
            self._in_heading = False

    def say(self, words: str | None) -> None:
        if words:
            self._words.append(_SPACE.sub(" ", words.replace(_CELL_END, " ").replace(_LINE_END, " ")))

    def end_paragraph(self) -> None:
        cells = (cell.strip(f" {_LINE_END}") for cell in "".join(self._words).split(_CELL_END))
        lines = ", ".join(cell for cell in cells if cell).split(_LINE_END)
        paragraph = "\n".join(line for line in (" ".join(line.split()) for line in lines) if line)
        self._words.clear()
        if not is_speakable(paragraph):
            return
        passage = self.passages[-1]
        passage.paragraphs.append(paragraph)
        if self._in_heading and passage.heading is None:
            passage.heading = paragraph.replace("\n", " ")


def _walk(root: _Element, reader: _Reader) -> None:
    """Everything that is not silent, in order; without recursion, since a page may nest as deep as it likes."""
    reader.start(root)
    open_elements = [(root, iter(root))]
    while open_elements:
        element, children = open_elements[-1]
        child = next(children, None)
        if child is None:
            open_elements.pop()
            reader.end(element)
            if open_elements:
                reader.say(element.tail)
        elif not isinstance(child.tag, str) or _is_silent(child):
            reader.say(child.tail)
        else:
            reader.start(child)
            open_elements.append((child, iter(child)))


def _is_silent(element: _Element) -> bool:
    name = local_name(element)
    if name in _SILENT or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if semantic_types(element) & _SILENT_TYPES:
        return True
    return _is_note_mark(element, name)


def _is_note_mark(element: _Element, name: str) -> bool:
    """A raised number that is a link, or a link that is raised, bracketed or a sign: older books say no more."""
    if name == "sup":
        return "a" in _inside(element) and bool(_NOTE_MARK.fullmatch(_short_text(element)))
    if name != "a" or "#" not in (element.get("href") or ""):
        return False
    return bool((_NOTE_MARK if "sup" in _inside(element) else _NOTE_SIGN).fullmatch(_short_text(element)))


def _inside(element: _Element) -> set[str]:
    """The first tags below an element: a mark has one or two, and a whole chapter in a link is not searched."""
    below = itertools.islice(element.iterdescendants(), _MARK_PIECES)
    return {local_name(each) for each in below if isinstance(each.tag, str)}


def _short_text(element: _Element) -> str:
    """The words of a mark; of anything longer only so much that it is seen to be none."""
    text = "".join(piece[:_MARK_CHARACTERS] for piece in itertools.islice(element.itertext(), _MARK_PIECES))
    return " ".join(text.split())
