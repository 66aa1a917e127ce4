"""A corpus of bad audio: files that are cut, lie, are something else, or are no files; made anew by every test run.

A kind makes one thing in a folder of its own and gives the name to read it by, from inside that folder. What must come
of it follows from what was put in: ``read`` (the sound that is there), or a refusal that says a word. Where a format
keeps its index at the end, its beginning alone is nothing.
"""

from __future__ import annotations

import functools
import gzip
import io
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.boxes import mpeg4, mpeg4_fragment
from tests.test_audio_reading import encode_with_av, voice

RATE = 24_000
SECONDS, OGG_SECONDS = 2.0, 4.0  # a page of Ogg holds a second
HOURS_12 = 12 * 3600 * RATE  # samples
NO_AUDIO, NO_SAMPLES = "not audio", "without samples"

Make = Callable[[], str]  # in the current folder; what it is called


@dataclass(frozen=True)
class Kind:
    """make: see above. refusal: a pattern that the refusal must match; None: it is read. values: samples times
    channels that must come, from and to. most_mb: how far the memory may grow."""

    make: Make
    refusal: str | None
    values: tuple[int, int] = (1, 2**31)
    most_mb: float = 100.0


KINDS: dict[str, Kind] = {}


def refused(word: str, most_mb: float = 100.0) -> Callable[[Make], Make]:
    """A kind that must be refused with this word."""
    return lambda make: _add(make, Kind(make, word, most_mb=most_mb))


def is_read(low: int = 1, high: int = 2**31) -> Callable[[Make], Make]:
    """A kind that must be read, with so many values."""
    return lambda make: _add(make, Kind(make, None, (low, high)))


def _add(make: Make, kind: Kind) -> Make:
    KINDS[make.__name__.replace("_", " ")] = kind
    return make


# --- whole files ------------------------------------------------------------------------------------------------


@functools.cache
def whole(form: str) -> bytes:
    """A good file of two seconds or more."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole"
        seconds = OGG_SECONDS if form in ("ogg", "opus") else SECONDS
        sound = voice(48_000 if form in ("opus", "m4a", "webm", "3gp") else RATE, seconds)
        if form in ("m4a", "webm", "3gp"):
            codec, container = {"m4a": ("aac", "ipod"), "webm": ("libopus", "webm"), "3gp": ("aac", "3gp")}[form]
            encode_with_av(path, codec, container, sound[None])
        else:
            container, subtype = {
                "wav": ("WAV", "PCM_16"), "wav24": ("WAVEX", "PCM_24"), "wavfloat": ("WAV", "FLOAT"),
                "flac": ("FLAC", "PCM_16"), "mp3": ("MP3", None), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
                "aiff": ("AIFF", "PCM_16"), "caf": ("CAF", "PCM_16"),
            }[form]  # fmt: skip
            soundfile.write(path, sound, 48_000 if form == "opus" else RATE, subtype, format=container)
        return path.read_bytes()


def put(content: bytes, name: str = "a.wav") -> str:
    Path(name).write_bytes(content)
    return name


def patched(form: str, at: int, new: bytes) -> bytes:
    """A good file with other bytes at a place."""
    content = whole(form)
    return content[:at] + new + content[at + len(new) :]


def wav(body: bytes = bytes(2000), *, channels: int = 1, rate: int = RATE, bits: int = 16, tag: int = 1,
        riff: int | None = None, data: int | None = None, before: bytes = b"") -> bytes:  # fmt: skip
    """A WAV file whose header says what it is told to say."""
    frame = channels * bits // 8
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * frame & 2**32 - 1, frame & 2**16 - 1,
                       bits)  # fmt: skip
    head += before + b"data" + struct.pack("<I", len(body) if data is None else data)
    return b"RIFF" + struct.pack("<I", len(body) + 4 + len(head) if riff is None else riff) + b"WAVE" + head + body


# --- cut files: every container, at several places ---------------------------------------------------------------

FORMS = ("wav", "wav24", "wavfloat", "flac", "mp3", "ogg", "opus", "aiff", "caf", "m4a", "webm", "3gp")
NO_BEGINNINGS = ("m4a", "3gp", "flac")  # the index is at the end; a cut FLAC frame fails its checksum


def _cut(form: str, share: float, at: int, refusal: str | None) -> None:
    def make() -> str:
        content = whole(form)
        return put(content[: int(len(content) * share) + at], f"cut.{form}")

    KINDS[f"{form} cut at {share:.0%} {at:+d}"] = Kind(make, refusal)


for _form in FORMS:
    _cut(_form, 0, 3, f"{NO_AUDIO}|{NO_SAMPLES}")
    _cut(_form, 0, 30, f"{NO_AUDIO}|{NO_SAMPLES}")
    for _share in (0.6, 0.9):
        _cut(_form, _share, 1, NO_AUDIO if _form in NO_BEGINNINGS else None)


# --- wrong headers ----------------------------------------------------------------------------------------------


@refused(NO_AUDIO)
def riff_without_chunks() -> str:
    return put(b"RIFF\x04\0\0\0WAVE")


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def wav_without_a_data_chunk() -> str:
    return put(wav()[:36])


@refused(NO_AUDIO)
def wav_without_a_format_chunk() -> str:
    return put(b"RIFF\xff\0\0\0WAVEdata\xc8\0\0\0" + bytes(200))


@refused(NO_AUDIO)
def wav_of_no_channels() -> str:
    return put(wav(channels=0))


@refused(NO_AUDIO)
def wav_of_no_bits() -> str:
    return put(wav(bits=0))


@refused(f"{NO_AUDIO}|0 Hz")
def wav_of_no_rate() -> str:
    return put(wav(rate=0))


@refused(NO_AUDIO)
def wav_of_an_unknown_codec() -> str:
    return put(wav(tag=0xBEEF))


@refused(NO_AUDIO)
def wav_of_65535_channels() -> str:
    return put(wav(channels=65535))


@refused("64 channels")
def wav_of_64_channels() -> str:
    return put(wav(bytes(12_800), channels=64))


@refused("17 channels")
def wav_of_17_channels_for_ffmpeg() -> str:
    """Its peaks are of one channel, which libsndfile refuses; of over eight, PyAV's planes were read past their end."""
    return put(patched("wavfloat", 22, b"\x11"))


@is_read(47_988, 48_000)
def wav_of_12_channels_for_ffmpeg() -> str:
    return put(patched("wavfloat", 22, b"\x0c"))


@refused("sampled at 1 Hz")
def wav_of_1_hz() -> str:
    return put(wav(rate=1))


@refused("sampled at 768000 Hz")
def wav_of_768_khz() -> str:
    return put(wav(rate=768_000))


@refused(r"sampled at -?\d+ Hz|not audio")
def wav_of_4_ghz() -> str:
    return put(wav(rate=2**32 - 1))


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def flac_without_frames() -> str:
    return put(whole("flac")[: whole("flac").index(b"\xff\xf8")], "a.flac")


@is_read(48_000, 48_000)  # every frame says its own
def flac_of_no_rate() -> str:
    return put(patched("flac", 18, b"\0\0\x02"), "a.flac")


@refused(NO_AUDIO)
def flac_without_its_description() -> str:
    return put(b"fLaC" + whole("flac")[42:], "a.flac")


@refused(NO_AUDIO)
def flac_magic_before_wav() -> str:
    return put(b"fLaC" + whole("wav")[4:], "a.flac")


@refused(NO_AUDIO)
def ogg_of_nothing_known() -> str:
    return put(whole("ogg").replace(b"vorbis", b"sibrov"), "a.ogg")


@refused(NO_AUDIO)
def m4a_without_its_index() -> str:
    return put(whole("m4a").replace(b"moov", b"vomo"), "a.m4a")


@refused(NO_AUDIO)
def webm_of_an_unknown_codec() -> str:
    return put(whole("webm").replace(b"A_OPUS", b"A_SUPO"), "a.webm")


@is_read(48_000, 48_000)
def flac_that_is_called_wav() -> str:
    return put(whole("flac"), "a.wav")


@is_read(48_000, 48_000)
def wav_that_is_called_mp3() -> str:
    return put(whole("wav"), "a.mp3")


# --- sizes that lie: what is there is read, memory is not what they promise ---------------------------------------


@is_read(500, 500)
def wav_of_12_hours_in_1_kb() -> str:
    return put(wav(bytes(1000), data=2 * HOURS_12, riff=2 * HOURS_12 + 36))


@is_read(1, 48_000)
def flac_of_12_hours_in_20_kb() -> str:
    field = int.from_bytes(whole("flac")[18:26], "big") >> 36 << 36 | HOURS_12  # the last 36 bits count samples
    return put(patched("flac", 18, field.to_bytes(8, "big")), "a.flac")


@is_read(1, 48_000)
def aiff_of_12_hours_in_100_kb() -> str:
    at = whole("aiff").index(b"COMM") + 10
    return put(patched("aiff", at, struct.pack(">I", HOURS_12)), "a.aiff")


@is_read(1000, 1000)
def wav_of_riff_size_0() -> str:
    return put(wav(riff=0))


@is_read(1000, 1000)
def wav_of_riff_size_4_gb() -> str:
    return put(wav(riff=2**32 - 1))


@is_read(1000, 1000)
def wav_of_data_size_4_gb() -> str:
    return put(wav(data=2**32 - 1))


@is_read(1000, 1000)
def wav_of_data_size_2_gb() -> str:
    return put(wav(data=2**31))


@is_read(1000, 1000)
def wav_of_data_size_0_as_from_a_stream() -> str:
    return put(wav(data=0))


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def wav_with_a_list_of_4_gb() -> str:
    return put(wav(before=b"LIST\xf0\xff\xff\xff"))


@refused(NO_AUDIO)
def wav_with_a_format_of_4_gb() -> str:
    return put(wav().replace(b"fmt \x10\0\0\0", b"fmt \xf0\xff\xff\xff"))


@is_read(48_000, 96_000)
def webm_of_4_exabytes() -> str:
    at = whole("webm").index(b"\x18\x53\x80\x67") + 4
    return put(patched("webm", at, b"\x01\x3f\xff\xff\xff\xff\xff\xff"), "a.webm")


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def mp3_tag_of_256_mb() -> str:
    return put(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(1000), "a.mp3")


@refused(NO_AUDIO)
def m4a_whose_index_is_of_4_gb() -> str:
    at = whole("m4a").index(b"moov") - 4
    return put(patched("m4a", at, b"\xff\xff\xff\xf0")[: at + 400], "a.m4a")


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def m4a_of_100_million_packets_in_600_bytes() -> str:
    return put(mpeg4(100_000_000), "a.m4a")


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def m4a_of_300_tracks() -> str:
    return put(mpeg4(10_000_000, 300), "a.m4a")


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def m4a_of_a_fragment_of_100_million_packets() -> str:
    return put(mpeg4_fragment(100_000_000), "a.m4a")


# --- too few samples, and samples that are none -------------------------------------------------------------------


def _samples(name: str, values: list[float] | np.ndarray, form: str, subtype: str, refusal: str | None) -> None:
    def make() -> str:
        soundfile.write("a", np.asarray(values, dtype=np.float64), RATE, subtype, format=form)
        return "a"

    KINDS[f"{form} of {name}"] = Kind(make, refusal, (len(values), len(values)))


for _form, _type in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("CAF", "FLOAT")):
    _samples("one sample", [0.5], _form, _type, None)
for _form, _type in (("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("CAF", "FLOAT"), ("OGG", "VORBIS")):
    _samples("no sample", [], _form, _type, f"{NO_SAMPLES}|{NO_AUDIO}")
for _value in (np.nan, np.inf, -np.inf):
    for _form in ("WAV", "AIFF", "CAF"):
        _samples(f"one {_value}", [*[0.1] * 9000, _value, 0.1], _form, "FLOAT", "NaN or infinity")
_samples("1e300", [0.1, 1e300], "WAV", "DOUBLE", "NaN or infinity")
_samples("1e30", [0.1, -1e30], "WAV", "FLOAT", "up to 1e\\+30")
_samples("integers as floats", [0.1, -32768.0], "WAV", "FLOAT", None)


# --- what is no audio at all ------------------------------------------------------------------------------------


def _zipped(content: bytes) -> bytes:
    with io.BytesIO() as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.wav", content)
        return target.getvalue()


_NOISE = np.random.default_rng(0).bytes(100_000)
OTHER: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty file": (lambda: b"", "empty"),
    "one byte": (lambda: b"R", NO_AUDIO),
    "a text": (lambda: b"To be, or not to be.\n" * 2000, NO_AUDIO),
    "a text in UTF-16": (lambda: "Sein oder nicht sein.\n".encode("utf-16") * 99, NO_AUDIO),
    "a page": (lambda: b"<!doctype html><audio src=a.mp3></audio>" * 9, NO_AUDIO),
    "a PNG image": (lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + _NOISE[:4000], NO_AUDIO),
    "a JPEG image": (lambda: b"\xff\xd8\xff\xe0\0\x10JFIF\0" + _NOISE[:40_000], NO_AUDIO),
    "a GIF image": (lambda: b"GIF89a" + _NOISE[:4000], NO_AUDIO),
    "a PDF document": (lambda: b"%PDF-1.7\n" + _NOISE[:4000], NO_AUDIO),
    "a program": (lambda: b"\x7fELF\x02\x01\x01" + _NOISE[:4000], NO_AUDIO),
    "a MIDI file": (lambda: b"MThd\0\0\0\x06\0\x01\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0", NO_AUDIO),
    "a playlist": (lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n", NO_AUDIO),
    "a playlist of FFmpeg's": (lambda: b"ffconcat version 1.0\nfile /etc/hostname\n", NO_AUDIO),
    "a session description": (lambda: b"v=0\nm=audio 49170 RTP/AVP 0\nc=IN IP4 127.0.0.1\n", NO_AUDIO),
    "noise": (lambda: _NOISE, NO_AUDIO),
    "a megabyte of zeros": (lambda: bytes(2**20), NO_AUDIO),
    "a megabyte of ones": (lambda: b"\xff" * 2**20, NO_AUDIO),
    "a zipped recording": (lambda: _zipped(whole("wav")), NO_AUDIO),
    "a gigabyte in a gzip file": (lambda: gzip.compress(gzip.compress(bytes(2**26)) * 16), NO_AUDIO),
    "a zip bomb": (lambda: _zipped(bytes(2**26)), NO_AUDIO),
}
for _name, (_content, _word) in OTHER.items():
    KINDS[_name] = Kind(lambda content=_content: put(content()), _word)  # type: ignore[misc]
KINDS["an image that is called mp3"] = Kind(lambda: put(OTHER["a PNG image"][0](), "a.mp3"), NO_AUDIO)
KINDS["a text that is called m4a"] = Kind(lambda: put(OTHER["a text"][0](), "a.m4a"), NO_AUDIO)


@refused("too large for memory", most_mb=1200.0)
def an_hour_of_silence_in_eight_channels_and_half_a_megabyte() -> str:
    """FLAC gives 32,768 values for 52 bytes; frames may be repeated as they are."""
    soundfile.write("short", np.zeros((4096, 8)), 48_000, "PCM_16", format="FLAC")
    content = Path("short").read_bytes()
    at = content.index(b"\xff\xf8")
    head = content[:18] + (int.from_bytes(content[18:26], "big") >> 36 << 36).to_bytes(8, "big") + content[26:at]
    return put(head + content[at:] * 9000, "a.flac")


@refused(f"{NO_AUDIO}|{NO_SAMPLES}")
def a_terabyte_of_nothing() -> str:
    with open("a.wav", "wb") as sparse:
        sparse.truncate(2**40)
    return "a.wav"
