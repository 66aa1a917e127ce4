"""MPEG-4 files by hand, whose index promises what it likes (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct

RATE = 48_000
_MATRIX = bytes(36)


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def table(kind: bytes, *numbers: int) -> bytes:
    """A full box of version 0 that holds 32-bit numbers."""
    return box(kind, bytes(4), struct.pack(f">{len(numbers)}I", *numbers))


def _track(number: int, packets: int) -> bytes:
    """A track of PCM in one-byte packets, all of them in one chunk at the file's beginning."""
    entry = box(b"sowt", bytes(6), struct.pack(">H8xHHHHI", 1, 1, 16, 0, 0, RATE << 16))
    samples = box(
        b"stbl",
        box(b"stsd", bytes(4), struct.pack(">I", 1), entry),
        table(b"stts", 1, packets, 1024),
        table(b"stsc", 1, 1, packets, 1),
        table(b"stsz", 1, packets),
        table(b"stco", 1, 28),
    )
    media = box(
        b"mdia",
        table(b"mdhd", 0, 0, RATE, RATE, 0),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
        box(b"minf", table(b"smhd", 0), samples),
    )
    head = box(b"tkhd", bytes([0, 0, 0, 7]), bytes(8), struct.pack(">I", number), bytes(68))
    return box(b"trak", head, media)


def mpeg4(packets: int, tracks: int = 1) -> bytes:
    """A file of little over 100 bytes of sound whose tracks promise so many packets each."""
    head = table(b"mvhd", 0, 0, 1000, 1000, *[0] * 20)
    movie = box(b"moov", head, *(_track(number, packets) for number in range(1, tracks + 1)))
    return box(b"ftyp", b"M4A ", bytes(4), b"M4A mp42") + box(b"mdat", bytes(100)) + movie


def mpeg4_fragment(packets: int) -> bytes:
    """A fragmented file whose only fragment promises so many packets, none of which is described."""
    extends = box(b"mvex", table(b"trex", 1, 1, 1024, 1, 0))
    head = table(b"mvhd", 0, 0, 1000, 1000, *[0] * 20)
    movie = box(b"moov", head, _track(1, 0), extends)
    run = box(b"trun", bytes(4), struct.pack(">I", packets))
    fragment = box(b"moof", table(b"mfhd", 1), box(b"traf", table(b"tfhd", 1), run))
    return box(b"ftyp", b"iso5", bytes(4), b"iso5mp42") + movie + fragment + box(b"mdat", bytes(100))
