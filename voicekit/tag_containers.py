"""Text fields in finished sound files: the bytes of RIFF, FLAC, Ogg and ID3.

Knows containers, not what the fields mean. The same file and fields give the same bytes: no dates, no random
numbers. The sound is copied as it is, in pieces. The files are ones that this project's encoders wrote.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CONTINUED = 1  # of an Ogg page's flags: it begins inside a packet
_NO_PACKET_ENDS = b"\xff" * 8  # the granule position of such a page
_VORBIS_COMMENT = 4  # the type of a FLAC metadata block
_LAST_BLOCK = 0x80


def write_wav_info(path: Path, fields: Sequence[tuple[bytes, str]]) -> None:
    """Puts a LIST INFO chunk after the sound, in place of whatever came after it. Keys have 4 bytes."""
    info = b"INFO" + b"".join(_riff_chunk(key, text.encode() + b"\0") for key, text in fields)
    with open(path, "r+b") as stream:
        stream.seek(_end_of_data(stream))
        stream.truncate()
        stream.write(_riff_chunk(b"LIST", info))
        size = stream.tell() - 8
        stream.seek(4)
        stream.write(struct.pack("<I", size))


def _end_of_data(stream: BinaryIO) -> int:
    at, name = 12, b""
    while name != b"data":
        stream.seek(at)
        name, size = stream.read(4), int.from_bytes(stream.read(4), "little")
        at += 8 + size + size % 2
    return at


def _riff_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)


def vorbis_comment(vendor: bytes, fields: Mapping[str, str]) -> bytes:
    """The comment header that Vorbis, Opus and FLAC share: the encoder's name, then KEY=text in UTF-8."""
    lines = [f"{key}={text}".encode() for key, text in fields.items()]
    sized = [struct.pack("<I", len(line)) + line for line in lines]
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(lines)) + b"".join(sized)


def copy_flac(source: Path, target: Path, fields: Mapping[str, str]) -> None:
    """Copies a FLAC file with these fields in its comment block instead of those it has."""
    with open(source, "rb") as stream, open(target, "wb") as copy:
        copy.write(stream.read(4))
        last = False
        while not last:
            head = stream.read(4)
            last, content = bool(head[0] & _LAST_BLOCK), stream.read(int.from_bytes(head[1:], "big"))
            if head[0] & ~_LAST_BLOCK == _VORBIS_COMMENT:
                content = vorbis_comment(_vendor(content), fields)
            copy.write(head[:1] + len(content).to_bytes(3, "big") + content)
        shutil.copyfileobj(stream, copy)


def _vendor(comment: bytes) -> bytes:
    return comment[4 : 4 + struct.unpack_from("<I", comment)[0]]


def copy_mp3(source: Path, target: Path, frames: Sequence[tuple[str, bytes]]) -> None:
    """Copies an MP3 file with an ID3v2.4 tag before the sound, in place of one that it has.

    Args:
        frames: names of four letters, and contents, as :func:`id3_text` makes them.
    """
    body = b"".join(name.encode() + _syncsafe(len(content)) + b"\0\0" + content for name, content in frames)
    with open(source, "rb") as stream, open(target, "wb") as copy:
        head = stream.read(10)
        stream.seek(10 + _unsyncsafe(head[6:]) if head[:3] == b"ID3" else 0)
        copy.write(b"ID3\x04\0\0" + _syncsafe(len(body)) + body)
        shutil.copyfileobj(stream, copy)


def id3_text(*parts: str, before: bytes = b"") -> bytes:
    """A frame's content in UTF-8; parts are told apart by a zero; ``before`` is a language, where one belongs."""
    return b"\x03" + before + "\0".join(parts).encode()


def _syncsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _unsyncsafe(size: bytes) -> int:
    return size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]


@dataclass(frozen=True)
class _Page:
    """An Ogg page without what depends on its place: ``lacing`` holds the lengths of the pieces of packets."""

    flags: int
    granule: bytes
    lacing: bytes
    body: bytes

    def bytes(self, serial: int, number: int) -> bytes:
        """The page as a file holds it."""
        start = b"OggS\0" + bytes([self.flags]) + self.granule + struct.pack("<II", serial, number)
        end = bytes([len(self.lacing)]) + self.lacing + self.body
        return start + struct.pack("<I", _ogg_checksum(start + b"\0\0\0\0" + end)) + end


def copy_ogg(source: Path, target: Path, fields: Mapping[str, str] | None) -> None:
    """Copies a Vorbis or Opus file with these fields (None: its own), and with a serial number made of its content.

    Encoders draw that number by chance, which makes equal sound into unequal files. A constant would not do: files
    that are put one after the other into one must have different ones.
    """
    serial = 0
    with open(source, "rb") as stream:
        for page in _renewed(_pages(stream), fields):
            serial = zlib.crc32(page.body, serial)
    with open(source, "rb") as stream, open(target, "wb") as copy:
        for number, page in enumerate(_renewed(_pages(stream), fields)):
            copy.write(page.bytes(serial, number))


def _pages(stream: BinaryIO) -> Iterator[_Page]:
    while head := stream.read(27):
        if len(head) < 27 or head[:4] != b"OggS":
            raise OSError("the encoder left a damaged Ogg file")
        lacing = stream.read(head[26])
        yield _Page(head[5], head[6:14], lacing, stream.read(sum(lacing)))


def _renewed(pages: Iterator[_Page], fields: Mapping[str, str] | None) -> Iterator[_Page]:
    """The same pages with another comment packet, which is the second of the stream."""
    first = next(pages)
    yield first
    opus = first.body.startswith(b"OpusHead")
    packets, rest = list[bytes](), b""
    while len(packets) < (1 if opus else 2):  # Vorbis has its tables after the comment
        page = next(pages)
        ended, rest = _packets(page, rest)
        packets += ended
    if fields is not None:
        mark, end = (b"OpusTags", b"") if opus else (b"\x03vorbis", b"\x01")
        packets[0] = mark + vorbis_comment(_vendor(packets[0][len(mark) :]), fields) + end
    yield from _paged(packets)
    yield from pages


def _packets(page: _Page, begun: bytes) -> tuple[list[bytes], bytes]:
    """The packets that end on a page, the first of them begun earlier, and what begins on it."""
    ended, at = list[bytes](), 0
    for length in page.lacing:
        begun, at = begun + page.body[at : at + length], at + length
        if length < 255:
            ended.append(begun)
            begun = b""
    return ended, begun


def _paged(packets: Sequence[bytes]) -> Iterator[_Page]:
    """Header packets on as few pages as hold them: at most 255 pieces of at most 255 bytes a page."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    body, at, flags = b"".join(packets), 0, 0
    for start in range(0, len(lacing), 255):
        pieces = lacing[start : start + 255]
        granule = _NO_PACKET_ENDS if min(pieces) == 255 else bytes(8)
        yield _Page(flags, granule, pieces, body[at : at + sum(pieces)])
        at, flags = at + sum(pieces), _CONTINUED if pieces[-1] == 255 else 0


def _ogg_checksum(page: bytes) -> int:
    """Ogg's CRC is zlib's polynomial with the bits of each byte the other way round, begun at 0."""
    found = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(struct.pack("<I", found).translate(_REVERSED), "big")


def replace_by_copy(path: Path, copied: Path) -> None:
    """Gives a copy the name of what it was copied from, and its mode."""
    shutil.copymode(path, copied)
    os.replace(copied, path)
