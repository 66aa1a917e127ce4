"""Damaged real files of each format: thousands of mutations, and none may hang, crash, or take much memory.

Half of the mutations aim into the coded sound, so that the decoders are reached and not only the parsers; the share
that gave samples is counted. Seeded: a failure names its number, and ``mutant`` makes that file again. A longer
campaign: FUZZ_AUDIO=100000 is the number of mutations in all.
"""

from __future__ import annotations

import os
import random
import re
import struct
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.test_audio_reading import encode_with_av, voice
from tests.watched_reading import READERS, in_a_child, watched

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and descriptors are POSIX's here")

MUTATIONS = int(os.environ.get("FUZZ_AUDIO", "500"))  # of all formats together
FIRST_SEED = int(os.environ.get("FUZZ_AUDIO_SEED", "0"))
MOST_GROWN_MB = 100.0  # the sources hold under 1 MB of samples
RATE = 48_000
SECONDS, OGG_SECONDS = 1.5, 4.0  # a page of Ogg holds a second

_THIRD_PAGE = b"OggS.*?OggS.*?OggS.{23}"  # the first two are headers
# Format: how a file of it is written, and between which marks (a pattern, bytes) its coded sound lies (None: the
# end of the file).
_WRITERS: dict[str, tuple[Callable[[Path], None], bytes, bytes | None]] = {
    "wav16": (lambda path: _with_sndfile(path, "WAV", "PCM_16"), b"data", None),
    "wav24": (lambda path: _with_sndfile(path, "WAVEX", "PCM_24"), b"data", None),
    "wavfloat": (lambda path: _with_sndfile(path, "WAV", "FLOAT"), b"data", None),
    "flac": (lambda path: _with_sndfile(path, "FLAC", "PCM_16"), b"\xff\xf8", None),
    "mp3": (lambda path: _with_sndfile(path, "MP3", None), b"\xff\xfb", None),
    "ogg": (lambda path: _with_sndfile(path, "OGG", "VORBIS"), _THIRD_PAGE, None),
    "opus": (lambda path: _with_sndfile(path, "OGG", "OPUS"), _THIRD_PAGE, None),
    "aiff": (lambda path: _with_sndfile(path, "AIFF", "PCM_16"), b"SSND", None),
    "m4a": (lambda path: _with_av(path, "aac", "ipod"), b"mdat", b"moov"),
    "webm": (lambda path: _with_av(path, "libopus", "webm"), b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b"),
}


def _with_sndfile(path: Path, container: str, subtype: str | None) -> None:
    seconds = OGG_SECONDS if container == "OGG" else SECONDS
    soundfile.write(path, voice(RATE, seconds), RATE, subtype, format=container)


def _with_av(path: Path, codec: str, container: str) -> None:
    encode_with_av(path, codec, container, voice(RATE, SECONDS)[None])


@dataclass(frozen=True)
class Source:
    """A whole file, and where in it the coded sound lies."""

    content: bytes
    start: int
    stop: int


def source(kind: str, folder: Path) -> Source:
    write, mark, end = _WRITERS[kind]
    write(folder / "source")
    content = (folder / "source").read_bytes()
    begins = re.search(mark, content, re.DOTALL)
    assert begins
    start = begins.end() + 8
    stop = content.rindex(end) - 4 if end else len(content)
    assert len(content) / 2 < stop - start, "the sound is most of a file"
    return Source(content, start, stop)


# --- mutations: each takes the bytes and the range that it may touch ------------------------------------------------

Mutation = Callable[[random.Random, bytearray, int, int], None]
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8, 12 * 3600 * RATE)


def flip_bits(rng: random.Random, data: bytearray, start: int, stop: int) -> None:
    for _ in range(rng.choice((1, 2, 4, 16))):
        data[rng.randrange(start, stop)] ^= 1 << rng.randrange(8)


def replace_bytes(rng: random.Random, data: bytearray, start: int, stop: int) -> None:
    at = rng.randrange(start, stop)
    length = min(rng.choice((1, 4, 16, 64)), stop - at)
    data[at : at + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))


def lie_about_a_size(rng: random.Random, data: bytearray, start: int, stop: int) -> None:
    at, layout = rng.randrange(start, max(start + 1, stop - 8)), rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    number = rng.choice((*EXTREMES, rng.getrandbits(32))) % 2 ** (8 * struct.calcsize(layout))
    data[at : at + struct.calcsize(layout)] = struct.pack(layout, number)


def delete(rng: random.Random, data: bytearray, start: int, stop: int) -> None:
    at = rng.randrange(start, stop)
    del data[at : min(stop, at + rng.choice((1, 2, 7, 64, 500)))]


def repeat(rng: random.Random, data: bytearray, start: int, stop: int) -> None:
    at = rng.randrange(start, stop)
    data[at:at] = data[at : min(stop, at + rng.choice((1, 4, 64, 2000)))] * rng.choice((1, 2, 50))


def splice(rng: random.Random, data: bytearray, start: int, stop: int) -> None:
    """A part of the file somewhere else in it."""
    length = rng.randrange(1, 300)
    taken, at = rng.randrange(len(data)), rng.randrange(start, stop)
    data[at : min(stop, at + length)] = data[taken : taken + length]


def cut_off(rng: random.Random, data: bytearray, start: int, stop: int) -> None:
    del data[rng.randrange(max(1, start), stop) :]


MUTATE: tuple[Mutation, ...] = (flip_bits, replace_bytes, lie_about_a_size, delete, repeat, splice, cut_off)


def mutant(kind: str, whole: Source, number: int) -> bytes:
    """The file that is this format's mutation of this number; of even ones only the coded sound is touched."""
    rng = random.Random(f"{kind} {number}")
    data = bytearray(whole.content)
    start, stop = (whole.start, whole.stop) if number % 2 == 0 else (0, len(data))
    if number % 4 == 1:  # the headers, which are little of the file
        stop = max(whole.start, 64)
    if number % 8 == 7 and whole.stop < len(data):  # an index at the end
        start = whole.stop
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(MUTATE)(rng, data, start, min(stop, len(data) - 1))
        if len(data) <= start + 16:
            break
    if number % 2 == 0:
        if whole.stop < len(whole.content):
            data = _index_where_it_was(whole, data)
        mend_checksums(data)
    return bytes(data)


def _index_where_it_was(whole: Source, data: bytearray) -> bytearray:
    """Shifted or shortened sound before an index that is found at its place."""
    tail = whole.content[whole.stop :]
    return bytearray(data[: -len(tail)].ljust(whole.stop, b"\0")[: whole.stop] + tail)


def mend_checksums(data: bytearray) -> None:
    """Gives the pages of an Ogg file the checksums that they ought to have, else their decoder sees none of them.

    RFC 3533, section 6: polynomial 0x04c11db7, over the page with zeros in the checksum's place.
    """
    at = 0
    while (at := data.find(b"OggS", at)) >= 0 and at + 27 <= len(data):
        lengths = data[at + 27 : at + 27 + data[at + 26]]
        page = bytearray(data[at : at + 27 + len(lengths) + sum(lengths)])
        page[22:26] = bytes(4)
        checksum = 0
        for byte in page:
            checksum = (checksum << 8 & 0xFFFFFFFF) ^ _OGG_TABLE[checksum >> 24 ^ byte]
        data[at + 22 : at + 26] = struct.pack("<I", checksum)
        at += 4


def _ogg_remainder(byte: int) -> int:
    remainder = byte << 24
    for _ in range(8):
        remainder = remainder << 1 ^ (0x104C11DB7 if remainder & 0x80000000 else 0)
    return remainder


_OGG_TABLE = tuple(_ogg_remainder(byte) for byte in range(256))


def campaign(kind: str, numbers: Iterable[int], folder: str) -> dict[str, Any]:
    """Reads a format's mutations of these numbers; the file of one that crashed is left in the folder."""
    place = Path(folder)
    whole = source(kind, place)
    tried = heard = refused = 0
    defects: list[str] = []
    most_mb = 0.0
    for number in range(*numbers):
        path = place / f"mutant-{number}.{kind}"
        path.write_bytes(mutant(kind, whole, number))
        try:
            found = watched(path, list(READERS)[number // 2 % 2])
        except Exception:
            defects.append(f"{path.name}: {traceback.format_exc()}")
            continue
        tried, heard, refused = tried + 1, heard + found.heard, refused + (found.refusal is not None)
        most_mb = max(most_mb, found.grown_mb)
        if found.grown_mb > MOST_GROWN_MB:
            defects.append(f"{path.name}: took {found.grown_mb:.0f} MB")
        elif found.defect:
            defects.append(f"{path.name}: {found.defect}")
        else:
            path.unlink()
    return {"tried": tried, "heard": heard, "refused": refused, "most_mb": most_mb, "defects": defects}


@pytest.mark.parametrize("kind", _WRITERS)
def test_no_mutation_does_harm(kind: str, tmp_path: Path) -> None:
    count = max(1, MUTATIONS // len(_WRITERS))
    found = in_a_child(f"{__name__}.campaign", kind, (FIRST_SEED, FIRST_SEED + count), str(tmp_path), seconds=36_000)
    assert not found["defects"], found["defects"][:5]
    assert found["tried"] == count
    assert found["heard"] >= count / 2, f"{found['heard']} of {count} reached the decoding of samples"


def test_the_checksums_are_those_that_encoders_write(tmp_path: Path) -> None:
    content = source("opus", tmp_path).content
    blank = bytearray(content)
    at = 0
    while (at := blank.find(b"OggS", at)) >= 0:
        blank[at + 22 : at + 26] = b"\1\2\3\4"
        at += 4
    mend_checksums(blank)
    assert bytes(blank) == content
