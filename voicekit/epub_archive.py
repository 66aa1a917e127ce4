"""The files inside an EPUB, read one by one and never unpacked; what is damaged, locked or a bomb is refused.

Knows the container (the zip, META-INF) and nothing of what the files say.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from typing import IO
from urllib.parse import unquote

from voicekit.errors import TextError
from voicekit.xml_reading import named, parse_xml

MAX_UNPACKED_BYTES = 200 << 20  # of all files that are read; a long novel has 2 MB
MAX_FILE_BYTES = 20 << 20  # of one of them: its elements take thirty times as much memory
_MAX_ENTRIES = 100_000
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_FONTS_ONLY = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
_ZIP_ENCRYPTED = 1  # bit of a zip entry's flags
_CHUNK_BYTES = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError,
           OSError)


class Archive:
    """An open EPUB.

    Args:
        stream: the file; it stays the caller's to close.
        source: names it in errors.

    Raises:
        TextError: no zip, no EPUB, or one whose content is encrypted.
    """

    def __init__(self, stream: IO[bytes], source: str) -> None:
        self._source = source
        self._left = MAX_UNPACKED_BYTES
        try:
            self._zip = zipfile.ZipFile(stream)
        except _BROKEN as error:
            raise self._damaged("it is no readable zip archive") from error
        entries = self._zip.infolist()
        if len(entries) > _MAX_ENTRIES:
            raise self._damaged(f"it holds {len(entries)} files")
        self._entries = {entry.filename: entry for entry in entries}
        self._folded = {entry.filename.casefold(): entry for entry in reversed(entries)}
        if _CONTAINER not in self._entries:
            raise TextError(f"{source!r} is no EPUB book: it has no {_CONTAINER}.", "Give an .epub or a text file.")
        self._refuse_locked()

    def has(self, name: str) -> bool:
        """Whether there is such a file; case does not matter."""
        return name in self._entries or name.casefold() in self._folded

    def read(self, name: str) -> bytes:
        """One file, whole.

        Raises:
            TextError: there is none of this name, it is damaged, or larger than MAX_FILE_BYTES, or all that was
                read by now is larger than MAX_UNPACKED_BYTES.
        """
        entry = self._entries.get(name) or self._folded.get(name.casefold())
        if entry is None:
            raise self._damaged(f"its file {name!r} is missing")
        if entry.flag_bits & _ZIP_ENCRYPTED:
            raise self._locked()
        parts: list[bytes] = []
        try:
            with self._zip.open(entry) as stream:
                while part := stream.read(_CHUNK_BYTES):
                    parts.append(part)
                    self._left -= len(part)
                    if self._left < 0:
                        raise self._too_much("The book", MAX_UNPACKED_BYTES)
                    if sum(map(len, parts)) > MAX_FILE_BYTES:
                        raise self._too_much(f"A file {name!r} of the book", MAX_FILE_BYTES)
        except _BROKEN as error:
            raise self._damaged(f"its file {name!r} cannot be read") from error
        return b"".join(parts)

    def package_name(self) -> str:
        """The name of the package document, where everything else is listed.

        Raises:
            TextError: the container names none.
        """
        container = parse_xml(self.read(_CONTAINER))
        if container is not None:
            for rootfile in named(container, "rootfile"):
                if path := rootfile.get("full-path"):
                    return unquote(path) if not self.has(path) else path
        raise self._damaged(f"{_CONTAINER} names no package")

    def _refuse_locked(self) -> None:
        """Fonts may be scrambled, which is no lock; anything else that is encrypted is one."""
        if _ENCRYPTION not in self._entries:
            return
        listed = parse_xml(self.read(_ENCRYPTION))
        for data in named(listed, "encrypteddata") if listed is not None else ():
            methods = {method.get("Algorithm") for method in data.iterchildren("{*}EncryptionMethod")}
            if not methods or not methods <= _FONTS_ONLY:
                raise self._locked()

    def _too_much(self, what: str, limit: int) -> TextError:
        return TextError(f"{what} {self._source!r} unpacks to over {limit >> 20} MB.",
                         "No book has so much text: it is damaged, or made to do harm.")

    def _locked(self) -> TextError:
        return TextError(f"The book {self._source!r} is locked by copy protection (DRM): its text is encrypted.",
                         "Give a copy without protection.")

    def _damaged(self, why: str) -> TextError:
        return TextError(f"The book {self._source!r} is damaged: {why}.", "Fetch it again.")
