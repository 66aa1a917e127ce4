"""voicekit.audio: one channel that keeps the voice, exact rates, files whole or not at all.

Truth: SciPy, torchaudio, soundfile reading the file back, and arithmetic.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from voicekit.audio import (
    Audio,
    Recording,
    check_output_path,
    free_name,
    is_silent,
    mean_channels,
    read_recording,
    resample,
    resample_like_coqui,
    to_mono,
    wav_bytes,
    write_audio,
)
from voicekit.errors import OutputError

Float = NDArray[np.float32]
RATE = 24_000
ROOT = Path(__file__).parents[1]


def tone(rate: int = RATE, seconds: float = 1.0, hz: float = 440.0, peak: float = 0.5) -> Float:
    """A sine, float32 [n]."""
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def voice(seed: int = 0, seconds: float = 4.0) -> Float:
    """Bursts of coloured noise with pauses: has the levels of speech, float32 [n] at 24 kHz."""
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng(seed)
    colour = sosfilt(butter(2, 1500, fs=RATE, output="sos"), rng.standard_normal(int(RATE * seconds)))
    swing = np.sin(2 * np.pi * 1.5 * np.arange(len(colour)) / RATE).clip(0) ** 2
    return np.asarray(0.3 * colour * swing, dtype=np.float32)


def noise(level_db: float, seed: int, like: Float) -> Float:
    """White noise of an RMS level in dBFS."""
    rng = np.random.default_rng(seed)
    return (10 ** (level_db / 20) * rng.standard_normal(like.shape)).astype(np.float32)


def mono(*channels: Float) -> Float:
    """What to_mono makes of these channels."""
    return to_mono(Recording(np.stack(channels), RATE)).samples


def test_one_channel_is_taken_as_it_is_and_equal_ones_too() -> None:
    np.testing.assert_array_equal(mono(voice()), voice())
    np.testing.assert_allclose(mono(voice(), voice(), voice()), voice(), atol=1e-7)


def test_channels_that_agree_are_averaged_which_halves_their_noise() -> None:
    left, right = (voice() + noise(-40, seed, voice()) for seed in (1, 2))
    rest = mono(left, right) - voice()
    assert 10 * np.log10(np.mean(rest**2)) == pytest.approx(-43, abs=0.2)


def test_opposite_phases_keep_the_voice_that_a_mean_would_erase() -> None:
    recording = Recording(np.stack([voice(), -voice() + noise(-60, 1, voice())]), RATE)
    assert np.abs(mean_channels(recording).samples).max() < 0.01
    np.testing.assert_array_equal(to_mono(recording).samples, voice())


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "worse",
    [
        np.zeros_like(voice()),
        noise(-75, 3, voice()),
        noise(-15, 3, voice()),  # louder than the voice, and no voice
        0.1 * voice() + noise(-75, 3, voice()),
        voice() + noise(-25, 3, voice()),
        voice() + noise(-40, 3, voice()),  # still agrees at 0.99
        0.1 * (voice() + noise(-70, 9, voice())),
        np.full_like(voice(), 0.4),
    ],
    ids=["dead", "hiss", "loud noise", "far", "noisy", "a little noisy", "turned down", "offset"],
)
def test_a_dead_far_or_noisy_channel_is_left_out(worse: Float, order: int) -> None:
    better = voice() + noise(-70, 9, voice())
    np.testing.assert_array_equal(mono(*[better, worse][::order]), better)


def test_channels_that_differ_are_not_mixed() -> None:
    delayed = np.roll(voice(), 24)  # 1 ms: a mean would comb
    assert any(np.array_equal(mono(voice(), delayed), channel) for channel in (voice(), delayed))
    other = 0.8 * voice(seed=5)  # a second talker on a second microphone
    np.testing.assert_array_equal(mono(voice(), other), voice())


def test_many_channels_and_few_samples() -> None:
    five = mono(voice(), -voice(), np.zeros_like(voice()), voice(), noise(-20, 1, voice()))
    np.testing.assert_allclose(np.abs(five), np.abs(voice()), atol=1e-6)
    for count in (1, 2, 100):
        assert mono(voice()[:count], voice()[:count]).shape == (count,)


def test_silence_is_silent_and_a_whisper_is_not() -> None:
    assert is_silent(Audio(np.zeros(RATE, np.float32), RATE))
    assert is_silent(Audio(np.zeros(0, np.float32), RATE))
    assert is_silent(Audio(np.full(RATE, 0.2, np.float32), RATE)), "an offset is no sound"
    assert is_silent(Audio(noise(-80, 0, voice()), RATE))
    assert not is_silent(Audio(noise(-60, 0, voice()), RATE))
    assert not is_silent(Audio(noise(-80, 0, voice()), RATE), floor_dbfs=-90)


@pytest.mark.parametrize("old, new", [(48_000, 22_050), (44_100, 24_000), (16_000, 22_050), (22_050, 24_000)])
def test_resampling_keeps_length_and_sound_and_removes_what_would_alias(old: int, new: int) -> None:
    for length in (old, old + 1, 12_345, 7):
        assert len(resample(Audio(tone(old)[:length], old), new).samples) == round(
            min(length, old) * new / old
        )
    heard = resample(Audio(tone(old), old), new).samples
    np.testing.assert_allclose(heard[500:-500], tone(new)[500 : len(heard) - 500], atol=2e-3)
    if old > new:
        above = resample(Audio(tone(old, hz=new * 0.49 + 1500), old), new).samples
        assert np.abs(above[500:-500]).max() < 0.5e-3
    same = Audio(tone(old), old)
    assert resample(same, old) is same


def test_resampling_like_coqui_is_torchaudios_resampling_then_a_clip() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchaudio").functional
    loud = tone(48_000, peak=1.3)
    expected = functional.resample(torch.from_numpy(loud)[None], 48_000, 22_050).clip(-1, 1)[0].numpy()
    np.testing.assert_array_equal(resample_like_coqui(Audio(loud, 48_000), 22_050).samples, expected)
    assert np.abs(expected).max() == 1.0
    np.testing.assert_array_equal(resample_like_coqui(Audio(loud, 22_050), 22_050).samples, loud.clip(-1, 1))


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
"""
INTERRUPT = """
import os, signal, threading
def interrupt():
    while not any(name.endswith(".part") for name in os.listdir(folder)):
        pass
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
"""


@pytest.mark.skipif(os.name == "nt", reason="limits and signals of POSIX")
@pytest.mark.parametrize("trouble, word", [(FULL_DISK, "OutputError"), (INTERRUPT, "KeyboardInterrupt")])
def test_a_failure_leaves_the_old_file_and_no_part(tmp_path: Path, trouble: str, word: str) -> None:
    (tmp_path / "a.mp3").write_bytes(b"old")
    program = "import sys, numpy, voicekit.audio as a\nfolder = sys.argv[1]\n" + trouble
    program += "sound = a.Audio(numpy.zeros(48_000 * 300, numpy.float32) + 0.1, 48_000)\n"
    program += "a.write_audio(sound, folder + '/a.mp3', overwrite=True)"
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


def test_importing_loads_nothing_heavy() -> None:
    heavy = ["librosa", "scipy", "torch", "torchaudio", "av", "pydub", "pyloudnorm", "soxr"]
    program = "import sys, voicekit.audio, voicekit.quality, voicekit.restoration\n"
    program += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
