"""How long preprocessing a sample takes: this project's chain against the same steps in pydub.

One minute of 48 kHz stereo speech-like sound (bursts of tones over noise, with pauses, made here) is written
as a WAV file; both chains read that file and make a trimmed, evened, normalised mono recording at 22,050 Hz.
Each runs once to warm up, then ``--rounds`` times; the table shows the best round. pydub's chain is what its
documentation offers: ``from_file``, ``set_channels``, ``set_frame_rate``, ``detect_nonsilent``,
``compress_dynamic_range``, ``normalize`` and ``export``; it levels peaks, not loudness.

The last line is one JSON object. Run from the project's folder: ``python bench/preprocess.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from voicekit.audio import read_recording, resample, to_mono
from voicekit.audio_writing import write_audio
from voicekit.restoration import even_level, normalise_loudness, trim_silence

Times = dict[str, float]
T = TypeVar("T")


def make_input(path: Path, seconds: float, falls_by_db: float) -> None:
    """Writes speech-like 48 kHz stereo: four-a-second bursts, a pause every five seconds, a noise floor."""
    rng = np.random.default_rng(1)
    at = np.arange(int(seconds * 48_000)) / 48_000
    envelope = np.abs(np.sin(2 * np.pi * 2 * at)) ** 2 * (at % 5 < 4.4) * (at > 0.8) * (at < seconds - 0.8)
    pitch = np.sin(2 * np.pi * 140 * at) + 0.5 * np.sin(2 * np.pi * 700 * at)
    voice = 0.2 * envelope * pitch * 10 ** (-falls_by_db * at / seconds / 20)
    stereo = voice[:, None] + 0.001 * rng.standard_normal((len(at), 2))
    soundfile.write(path, stereo, 48_000, subtype="PCM_16")


def our_chain(source: Path, target: Path) -> Times:
    """Seconds of each step of this project's chain."""
    clock = Clock()
    recording = clock("read", lambda: read_recording(source))
    audio = clock("mono", lambda: to_mono(recording))
    audio = clock("resample", lambda: resample(audio, 22_050))
    audio = clock("trim", lambda: trim_silence(audio))
    audio = clock("compress", lambda: even_level(audio))
    audio = clock("normalise", lambda: normalise_loudness(audio))
    clock("write", lambda: write_audio(audio, target, overwrite=True))
    return clock.times


def pydub_chain(source: Path, target: Path) -> Times:
    """Seconds of each step in pydub, in the same order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydub import AudioSegment, effects, silence

    clock = Clock()
    sound = clock("read", lambda: AudioSegment.from_file(source, format="wav"))
    sound = clock("mono", lambda: sound.set_channels(1))
    sound = clock("resample", lambda: sound.set_frame_rate(22_050))
    spans = clock("trim", lambda: silence.detect_nonsilent(sound, 300, sound.dBFS - 16, 10))
    sound = sound[max(0, spans[0][0] - 150) : spans[-1][1] + 150]
    sound = clock("compress", lambda: effects.compress_dynamic_range(sound))
    sound = clock("normalise", lambda: effects.normalize(sound, headroom=3.0))
    clock("write", lambda: sound.export(target, format="wav").close())
    return clock.times


class Clock:
    """Runs a step and notes its seconds."""

    def __init__(self) -> None:
        self.times: Times = {}

    def __call__(self, name: str, step: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = step()
        self.times[name] = time.perf_counter() - start
        return result


def best(
    chain: Callable[[Path, Path], Times], source: Path, target: Path, rounds: int
) -> tuple[Times, float]:
    """The round with the smallest sum, after one to warm up; and the seconds of that first one."""
    first = sum(chain(source, target).values())
    return min((chain(source, target) for _ in range(rounds)), key=lambda times: sum(times.values())), first


def main(argv: list[str] | None = None) -> int:
    """Measures both chains, prints the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--falls-by-db", type=float, default=14.0, help="how far the talker's level falls")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        make_input(source, options.seconds, options.falls_by_db)
        ours, our_first = best(our_chain, source, target, options.rounds)
        theirs, their_first = best(pydub_chain, source, target, max(1, options.rounds // 3))
    print(f"{'step':<12}{'voicekit':>12}{'pydub':>12}{'ratio':>9}")
    totals = ("total", sum(ours.values()), sum(theirs.values()))
    for name, mine, other in [*((name, ours[name], theirs[name]) for name in ours), totals]:
        print(f"{name:<12}{mine * 1000:>9.1f} ms{other * 1000:>9.1f} ms{other / mine:>8.1f}x")
    print(f"{'first run':<12}{our_first * 1000:>9.1f} ms{their_first * 1000:>9.1f} ms  (imports included)")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result = {"bench": "preprocess", "audio_s": options.seconds, "machine": machine}
    print(json.dumps(result | {"voicekit_s": ours, "pydub_s": theirs}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
