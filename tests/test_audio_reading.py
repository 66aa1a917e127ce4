"""voicekit.audio_reading, through read_recording: every format in, every hostile file refused with a reason.

Truth: soundfile and PyAV writing the files, soundfile reading the same ones, and arithmetic.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from voicekit.audio import Audio, read_recording
from voicekit.audio_writing import wav_bytes
from voicekit.errors import AudioError

Float = NDArray[np.float32]
NAMES = [
    "-",
    "-o.wav",
    "a b.wav",
    'it\'s "me".wav',
    "two\nlines.wav",
    "voice \U0001f399.wav",
    "x.raw",
    "plain",
]


def tone(rate: int = 24_000, seconds: float = 1.0, hz: float = 440.0, peak: float = 0.5) -> Float:
    """A sine, float32 [n]."""
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def voice(rate: int = 24_000, seconds: float = 4.0, seed: int = 0) -> Float:
    """Bursts of low noise with pauses: has the levels of speech."""
    from scipy.signal import butter, sosfilt

    noise = sosfilt(
        butter(2, 1500, fs=rate, output="sos"),
        np.random.default_rng(seed).standard_normal(int(rate * seconds)),
    )
    at = np.arange(len(noise)) / rate
    return np.asarray(0.3 * noise * np.sin(2 * np.pi * 1.5 * at).clip(0) ** 2, dtype=np.float32)


def encode_with_av(path: Path, codec: str, container: str, samples: Float, rate: int = 48_000) -> None:
    """Writes float32 [channels, n] as FFmpeg's libraries do."""
    import av

    layout = "mono" if len(samples) == 1 else "stereo"
    with av.open(str(path), "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout=layout)
        context: Any = stream.codec_context
        shaper = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate = rate
        for piece in [*shaper.resample(frame), *shaper.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))


def closeness(heard: Float, said: Float) -> float:
    """Highest correlation of two signals over all delays under 0.1 s (codecs delay)."""
    from scipy.signal import correlate

    length = min(len(heard), len(said))
    heard, said = heard[:length].astype(float), said[:length].astype(float)
    lags = correlate(heard, said, "full")[length - 4800 : length + 4800]
    return float(lags.max() / np.sqrt((heard**2).sum() * (said**2).sum()))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "AIFF"])
def test_reads_every_width_on_one_scale(tmp_path: Path, container: str, subtype: str) -> None:
    if container == "AIFF" and subtype == "PCM_U8":
        subtype = "PCM_S8"
    stereo = np.stack([tone(), tone(hz=300.0)])
    soundfile.write(tmp_path / "a", stereo.T, 24_000, format=container, subtype=subtype)
    found = read_recording(tmp_path / "a")
    assert found.sample_rate == 24_000 and found.samples.shape == (2, 24_000)
    assert found.samples.dtype == np.float32 and found.duration_s == 1.0
    np.testing.assert_allclose(found.samples, stereo, atol=1 / 120 if "8" in subtype else 4e-5)


def test_full_scale_integers_are_minus_one_and_just_under_one(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([-32768, 32767, 0], np.int16), 24_000)
    np.testing.assert_array_equal(read_recording(tmp_path / "a.wav").samples[0], [-1, 32767 / 32768, 0])


@pytest.mark.parametrize(
    "container, subtype", [("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)]
)
def test_reads_what_soundfile_writes_and_over_block_borders(
    tmp_path: Path, container: str, subtype: str | None
) -> None:
    long = tone(48_000, 25.0)  # over 2**20 samples: two blocks
    with soundfile.SoundFile(tmp_path / "a", "w", 48_000, 1, subtype, format=container) as file:
        for part in np.array_split(long, 25):
            file.write(part)
    whole, _ = soundfile.read(tmp_path / "a", dtype="float32")
    found = read_recording(tmp_path / "a")
    np.testing.assert_allclose(found.samples[0], whole, atol=1e-6)
    assert closeness(found.samples[0], long) > 0.99


@pytest.mark.parametrize(
    "codec, container",
    [
        ("aac", "ipod"),
        ("alac", "ipod"),
        ("aac", "adts"),
        ("aac", "mp4"),
        ("aac", "3gp"),
        ("libopus", "webm"),
        ("pcm_s16le", "matroska"),
    ],
)
def test_reads_phone_and_video_containers(tmp_path: Path, codec: str, container: str) -> None:
    stereo = np.stack([voice(48_000, 2.0), voice(48_000, 2.0)])
    encode_with_av(tmp_path / "a", codec, container, stereo)
    found = read_recording(tmp_path / "a")
    assert found.sample_rate == 48_000 and len(found.samples) == 2
    assert abs(found.duration_s - 2.0) < 0.1
    assert closeness(found.samples[0], stereo[0]) > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(wav_bytes(Audio(tone(), 24_000)))
    assert read_recording(name).duration_s == 1.0


def refusal(path: Path | str, word: str, **options: float) -> AudioError:
    """The AudioError that reading raises; it must say ``word`` and what to do."""
    with pytest.raises(AudioError, match=word) as caught:
        read_recording(path, **options)
    assert caught.value.hint
    return caught.value


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path / "none.wav", "no file").__cause__, FileNotFoundError)
    refusal(tmp_path, "folder")
    refusal("/dev/zero" if os.path.exists("/dev/zero") else tmp_path, "device|folder")
    refusal("a\0b", "cannot be opened")
    refusal("x" * 5000, "cannot be opened")
    (tmp_path / "empty.wav").touch()
    refusal(tmp_path / "empty.wav", "empty")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_without_a_writer_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    program = f"from voicekit.audio import read_recording; read_recording({str(tmp_path / 'pipe.wav')!r})"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, check=False, capture_output=True, text=True, timeout=60
    )
    assert "AudioError" in done.stderr and "not a regular file" in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"To be, or not to be. " * 500,
        b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(4000),
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + np.random.default_rng(1).bytes(40_000),
        np.random.default_rng(2).bytes(100_000),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile other.wav\n",
        wav_bytes(Audio(tone(), 24_000))[:20],
    ],
    ids=["text", "png", "jpeg", "noise", "playlist", "concat", "half a header"],
)
@pytest.mark.parametrize("extension", ["wav", "m4a"])
def test_refuses_what_is_not_audio(tmp_path: Path, content: bytes, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    path.write_bytes(content)
    error = refusal(path, "not audio")
    assert error.__cause__ is not None and "WAV" in error.hint


def test_refuses_empty_non_finite_and_unfit_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), 24_000)
    refusal(path, "without samples")
    for bad in (np.nan, np.inf):
        broken = tone()
        broken[500] = bad
        soundfile.write(path, broken, 24_000, subtype="FLOAT")
        refusal(path, "NaN")
    for rate in (4_000, 384_000):
        soundfile.write(path, tone(rate), rate)
        refusal(path, str(rate))
    soundfile.write(path, np.zeros((100, 40)), 24_000)
    refusal(path, "40 channels")
    soundfile.write(path, np.zeros((24_000, 2)), 24_000)
    refusal(path, "longer", max_minutes=0.9 / 60)
    assert read_recording(path, max_minutes=1.1 / 60).duration_s == 1.0


def test_a_header_that_promises_twelve_hours_gives_what_is_there(tmp_path: Path) -> None:
    promised = 12 * 3600 * 48_000
    head = b"RIFF" + struct.pack("<I", promised + 36) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, 24_000, 48_000, 2, 16) + b"data" + struct.pack("<I", promised)
    (tmp_path / "a.wav").write_bytes(head + bytes(1000))
    assert read_recording(tmp_path / "a.wav").samples.shape == (1, 500)

    soundfile.write(tmp_path / "a.flac", voice(), 24_000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    field = int.from_bytes(content[18:26], "big")  # STREAMINFO: its last 36 bits are the sample count
    content[18:26] = (field >> 36 << 36 | promised // 2).to_bytes(8, "big")
    (tmp_path / "a.flac").write_bytes(content)
    assert soundfile.info(tmp_path / "a.flac").frames == promised // 2, "the lie must be in place"
    assert read_recording(tmp_path / "a.flac").samples.shape == (1, 96_000)


def test_a_cut_file_gives_its_beginning_or_a_reason(tmp_path: Path) -> None:
    whole = wav_bytes(Audio(voice(), 24_000))
    (tmp_path / "a.wav").write_bytes(whole[: len(whole) // 2])
    np.testing.assert_allclose(read_recording(tmp_path / "a.wav").samples[0], voice()[:47_989], atol=4e-5)
    encode_with_av(tmp_path / "b.m4a", "aac", "ipod", voice(48_000)[None])
    whole = (tmp_path / "b.m4a").read_bytes()
    (tmp_path / "b.m4a").write_bytes(whole[: len(whole) // 2])  # its index is at the end
    refusal(tmp_path / "b.m4a", "damaged")


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for _ in range(5):
            file.mux(stream.encode(frame.reformat(format="yuv420p")))
        file.mux(stream.encode(None))
    refusal(tmp_path / "a.mp4", "not audio")
