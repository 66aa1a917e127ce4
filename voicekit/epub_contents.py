"""An EPUB's package document -> who wrote it, which pages it has in which order, and what its contents call them.

Knows EPUB 2 and 3: the spine, the navigation page and toc.ncx. The text of the pages is not read here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag

from voicekit.epub_archive import Archive
from voicekit.errors import TextError
from voicekit.xml_reading import local_name, named, parse_page, parse_xml, semantic_types

if TYPE_CHECKING:
    from lxml.etree import _Element

_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document"})
_NCX = "application/x-dtbncx+xml"
_NOT_SPOKEN = frozenset({"cover", "toc", "copyright-page", "index", "loi", "lot"})  # of EPUB 2's guide


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents.

    page: the file it leads to. anchor: the place in it; None: its start. depth: 1 for the outermost.
    """

    title: str
    page: str
    anchor: str | None
    depth: int


@dataclass(frozen=True)
class Contents:
    """What the package says of a book; pages in reading order, those left out that nobody reads aloud."""

    title: str | None
    author: str | None
    language: str | None
    pages: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class _Item:
    path: str
    media_type: str
    properties: frozenset[str]


def read_contents(book: Archive, source: str) -> Contents:
    """The contents of an open book.

    Raises:
        TextError: the package is missing or damaged, or names no page.
    """
    name = book.package_name()
    package = parse_xml(book.read(name))
    if package is None:
        raise TextError(f"The book {source!r} is damaged: {name!r} is no XML.", "Fetch it again.")
    items = _manifest(package, name)
    unspoken = _unspoken(package, name)
    pages = tuple(item.path for item in _spine(package, items) if item.path not in unspoken)
    if not pages:
        raise TextError(f"The book {source!r} lists no page to read.", "Fetch it again.")
    authors = _metadata(package, "creator")
    titles, languages = _metadata(package, "title"), _metadata(package, "language")
    return Contents(titles[0] if titles else None, ", ".join(authors) or None, languages[0] if languages else None,
                    pages, _entries(book, items.values()))


def _manifest(package: _Element, base: str) -> dict[str, _Item]:
    items: dict[str, _Item] = {}
    for item in named(package, "item"):
        properties = frozenset((item.get("properties") or "").split())
        path = _resolved(base, item.get("href") or "")[0]
        items[item.get("id") or path] = _Item(path, item.get("media-type") or "", properties)
    return items


def _spine(package: _Element, items: dict[str, _Item]) -> Iterator[_Item]:
    for reference in named(package, "itemref"):
        item = items.get(reference.get("idref") or "")
        if item and item.media_type in _PAGES and "nav" not in item.properties and reference.get("linear") != "no":
            yield item


def _unspoken(package: _Element, base: str) -> set[str]:
    """Pages that the guide calls a cover, a table of contents and the like; a place within a page is not the page."""
    references = (each for each in named(package, "reference") if each.get("type") in _NOT_SPOKEN)
    places = (each.get("href") or "" for each in references)
    return {_resolved(base, place)[0] for place in places if "#" not in place}


def _metadata(package: _Element, name: str) -> list[str]:
    holder = next(named(package, "metadata"), package)
    texts = (" ".join("".join(element.itertext()).split()) for element in named(holder, name))
    return [text for text in texts if text]


def _entries(book: Archive, items: Iterable[_Item]) -> tuple[Entry, ...]:
    """The table of contents: of the navigation page, or else of toc.ncx; a book may do without."""
    items = list(items)
    navigation = [item.path for item in items if "nav" in item.properties and book.has(item.path)]
    ncx = [item.path for item in items if item.media_type == _NCX and book.has(item.path)]
    for path in navigation:
        if entries := tuple(_of_navigation(book.read(path), path)):
            return entries
    return next((entries for path in ncx if (entries := tuple(_of_ncx(book.read(path), path)))), ())


def _of_navigation(page: bytes, base: str) -> Iterator[Entry]:
    try:
        root = parse_page(page)
    except ValueError:  # a book can be read without its contents
        return
    for nav in named(root, "nav") if root is not None else ():
        if "toc" in semantic_types(nav):
            for link in named(nav, "a"):
                depth = sum(local_name(above) == "ol" for above in link.iterancestors())
                yield from _entry("".join(link.itertext()), link.get("href"), base, depth)


def _of_ncx(data: bytes, base: str) -> Iterator[Entry]:
    root = parse_xml(data)
    for point in named(root, "navpoint") if root is not None else ():
        label, content = point.find("{*}navLabel"), point.find("{*}content")
        if label is not None and content is not None:
            depth = 1 + sum(local_name(above) == "navpoint" for above in point.iterancestors())
            yield from _entry("".join(label.itertext()), content.get("src"), base, depth)


def _entry(title: str, href: str | None, base: str, depth: int) -> Iterator[Entry]:
    title = " ".join(title.split())
    if title and href:
        page, anchor = _resolved(base, href)
        yield Entry(title, page, anchor or None, depth)


def _resolved(base: str, href: str) -> tuple[str, str]:
    """The file inside the archive that a link leads to, and the place in it."""
    path, anchor = urldefrag(href)
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(path))), unquote(anchor)
