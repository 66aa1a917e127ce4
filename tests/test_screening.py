"""Long files in bounded memory: the whole where it fits, else the part in which speech stands out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.voices import talking
from voicekit.audio import read_recording
from voicekit.audio_writing import write_audio
from voicekit.screening import best_window_s, read_excerpt

RATE = 8_000


def write(path: Path, parts: list[np.ndarray], channels: int = 1) -> Path:
    samples = np.concatenate(parts)
    soundfile.write(path, np.stack([samples] * channels, axis=1), RATE, subtype="PCM_16")
    return path


def noise(seconds: float, level: float = 0.2) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(round(seconds * RATE))


def test_a_short_one_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", [talking(4.0, RATE).samples], channels=2)
    excerpt, whole = read_excerpt(path), read_recording(path)
    assert np.array_equal(excerpt.recording.samples, whole.samples)
    assert (excerpt.start_s, excerpt.source_s, excerpt.recording.sample_rate) == (0.0, 4.0, RATE)


def test_a_long_one_gives_its_best_part(tmp_path: Path) -> None:
    voice = talking(20.0, RATE).samples
    path = write(tmp_path / "b.wav", [noise(30), np.zeros(20 * RATE), voice, noise(30)])
    excerpt = read_excerpt(path, max_s=20.0)
    assert excerpt.source_s == pytest.approx(100.0)
    assert excerpt.start_s == pytest.approx(50.0, abs=5.0)
    assert excerpt.recording.duration_s == pytest.approx(20.0)
    start = round(excerpt.start_s * RATE)
    whole = read_recording(path).samples
    assert np.array_equal(excerpt.recording.samples, whole[:, start : start + 20 * RATE])


def test_an_even_one_gives_its_beginning(tmp_path: Path) -> None:
    path = write(tmp_path / "c.wav", [talking(5.0, RATE).samples] * 8)
    assert read_excerpt(path, max_s=10.0).start_s == 0.0


def test_exactly_as_long_as_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "d.wav", [talking(6.0, RATE).samples])
    assert read_excerpt(path, max_s=6.0).recording.duration_s == 6.0
    assert read_excerpt(path, max_s=5.9).recording.duration_s == pytest.approx(5.9)


def test_silence_has_no_best_window() -> None:
    assert best_window_s(np.zeros((600, 1)), 10.0) == 0.0


def test_blocks_shorter_than_a_step(tmp_path: Path) -> None:
    """FFmpeg's blocks of AAC hold 1,024 samples: less than 0.1 s."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("writing m4a needs the FFmpeg program")
    path = write_audio(talking(4.0, 44_100), tmp_path / "a.m4a")
    excerpt = read_excerpt(path)
    assert excerpt.recording.duration_s == pytest.approx(4.0, abs=0.1)
    assert read_excerpt(path, max_s=2.0).recording.duration_s == pytest.approx(2.0)
