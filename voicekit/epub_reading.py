"""An EPUB book -> its chapters, in reading order.

A page is a chapter, with the title that the table of contents gives it, or else its first heading. A page that has
neither goes on with the chapter before it; a page that holds several chapters is cut where the contents say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO

from voicekit.chapters import Chapter, Manuscript
from voicekit.epub_archive import Archive
from voicekit.epub_contents import Contents, Entry, read_contents
from voicekit.errors import TextError
from voicekit.page_text import Passage, passages

_FEW_PARTS = 4  # fewer entries at the top of the contents are parts: the chapters are one level down


@dataclass
class _Part:
    """A chapter in the making."""

    title: str | None
    paragraphs: list[str] = field(default_factory=list)


def read_epub(stream: IO[bytes], source: str) -> Manuscript:
    """The text of a book.

    Args:
        stream: the .epub file, open for reading.
        source: names it in an error.

    Raises:
        TextError: no EPUB, a damaged or a locked one, one that unpacks to too much, or one without text.
    """
    book = Archive(stream, source)
    contents = read_contents(book, source)
    chapters = tuple(Chapter(part.title, "\n\n".join(part.paragraphs)) for part in _parts(book, contents, source))
    if not chapters:
        raise TextError(f"The book {source!r} holds no text, perhaps only pictures.", "Give a book with text.")
    return Manuscript(chapters, contents.title, contents.author, contents.language)


def _parts(book: Archive, contents: Contents, source: str) -> list[_Part]:
    titles = {(entry.page, entry.anchor): entry.title for entry in reversed(contents.entries)}
    of_pages = {entry.page: entry.title for entry in reversed(contents.entries)}  # wherever in the page they lead
    cuts = _cuts(contents.entries)
    parts: list[_Part] = []
    for page in contents.pages:
        found = _passages(book, page, cuts.get(page, frozenset()), source)
        for passage in found:
            title = titles.get((page, passage.anchor)) or (of_pages.get(page) if len(found) == 1 else None)
            _add(parts, title or passage.heading, passage.paragraphs)
    return parts


def _passages(book: Archive, page: str, anchors: frozenset[str], source: str) -> list[Passage]:
    try:
        return passages(book.read(page), anchors)
    except ValueError as error:
        raise TextError(f"The page {page!r} of {source!r} cannot be read: {error}.",
                        "Repair it in an EPUB editor.") from error


def _add(parts: list[_Part], title: str | None, paragraphs: list[str]) -> None:
    if paragraphs and parts and title is None:
        parts[-1].paragraphs += paragraphs
    elif paragraphs:
        parts.append(_Part(title, paragraphs))


def _cuts(entries: tuple[Entry, ...]) -> dict[str, frozenset[str]]:
    """Where pages are cut: at the entries that are chapters, and not at sections of these."""
    deepest = 1 if sum(entry.depth == 1 for entry in entries) >= _FEW_PARTS else 2
    cuts: dict[str, set[str]] = {}
    for entry in entries:
        if entry.anchor and entry.depth <= deepest:
            cuts.setdefault(entry.page, set()).add(entry.anchor)
    return {page: frozenset(anchors) for page, anchors in cuts.items()}
