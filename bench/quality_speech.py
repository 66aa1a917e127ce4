"""What the benchmark hears: clean speech of several speakers, recorded pairs, recorded noise.

Clean speech comes from folders (any audio file of six seconds at least), else the project makes it: its own sample and
three voices of espeak-ng, or, without that program, speech-like sound. Other speakers of a file are those whose
Resemblyzer embedding is under 0.75 from its own (without Resemblyzer, or if all are alike: all other files).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from bench import quality_metrics
from bench.quality_degradations import Clean, Degraded, Samples
from voicekit.audio import read_recording, to_mono
from voicekit.audio_writing import write_audio
from voicekit.errors import AudioError

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aiff", ".aif", ".webm", ".mp4"}
SHORTEST_S = 6.0
SAME_SPEAKER = 0.75
ESPEAK_VOICES = (("en-gb+f2", "150"), ("en-us+m7", "165"), ("en-gb-scotland+f4", "180"))
TEXT = (
    "The harbour was quiet that morning, and only the gulls were awake. A boat came in with its lamp still lit. "
    "Two men tied it up, carried their baskets to the market, and drank their coffee without a word."
)


@dataclass(frozen=True)
class Speech:
    """files: long enough, in order of their paths. skipped: "path: why"."""

    files: tuple[Path, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """A recording with noise and its clean twin."""

    name: str
    noisy: Path
    clean: Path


@lru_cache(maxsize=64)
def load(path: Path) -> tuple[Samples, int]:
    """The file's voice channel ``[n]`` and its rate."""
    audio = to_mono(read_recording(path))
    return audio.samples.astype(np.float64), audio.sample_rate


def find_speech(folders: Sequence[Path], most: int | None = None) -> Speech:
    """Every audio file in and under the folders, noisy twins left out; ``most``: so many, spread over the list."""
    found: list[Path] = []
    skipped: list[str] = []
    for path in sorted({path for folder in folders for path in audio_files(folder)}):
        if path.stem.endswith("_noisy"):
            continue
        try:
            samples, rate = load(path)
        except AudioError as error:
            skipped.append(f"{path.name}: {error}")
            continue
        if path.stem in {other.stem for other in found}:
            skipped.append(f"{path.name}: a second file of this name")
        elif len(samples) < SHORTEST_S * rate:
            skipped.append(f"{path.name}: {len(samples) / rate:.1f} s")
        else:
            found.append(path)
    if most is not None and most < len(found):
        found = [found[k] for k in np.linspace(0, len(found) - 1, most).round().astype(int)]
    return Speech(tuple(found), tuple(skipped))


def audio_files(folder: Path) -> list[Path]:
    """All of a folder, recursively, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def make_speech(folder: Path) -> Path:
    """The project's own: its sample, and three other voices; gives the folder."""
    shutil.copy(ROOT / "samples" / "reference.wav", folder / "reference.wav")
    for number, (voice, speed) in enumerate(ESPEAK_VOICES, 1):
        target = folder / f"voice{number}.wav"
        if shutil.which("espeak-ng"):
            subprocess.run(["espeak-ng", "-v", voice, "-s", speed, "-w", str(target), TEXT], check=True)
        else:
            from tests.voices import talking

            write_audio(talking(9.0, pitch_hz=90.0 + 45 * number, seed=number), target)
    return folder


def find_pairs(folder: Path | None) -> list[Pair]:
    """``NAME_noisy.*`` beside ``NAME_clean.*``."""
    if folder is None:
        return []
    files = audio_files(folder)
    clean = {path.stem.removesuffix("_clean"): path for path in files if path.stem.endswith("_clean")}
    noisy = {path.stem.removesuffix("_noisy"): path for path in files if path.stem.endswith("_noisy")}
    return [Pair(name, noisy[name], clean[name]) for name in sorted(clean.keys() & noisy.keys())]


def as_degraded(pair: Pair) -> tuple[Degraded, Clean]:
    """A pair as if it were a cell's file."""
    (noisy, rate), (clean, clean_rate) = load(pair.noisy), load(pair.clean)
    clean = _at(clean, clean_rate, rate)
    common = min(len(noisy), len(clean))
    return Degraded(noisy[None, :common], clean[:common]), Clean(clean[:common], rate)


def write_noise(folder: Path | None, pairs: Sequence[Pair], target: Path) -> list[Path]:
    """Recorded noise: the folder's files, else what the pairs hold (noisy less clean), written under ``target``."""
    if folder is not None:
        return audio_files(folder)
    paths = []
    for pair in pairs:
        degraded, clean = as_degraded(pair)
        paths.append(target / f"noise_{pair.name}.wav")
        soundfile.write(paths[-1], degraded.samples[0] - clean.samples, clean.rate, subtype="FLOAT")
    return paths


def other_speakers(files: Sequence[Path]) -> dict[Path, tuple[Path, ...]]:
    """For each file those of other speakers, the least similar first."""
    voices = {path: quality_metrics.embedding(quality_metrics.to_16k(*load(path))) for path in files}
    return {path: _unlike(path, voices) for path in files}


def _unlike(path: Path, voices: dict[Path, NDArray[np.float32] | None]) -> tuple[Path, ...]:
    rest = [other for other in voices if other != path]
    likeness = {other: quality_metrics.cosine(voices[path], voices[other]) for other in rest}
    known = [(value, other) for other, value in likeness.items() if value is not None and value < SAME_SPEAKER]
    return tuple(other for _, other in sorted(known)) or tuple(rest)


def material(path: Path, others: Sequence[Path], noises: Sequence[Path]) -> Clean:
    """A clean file with its company, all at its rate."""
    samples, rate = load(path)
    company = [tuple(_at(*load(other), rate) for other in group) for group in (others, noises)]
    return Clean(samples, rate, company[0], company[1])


def _at(samples: Samples, rate: int, wanted: int) -> Samples:
    return samples if rate == wanted else np.asarray(soxr.resample(samples, rate, wanted))
