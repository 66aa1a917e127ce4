"""The first bytes of a file -> what it is, where that is no text. Knows nothing of what is in it; reads no file."""

from __future__ import annotations

import re

_STARTS = (
    (b"%PDF-", "a PDF document"),
    (rb"{\rtf", "an RTF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"fLaC", "a FLAC recording"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM film"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "a database"),
)
_IN_ZIP = (
    (b"application/epub+zip", "an EPUB book"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"word/", "a Word document"),
    (b"xl/", "a spreadsheet"),
    (b"ppt/", "a presentation"),
)
_RIFF = {b"WAVE": "a WAV recording", b"WEBP": "a WebP image", b"AVI ": "an AVI film"}
_MP3_FRAME = re.compile(rb"\xff[\xfa\xfb\xf2\xf3][\x10-\xef]")
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:!doctype html|html)\b", re.I | re.S)
_LOOKED_AT = 4096  # bytes of a page's start
_BINARY_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b"))  # texts may end in 1A; 1B begins ISO-2022
_MAX_CONTROL_SHARE = 0.02


def name_of(data: bytes) -> str | None:
    """What these bytes are, with its article, as ``a PDF document``; None: nothing that is known here."""
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return next((name for mark, name in _IN_ZIP if mark in data), "a ZIP archive")
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "a RIFF file")
    if data[4:8] == b"ftyp":
        return "an MPEG-4 recording or film"
    if _MP3_FRAME.match(data):
        return "an MP3 recording"
    if _HTML.match(data[:_LOOKED_AT]):
        return "an HTML page"
    return next((name for start, name in _STARTS if data.startswith(start)), None)


def is_binary(data: bytes) -> bool:
    """True where the bytes hold what no text in an 8-bit encoding holds: NUL, or many other control characters."""
    if b"\0" in data:
        return True
    controls = len(data) - len(data.translate(None, _BINARY_CONTROLS))
    return controls > _MAX_CONTROL_SHARE * len(data)
