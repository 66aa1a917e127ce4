"""voicekit.audio_writing: whole or not at all, in pieces as in one, the same bytes each time, in flat memory.

Truth: soundfile, the wave module, FFmpeg through PyAV reading the file back, and arithmetic.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.voices import talking
from voicekit import audio_encoders
from voicekit.audio import Audio, read_recording, resample
from voicekit.audio_writing import (
    Form,
    WavStream,
    check_output_path,
    file_rate,
    free_name,
    wav_bytes,
    write_audio,
    writing,
)
from voicekit.errors import OutputError
from voicekit.metadata import Tags

Float = NDArray[np.float32]
RATE = 24_000
ROOT = Path(__file__).parents[1]
KINDS = ["wav", "flac", "ogg", "opus", "mp3"]
if shutil.which("ffmpeg"):
    KINDS += ["m4a", "m4b", "aac"]


def tone(rate: int = RATE, seconds: float = 1.0, hz: float = 440.0, peak: float = 0.5) -> Float:
    """A sine, float32 [n]."""
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def voice() -> Float:
    """Speech-like sound of 4 s at 24 kHz, float32 [n]."""
    return talking(4.0, RATE).samples


@pytest.mark.parametrize("extension", ["wav", "WAV", "flac"])
def test_pcm_files_hold_the_rounded_samples_and_nothing_else(tmp_path: Path, extension: str) -> None:
    path = write_audio(Audio(voice(), RATE), tmp_path / f"a.{extension}")
    found, rate = soundfile.read(path, dtype="float32")
    info = soundfile.info(path)
    assert (rate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
    assert np.abs(found - voice()).max() <= 0.5 / 32768 + 1e-9
    if extension == "wav":
        assert path.stat().st_size == 44 + 2 * len(voice())
        assert path.read_bytes() == wav_bytes(Audio(voice(), RATE))


@pytest.mark.parametrize("extension", ["ogg", "opus", "mp3"])
@pytest.mark.parametrize("rate", [22_050, 24_000, 96_000])
def test_compressed_files_hold_the_sound(tmp_path: Path, extension: str, rate: int) -> None:
    path = write_audio(Audio(tone(rate, 2.0), rate), tmp_path / f"a.{extension}")
    found, got = soundfile.read(path)
    assert got >= min(rate, 48_000) and len(found) == pytest.approx(2 * got, abs=got * 0.1)
    spectrum = np.abs(np.fft.rfft(found[got // 2 : got // 2 + got]))
    assert np.argmax(spectrum) == 440
    assert np.sqrt(np.mean(found[got // 2 : -got // 2] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the FFmpeg program is not on the PATH")
@pytest.mark.parametrize("extension", ["m4a", "aac"])
def test_aac_files_hold_the_sound(tmp_path: Path, extension: str) -> None:
    path = write_audio(Audio(tone(RATE, 2.0), RATE), tmp_path / f"a.{extension}")
    found = read_recording(path)
    assert found.sample_rate == RATE and found.duration_s == pytest.approx(2.0, abs=0.15)
    assert np.argmax(np.abs(np.fft.rfft(found.samples[0, 6000:30_000]))) == 440
    again = write_audio(Audio(tone(RATE, 2.0), RATE), tmp_path / f"b.{extension}")
    assert path.read_bytes() == again.read_bytes(), "no date and no name inside"


def test_without_ffmpeg_aac_is_refused_with_the_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="FFmpeg") as caught:
        write_audio(Audio(tone(), RATE), tmp_path / "a.m4a")
    assert ".wav" in caught.value.hint and not list(tmp_path.iterdir())


def test_nothing_clips_and_nothing_wraps(tmp_path: Path) -> None:
    edge = np.array([1.0, -1.0, 0.99999, -0.99999, 0.5 / 32768, -0.5 / 32768, 0.0], np.float32)
    found, _ = soundfile.read(write_audio(Audio(edge, RATE), tmp_path / "a.wav"), dtype="int16")
    np.testing.assert_array_equal(found[:4], [32767, -32767, 32767, -32767])
    np.testing.assert_array_equal(found[4:] + found[[5, 4, 6]], [0, 0, 0])  # the same both ways
    found, _ = soundfile.read(write_audio(Audio(tone(peak=4.0), RATE), tmp_path / "b.wav"))
    assert 20 * np.log10(np.abs(found).max()) == pytest.approx(-0.1, abs=0.01)
    np.testing.assert_allclose(found / np.abs(found).max(), tone(peak=1.0) / tone(peak=1.0).max(), atol=1e-4)


@pytest.mark.parametrize("samples", [[], [np.nan, 0.0], [np.inf]])
def test_no_sound_is_not_written(tmp_path: Path, samples: list[float]) -> None:
    with pytest.raises(OutputError, match="no sound"):
        write_audio(Audio(np.array(samples, np.float32), RATE), tmp_path / "a.wav")
    assert not list(tmp_path.iterdir())


def test_paths_that_cannot_be_written_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "taken.wav").write_bytes(b"mine")
    (tmp_path / "folder.wav").mkdir()
    for name, words in {
        "a.xyz": r"known audio format",
        "a": r"known audio format",
        "none/a.wav": "no folder",
        "taken.wav": "exists already",
        "folder.wav": "folder or a device",
    }.items():
        with pytest.raises(OutputError, match=words) as caught:
            check_output_path(tmp_path / name)
        assert caught.value.hint
        with pytest.raises(OutputError, match=words):
            write_audio(Audio(tone(), RATE), tmp_path / name)
    assert (tmp_path / "taken.wav").read_bytes() == b"mine"
    assert check_output_path(tmp_path / "taken.wav", overwrite=True) == tmp_path / "taken.wav"
    write_audio(Audio(tone(), RATE), tmp_path / "taken.wav", overwrite=True)
    assert soundfile.info(tmp_path / "taken.wav").frames == RATE
    assert sorted(os.listdir(tmp_path)) == ["folder.wav", "taken.wav"]


FULL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
sound = a.Audio(numpy.zeros(48_000 * 600, numpy.float32) + 0.1, 48_000)
a.write_audio(sound, folder + "/a.mp3", overwrite=True)
"""
INTERRUPT = """
import os, signal, threading, time
def interrupt():
    while not any(name.endswith(".part") for name in os.listdir(folder)):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
threading.Thread(target=interrupt, daemon=True).start()
with a.writing(folder + "/a.mp3", 48_000, overwrite=True) as file:
    while True:
        file.write(numpy.zeros(4_800, numpy.float32))
"""


@pytest.mark.skipif(os.name == "nt", reason="limits and signals of POSIX")
@pytest.mark.parametrize("trouble, word", [(FULL_DISK, "OutputError"), (INTERRUPT, "KeyboardInterrupt")])
def test_a_failure_leaves_the_old_file_and_no_part(tmp_path: Path, trouble: str, word: str) -> None:
    (tmp_path / "a.mp3").write_bytes(b"old")
    program = "import sys, numpy, voicekit.audio_writing as a\nfolder = sys.argv[1]\n" + trouble
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode and word in done.stderr.splitlines()[-1]
    assert os.listdir(tmp_path) == ["a.mp3"] and (tmp_path / "a.mp3").read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_modes_follow_the_umask_and_links_are_followed(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        path = write_audio(Audio(tone(), RATE), tmp_path / "a.wav")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    (tmp_path / "link.wav").symlink_to(path)
    write_audio(Audio(tone(seconds=2), RATE), tmp_path / "link.wav", overwrite=True)
    assert (tmp_path / "link.wav").is_symlink() and soundfile.info(path).frames == 2 * RATE


def test_free_names_count_from_two(tmp_path: Path) -> None:
    path = tmp_path / "a b.tar.wav"
    for expected in ("a b.tar.wav", "a b.tar_2.wav", "a b.tar_3.wav"):
        assert free_name(path) == tmp_path / expected
        (tmp_path / expected).touch()


def in_pieces(samples: Float, path: Path, form: Form | None = None, tags: Tags | None = None, size: int = 997) -> Path:
    """Writes a file piece by piece."""
    with writing(path, RATE, form, tags=tags) as file:
        for start in range(0, len(samples), size):
            file.write(samples[start : start + size])
    assert file.duration_s == pytest.approx(len(samples) / RATE)
    assert file.sample_rate == file_rate(path.suffix, RATE, form)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_and_two_runs_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    tags = Tags("Tag", "de", "xtts_v2", "https://example.org/licence", "temperature 0.75", 7)
    found = {
        tagged: {
            hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (
                write_audio(Audio(voice(), RATE), tmp_path / f"a{tagged}.{kind}", tags=tags if tagged else None),
                in_pieces(voice(), tmp_path / f"b{tagged}.{kind}", tags=tags if tagged else None),
                in_pieces(voice(), tmp_path / f"c{tagged}.{kind}", tags=tags if tagged else None, size=70_000),
            )
        }
        for tagged in (False, True)
    }
    assert [len(each) for each in found.values()] == [1, 1]
    assert found[True].isdisjoint(found[False]) or kind == "aac", "ADTS has no place for tags"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("kind", ["ogg", "opus"])
def test_unequal_sound_gets_unequal_ogg_serial_numbers(tmp_path: Path, kind: str) -> None:
    """Such files may be put one after the other into one, which needs different numbers."""
    found = {
        write_audio(Audio(tone(hz=hz), RATE), tmp_path / f"{hz}.{kind}").read_bytes()[14:18] for hz in (200, 300)
    }
    assert len(found) == 2


@pytest.mark.parametrize("new", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_resampling_in_pieces_is_resampling_at_once(tmp_path: Path, new: int) -> None:
    form = Form(new, "float")
    for length in (1, 50, 12_345, len(voice())):
        path = in_pieces(voice()[:length], tmp_path / f"{length}.wav", form)
        found, rate = soundfile.read(path, dtype="float32")
        assert (rate, len(found)) == (new, round(length * new / RATE))
        whole = resample(Audio(voice()[:length], RATE), new).samples
        np.testing.assert_allclose(found, np.clip(whole, -1, 1), atol=1e-6)
    delay = np.argmax(np.correlate(found, resample(Audio(voice(), RATE), new).samples[50:-50], "valid"))
    assert delay == 50


@pytest.mark.parametrize("wav_format, subtype", [("pcm16", "PCM_16"), ("pcm24", "PCM_24"), ("float", "FLOAT")])
def test_wav_formats_are_read_by_everybody(tmp_path: Path, wav_format: str, subtype: str) -> None:
    samples = voice()[:12_345]  # odd: 24 bits then need a byte of padding
    step = {"pcm16": 2**-16, "pcm24": 2**-24, "float": 0.0}[wav_format]
    for tags in (None, Tags("Odd", "en", "m", None, "s", 1)):
        path = in_pieces(samples, tmp_path / f"{tags is None}.wav", Form(wav_format=wav_format), tags)
        data = path.read_bytes()
        assert int.from_bytes(data[4:8], "little") == len(data) - 8 and len(data) % 2 == 0
        assert soundfile.info(path).subtype == subtype
        found, _ = soundfile.read(path, dtype="float64")
        assert len(found) == len(samples) and np.abs(found - samples).max() <= step + 1e-12
        recording = read_recording(path)
        np.testing.assert_allclose(recording.samples[0], found, atol=1e-7)
        assert_ffmpeg_reads(path, found)
        if wav_format != "float":  # which the wave module of Python 3.11 does not know
            with wave.open(str(path)) as file:
                assert (file.getnframes(), file.getnchannels()) == (len(samples), 1)
                assert file.getframerate() == RATE and file.getsampwidth() == {"pcm16": 2, "pcm24": 3}[wav_format]


def assert_ffmpeg_reads(path: Path, expected: NDArray[np.float64]) -> None:
    """FFmpeg's own demuxer and decoder give these samples, and no more."""
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="dbl", layout="mono", rate=RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    np.testing.assert_allclose(np.concatenate([frame.to_ndarray()[0] for frame in frames]), expected, atol=1e-9)


def test_flac_of_24_bits_holds_the_rounded_samples(tmp_path: Path) -> None:
    path = in_pieces(voice(), tmp_path / "a.flac", Form(wav_format="pcm24"))
    found, _ = soundfile.read(path, dtype="float64")
    assert soundfile.info(path).subtype == "PCM_24"
    assert np.abs(found - voice()).max() <= 2**-24 + 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_takes_every_rate_asked_for(tmp_path: Path, kind: str) -> None:
    for wanted in (8_000, 23_456, 44_100, 192_000):
        path = in_pieces(tone(seconds=2.0), tmp_path / f"{wanted}.{kind}", Form(wanted))
        found = read_recording(path)
        rate = file_rate(f".{kind}", RATE, Form(wanted))
        assert found.sample_rate == rate
        assert rate >= min(wanted, 48_000) and (rate == wanted or kind not in ("wav", "flac"))
        second = found.samples[0, found.sample_rate // 2 : found.sample_rate * 3 // 2]
        assert np.argmax(np.abs(np.fft.rfft(second))) == 440


def test_impossible_forms_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    for name, form, words in (
        ("a.flac", Form(wav_format="float"), "cannot hold 'float'"),
        ("a.mp3", Form(wav_format="pcm24"), "cannot hold 'pcm24'"),
        ("a.wav", Form(wav_format="pcm8"), "cannot hold 'pcm8'"),
        ("a.wav", Form(4_000), "4000 Hz"),
        ("a.wav", Form(400_000), "400000 Hz"),
    ):
        for refusing in (check_output_path, lambda path, _, form: write_audio(Audio(tone(), RATE), path, form=form)):
            with pytest.raises(OutputError, match=words) as caught:
                refusing(tmp_path / name, False, form)
            assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_pieces_over_full_scale_are_limited_and_counted(tmp_path: Path) -> None:
    loud = np.array([0.5, 1.5, -2.0, 1.0, -1.0], np.float32)
    with writing(tmp_path / "a.wav", RATE, Form(wav_format="float")) as file:
        file.write(loud)
        assert file.limited == 2
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav")[0], [0.5, 1, -1, 1, -1])
    square = np.sign(tone(hz=100.0, peak=1.0) + 1e-9).astype(np.float32)  # overshoots when it is resampled
    with writing(tmp_path / "b.wav", RATE, Form(44_100, "float")) as file:
        file.write(square)
    found, _ = soundfile.read(tmp_path / "b.wav")
    assert file.limited > 100 and np.abs(found).max() == 1.0


def test_a_failure_of_the_callers_code_comes_through_and_leaves_nothing(tmp_path: Path) -> None:
    for error in (OSError("no such model"), AssertionError("mine"), ValueError("x"), KeyboardInterrupt()):
        for kind in KINDS:
            with pytest.raises(type(error)) as caught:
                with writing(tmp_path / f"a.{kind}", RATE) as file:
                    file.write(tone())
                    raise error
            assert caught.value is error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_written_or_nan_gives_no_file(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OutputError, match="no sound"):
        with writing(tmp_path / f"a.{kind}", RATE):
            pass
    with pytest.raises(OutputError, match="no sound"):
        with writing(tmp_path / f"a.{kind}", RATE) as file:
            file.write(tone())
            file.write(np.array([np.nan], np.float32))
    assert not list(tmp_path.iterdir())


def test_a_wav_over_its_limit_is_refused_and_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert audio_encoders.MOST_BYTES + 2**16 < 2**32
    monkeypatch.setattr(audio_encoders, "MOST_BYTES", 2 * RATE)
    with pytest.raises(OutputError, match="4 GiB") as caught:
        with writing(tmp_path / "a.wav", RATE) as file:
            file.write(tone(seconds=1.0))
            file.write(tone(seconds=0.1))
    assert ".flac" in caught.value.hint and not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind, form", [("wav", Form(48_000, "float")), ("flac", Form()), ("mp3", Form())])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, kind: str, form: Form) -> None:
    block, minutes = tone(seconds=10.0), 20
    tracemalloc.start()
    try:
        with writing(tmp_path / f"a.{kind}", RATE, form, tags=Tags(None, "en", "m", None, "s", 1)) as file:
            for _ in range(6 * minutes):
                file.write(block)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file.duration_s == 60 * minutes
    assert peak < 8 * 2**20 < block.nbytes * 6 * minutes / 10


class Pipe(io.BytesIO):
    """Counts the flushes, and cannot be sought in."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("wav_format", ["pcm16", "pcm24", "float"])
def test_a_wav_stream_has_sizes_without_end_and_sends_each_piece(tmp_path: Path, wav_format: str) -> None:
    pipe = Pipe()
    stream = WavStream(pipe, RATE, Form(wav_format=wav_format))
    assert pipe.getvalue() == b""
    sizes = []
    for start in range(0, RATE, RATE // 4):
        stream.write(voice()[start : start + RATE // 4])
        sizes.append(len(pipe.getvalue()))
    stream.finish()
    assert pipe.flushed == 4 and len(set(sizes)) == 4 and stream.duration_s == 1.0
    data = pipe.getvalue()
    assert data[:4] == b"RIFF" and data[4:8] == b"\xff" * 4 and data[8:16] == b"WAVEfmt "
    at = data.index(b"data")
    assert data[at + 4 : at + 8] == b"\xff" * 4
    whole = in_pieces(voice()[:RATE], tmp_path / "a.wav", Form(wav_format=wav_format)).read_bytes()
    assert data[at + 8 :] == whole[whole.index(b"data") + 8 :]
    (tmp_path / "b.wav").write_bytes(data)
    assert_ffmpeg_reads(tmp_path / "b.wav", soundfile.read(tmp_path / "a.wav")[0])
    np.testing.assert_allclose(
        read_recording(tmp_path / "b.wav").samples, read_recording(tmp_path / "a.wav").samples, atol=1e-7
    )


def test_a_wav_stream_at_another_rate_ends_with_what_was_held_back() -> None:
    pipe = Pipe()
    with WavStream(pipe, RATE, Form(44_100)) as stream:
        for start in range(0, len(voice()), 5_000):
            stream.write(voice()[start : start + 5_000])
    assert stream.sample_rate == 44_100
    found = np.frombuffer(pipe.getvalue()[44:], "<i2") / 32768
    np.testing.assert_allclose(found, resample(Audio(voice(), RATE), 44_100).samples, atol=2**-16 + 1e-6)


def test_a_stream_that_nobody_reads_says_so_itself() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        with pytest.raises(BrokenPipeError):
            WavStream(pipe, RATE).write(tone())
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # or closing would fail once more
