"""voicekit.metadata: what a file says of itself, in every format, the same each time, and the sound as it was.

Truth: FFmpeg through PyAV, libsndfile, and mutagen (where it is installed; it is no part of the project), which read
what was written here; the sound is decoded before and after.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.voices import talking
from voicekit.audio import read_recording
from voicekit.audio_writing import write_audio
from voicekit.metadata import AI_GENERATED, Tags, mp4_fields, read_tags, tag_file, three_letters
from voicekit.text import LANGUAGES

LICENCE = "https://coqui.ai/cpml"
SETTINGS = "temperature 0.75, top-k 50, speed 1"
TAGS = Tags("Das schöne 日本 – “Märchen”", "de", "xtts_v2", LICENCE, SETTINGS, 424_242, artist="Grimm", album="Märchen",
            track=(3, 12))  # fmt: skip
OGG = ["ogg", "opus"]
OURS = ["wav", "flac", "mp3", *OGG]
MP4 = ["m4a", "m4b"] if shutil.which("ffmpeg") else []


def tagged(folder: Path, kind: str, tags: Tags | None = TAGS) -> Path:
    """A file of 2 s."""
    return write_audio(talking(2.0), folder / f"a.{kind}", tags=tags, overwrite=True)


@pytest.mark.parametrize("kind", OURS + MP4)
def test_ffmpeg_reads_every_field(tmp_path: Path, kind: str) -> None:
    found = read_tags(tagged(tmp_path, kind))
    assert found["title"] == TAGS.title and found["artist"] == "Grimm" and found["album"] == "Märchen"
    assert found["genre"] == "Speech" and found["encoder"] == TAGS.software
    assert found["language"] == ("deu" if kind in ("mp3", *MP4) else "de")  # these two want ISO 639-2
    assert found["track"] == ("3" if kind in ("flac", *OGG) else "3/12")
    assert LICENCE in (found.get("license"), found.get("copyright"))
    assert found["comment"].startswith(AI_GENERATED)
    for part in ("xtts_v2", LICENCE, SETTINGS, "424242", "language de"):
        assert part in found["comment"]
    if kind not in ("wav", *MP4):
        assert (found["model"], found["settings"], found["seed"]) == ("xtts_v2", SETTINGS, "424242")


@pytest.mark.parametrize("kind", OURS)
def test_libsndfile_reads_the_same(tmp_path: Path, kind: str) -> None:
    with soundfile.SoundFile(tagged(tmp_path, kind)) as file:
        found = file.copy_metadata()
    assert found["title"] == TAGS.title and found["artist"] == "Grimm" and found["genre"] == "Speech"
    assert found["comment"] == TAGS.comment


def test_the_standards_own_names_are_used(tmp_path: Path) -> None:
    mutagen = pytest.importorskip("mutagen")
    mp3 = mutagen.File(tagged(tmp_path, "mp3")).tags
    assert mp3.version == (2, 4, 0)
    assert mp3["TIT2"].text == [TAGS.title] and mp3["TLAN"].text == ["deu"] and mp3["TSSE"].text == [TAGS.software]
    assert mp3["COMM::eng"].text == [TAGS.comment] and mp3["WCOP"].url == LICENCE
    assert mp3["TXXX:SEED"].text == ["424242"] and mp3["TXXX:LICENSE"].text == [LICENCE]
    for kind in ("flac", *OGG):
        found = mutagen.File(tagged(tmp_path, kind)).tags
        assert found["TITLE"] == [TAGS.title] and found["LICENSE"] == [LICENCE] and found["TRACKTOTAL"] == ["12"]
    for kind in MP4:
        found = mutagen.File(tagged(tmp_path, kind)).tags
        assert found["\xa9nam"] == [TAGS.title] and found["trkn"] == [(3, 12)] and found["cprt"] == [LICENCE]
        assert found["\xa9cmt"] == [TAGS.comment] and found["\xa9too"] == [TAGS.software]


@pytest.mark.parametrize("kind", OURS + MP4)
def test_the_sound_is_the_same_with_tags_and_without(tmp_path: Path, kind: str) -> None:
    with_tags = read_recording(tagged(tmp_path, kind))
    without = read_recording(tagged(tmp_path, kind, None))
    np.testing.assert_array_equal(with_tags.samples, without.samples)
    assert with_tags.sample_rate == without.sample_rate


@pytest.mark.parametrize("kind", OURS + MP4)
def test_without_tags_a_file_says_nothing(tmp_path: Path, kind: str) -> None:
    found = read_tags(tagged(tmp_path, kind, None))
    assert not {"title", "comment", "genre", "date", "creation_time", "seed"} & set(found)
    assert found.get("language", "und") == "und"


@pytest.mark.parametrize("kind", OURS + MP4)
def test_what_is_not_known_is_left_out(tmp_path: Path, kind: str) -> None:
    found = read_tags(tagged(tmp_path, kind, Tags(None, "xx", "m", None, "s", 0)))
    assert not {"title", "artist", "album", "track", "license", "copyright"} & set(found)
    assert found["comment"].startswith(AI_GENERATED) and "licence" not in found["comment"]
    assert "seed 0" in found["comment"]


@pytest.mark.parametrize("kind", OURS)
def test_tagging_again_replaces_the_tags_and_leaves_nothing_behind(tmp_path: Path, kind: str) -> None:
    once = tagged(tmp_path, kind)
    expected = once.read_bytes()
    once.chmod(0o640)
    tag_file(once, f".{kind}", dataclasses.replace(TAGS, title="Another, much longer title " * 20))
    assert read_tags(once)["title"].startswith("Another") and once.read_bytes() != expected
    tag_file(once, f".{kind}", TAGS)
    assert once.read_bytes() == expected
    assert os.listdir(tmp_path) == [once.name] and once.stat().st_mode & 0o777 == 0o640


def test_other_formats_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.aac"
    path.write_bytes(b"ADTS")
    tag_file(path, ".aac", TAGS)
    assert path.read_bytes() == b"ADTS"


NASTY = "A\r\nB\x00C\x1b[31m\ud800 = D\x85 \u202e" + "é" * 3000


@pytest.mark.parametrize("kind", OURS + MP4)
def test_nasty_titles_stay_one_field(tmp_path: Path, kind: str) -> None:
    tags = dataclasses.replace(TAGS, title=NASTY, settings="top_p=0.85; a\nSEED=1", album=" \n ")
    found = read_tags(tagged(tmp_path, kind, tags))
    assert found["title"].startswith("A B C [31m = D") and len(found["title"]) <= 1000
    assert "\n" not in found["comment"] and found["artist"] == "Grimm" and "album" not in found
    assert found.get("seed", "424242") == "424242"
    read_recording(tmp_path / f"a.{kind}")


@pytest.mark.parametrize("kind", OGG)
@pytest.mark.parametrize("length", [0, 100, 1000])
def test_ogg_pages_are_sound_whatever_the_length_of_the_tags(tmp_path: Path, kind: str, length: int) -> None:
    """By the format's own rules: one serial number, pages counted, sums right, the end marked."""
    data = tagged(tmp_path, kind, dataclasses.replace(TAGS, title="t" * length, settings="é" * length)).read_bytes()
    pages = list(ogg_pages(data))
    assert [page["number"] for page in pages] == list(range(len(pages)))
    assert len({page["serial"] for page in pages}) == 1
    assert [page["flags"] & 6 for page in pages] == [2] + [0] * (len(pages) - 2) + [4]
    assert all(page["sum"] == page["expected"] for page in pages)
    assert sum(page["size"] for page in pages) == len(data)


def ogg_pages(data: bytes) -> Any:
    """The pages of RFC 3533, with the checksum bit by bit."""
    at = 0
    while at < len(data):
        assert data[at : at + 5] == b"OggS\0"
        flags, _granule, serial, number, found, count = struct.unpack_from("<BqIIIB", data, at + 5)
        size = 27 + count + sum(data[at + 27 : at + 27 + count])
        page = data[at : at + 22] + b"\0" * 4 + data[at + 26 : at + size]
        yield {"flags": flags, "serial": serial, "number": number, "sum": found, "expected": crc(page), "size": size}
        at += size


def crc(page: bytes) -> int:
    """CRC-32 with 0x04C11DB7, begun at 0, not reflected."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def test_a_comment_that_fills_pages_is_read_back(tmp_path: Path) -> None:
    """Header packets may be longer than a page of 65,025 bytes."""
    from voicekit.tag_containers import copy_ogg

    for kind in OGG:
        path, copied = tagged(tmp_path, kind), tmp_path / f"long.{kind}"
        for length in (65_025 - 200, 65_025, 200_000):
            copy_ogg(path, copied, {"TITLE": "t" * length, "SEED": "1"})
            assert read_tags(copied)["title"] == "t" * length
            np.testing.assert_array_equal(read_recording(copied).samples, read_recording(path).samples)
            assert all(page["sum"] == page["expected"] for page in ogg_pages(copied.read_bytes()))


def test_every_language_has_its_three_letters() -> None:
    assert {three_letters(code) for code in LANGUAGES} & {"und"} == set()
    assert (three_letters("zh-cn"), three_letters("en"), three_letters("tlh")) == ("zho", "eng", "und")


def test_mp4_fields_are_those_that_ffmpeg_knows() -> None:
    assert set(mp4_fields(TAGS)) == {"title", "artist", "album", "track", "genre", "copyright", "comment",
                                     "encoding_tool"}  # fmt: skip
