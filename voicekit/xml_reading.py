"""Bytes of a book's XML and XHTML -> element trees, safely: no network, no DTD, no entity is expanded.

lxml parses. Pages are often not quite XML; these are read as HTML. Nothing here knows what the elements mean.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_NAMED = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_OF_XML = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})
_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[>]{0,2000}(?:\[.*?\]\s*)?>", re.DOTALL)
# In XHTML `<title/>` is empty; in HTML it would swallow the rest of the page. HTML's own empty elements stay.
_CLOSED = re.compile(rb"<(?!(?:area|base|br|col|hr|img|input|link|meta|wbr)\b)([A-Za-z][\w:.-]*+)([^<>]*)/>")
# libxml2 compares each attribute of an HTML element with all before it: a tag that is nothing else takes hours.
_MOST_ATTRIBUTES = 500
_ATTRIBUTE = rb"""[^\s=<>/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+"""
_CROWDED = re.compile(rb"<[A-Za-z][^\s<>/]*+(?:[\s/]++%b){%d}" % (_ATTRIBUTE, _MOST_ATTRIBUTES))
_PROLOGUE_BYTES = 4096
_OPS = "{http://www.idpf.org/2007/ops}type"


def parse_xml(data: bytes) -> _Element | None:
    """The root of an XML file, mended where it is a little broken; None where nothing can be made of it."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, remove_comments=True,
                             remove_pis=True)
    try:
        root: _Element | None = etree.fromstring(_without_doctype(data), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return root


def parse_page(data: bytes) -> _Element | None:
    """The root of an XHTML page: as XML where it is such, else as HTML; None for an empty page.

    Raises:
        ValueError: the page nests deeper than any parser goes, so that its end would be lost; or a tag has more
            attributes than any page needs.
    """
    from lxml import etree

    data = _without_doctype(data)
    strict = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root: _Element | None = etree.fromstring(_NAMED.sub(_numbered, data), strict)
    except (etree.XMLSyntaxError, ValueError):
        return _as_html(data)
    return root


def _as_html(data: bytes) -> _Element | None:
    from lxml import etree

    if _CROWDED.search(data):
        raise ValueError("an element has too many attributes")
    encoding = "utf-8" if _is_utf8(data) else None
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, encoding=encoding,
                              huge_tree=True)  # 2,048 levels instead of 256: tags that nobody closed add up
    try:
        root: _Element | None = etree.fromstring(_CLOSED.sub(rb"<\1\2></\1>", data), parser)
    except etree.XMLSyntaxError:
        root = None
    if any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log):
        raise ValueError("its elements nest too deep")
    return root


def local_name(element: _Element) -> str:
    """The tag without its namespace, in small letters."""
    return str(element.tag).rpartition("}")[2].lower()


def named(root: _Element, name: str) -> Iterator[_Element]:
    """All elements of this local name, in the order of the document."""
    return (element for element in root.iter() if isinstance(element.tag, str) and local_name(element) == name)


def semantic_types(element: _Element) -> frozenset[str]:
    """What the book says an element is: the words of `epub:type`, and of `role` without their `doc-`."""
    types = element.get(_OPS) or element.get("epub:type") or ""
    roles = (role.removeprefix("doc-") for role in (element.get("role") or "").split() if role.startswith("doc-"))
    return frozenset((*types.lower().split(), *roles))


def _without_doctype(data: bytes) -> bytes:
    """Without the place where a bomb of entities would be declared; it stands at the start, and is looked for once."""
    start = data.find(b"<!DOCTYPE", 0, _PROLOGUE_BYTES)
    found = _DOCTYPE.match(data, start) if start >= 0 else None
    return data[: found.start()] + data[found.end() :] if found else data


def _numbered(found: re.Match[bytes]) -> bytes:
    """HTML's named character as a number: XML knows no names without the DTD. An unknown one is left out."""
    if found[1] in _OF_XML:
        return found[0]
    character = html.entities.html5.get(found[1].decode("ascii") + ";", "")
    return b"".join(b"&#%d;" % ord(each) for each in character)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
