"""Inputs of any size: sound, text, runs, spans, a hub; and operations ready to run over them.

A maker takes a size and a folder for files, prepares the input, and gives back what runs the operation over it.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import soundfile

from tests import spoken_faults
from tests.voices import talking
from voicekit import download, edits, measurement, run_history, screening, text
from voicekit.audio import Audio, Recording
from voicekit.audio_writing import write_audio
from voicekit.takes import Take

T = TypeVar("T")
Run = Callable[[], object]
Make = Callable[[int, Path], Run]

RATE_HZ = 16_000
SYLLABLE_S = 1 / 2.1  # of `talking`
MIB = 2**20


def over(prepare: Callable[[int], T], operate: Callable[[T], object]) -> Make:
    """A run over what was prepared before."""

    def make(size: int, _: Path) -> Run:
        return functools.partial(operate, prepare(size))

    return make


# --- sound -------------------------------------------------------------------------------------------


@functools.cache
def _voice(sample_rate: int) -> Any:
    return talking(6.0, sample_rate).samples


def voice(samples: int, sample_rate: int = RATE_HZ) -> Audio:
    """Six seconds of speech-like sound, again and again."""
    return Audio(np.resize(_voice(sample_rate), samples), sample_rate)


def regions(samples: int) -> list[tuple[float, float]]:
    """A region a syllable: as dense as speech can be."""
    starts = np.arange(0.0, samples / RATE_HZ - 1, SYLLABLE_S)
    return [(float(start), float(start) + 0.7 * SYLLABLE_S) for start in starts]


def voice_and_regions(samples: int) -> tuple[Audio, list[tuple[float, float]]]:
    return voice(samples), regions(samples)


def with_tone(samples: int, hz: float, level: float) -> Audio:
    tone = level * np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ)
    return Audio((voice(samples).samples + tone).astype(np.float32), RATE_HZ)


def noisy(samples: int) -> Audio:
    added = 0.02 * np.random.default_rng(0).standard_normal(samples)
    return Audio((voice(samples).samples + added).astype(np.float32), RATE_HZ)


def fading(samples: int) -> Audio:
    return Audio(voice(samples).samples * np.linspace(1, 0.1, samples, dtype=np.float32), RATE_HZ)


def between_silences(samples: int) -> Audio:
    return Audio(np.pad(voice(samples // 2).samples, samples // 4), RATE_HZ)


def partly_clipped(samples: int) -> Audio:
    """A third of a second in six is far too loud."""
    shouted = np.arange(samples) % (6 * RATE_HZ) < RATE_HZ // 3
    return Audio(np.clip(voice(samples).samples * np.where(shouted, 3.0, 0.5), -0.3, 0.3).astype(np.float32), RATE_HZ)


def stereo(samples: int) -> Recording:
    return Recording(np.stack([voice(samples).samples] * 2), RATE_HZ)


def excerpt(samples: int) -> screening.Excerpt:
    return screening.Excerpt(Recording(voice(samples).samples[None], RATE_HZ), 0.0, samples / RATE_HZ)


def take(samples: int) -> Take:
    return spoken_faults.take(voice(samples, 24_000).samples)


def reading(operate: Callable[[Path], object]) -> Make:
    """A run over a WAV file of 8 kHz, written block by block."""

    def make(samples: int, folder: Path) -> Run:
        path, block = folder / f"{samples}.wav", voice(8_000 * 60, 8_000).samples
        with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_16") as file:
            for start in range(0, samples, len(block)):
                file.write(block[: samples - start])
        return functools.partial(operate, path)

    return make


def writing(samples: int, folder: Path) -> Run:
    audio = voice(samples)
    return lambda: write_audio(audio, folder / "written.wav", overwrite=True)


def measuring(samples: int, _: Path) -> Run:
    """In this thread, for the meter sees no other; without DNSMOS, which hears three windows of any recording."""
    given = excerpt(samples)

    def run() -> object:
        with patch.object(measurement, "_in_background", _at_once):
            return measurement.measure(given, opinion=False)

    return run


def _at_once(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(work())
    return future


# --- text, runs, spans -------------------------------------------------------------------------------

PROSE = "The train leaves at seven, as it did yesterday. Nobody had said a word! Was it late? "
TEXTS = {
    "prose": (PROSE * 5).strip() + "\n\n",
    "one sentence": "and the train, late again, left at seven ",
    "abbreviations": "a. ",
    "runs of marks": "so ............ what ",
    "no spaces": "漢字",
}


def cutting(kind: str) -> Make:
    """`measure` is a function of Python, so that what it is asked of counts."""
    language = "zh-cn" if kind == "no spaces" else "en"

    def prepare(characters: int) -> str:
        return (TEXTS[kind] * (characters // len(TEXTS[kind]) + 1))[:characters]

    def measure(piece: str, language: str) -> text.Measured:
        return text.Measured(len(piece), len(piece) // 4)

    return over(prepare, lambda given: text.segments(given, language, measure))


def history(operate: Callable[[Path], object]) -> Make:
    """A store of so many runs."""

    def make(runs: int, folder: Path) -> Run:
        record = {"schema": 2, "run_id": "20261122-141503-ab12", "timings_s": {"generate": 35.2, "total": 48.6}}
        logs = folder / str(runs)
        logs.mkdir(exist_ok=True)
        (logs / run_history.STORE).write_text(f"{json.dumps(record)}\n" * runs, "utf-8")
        return functools.partial(operate, logs)

    return make


def cut_twice(spans: int) -> tuple[edits.Edits, edits.Edits]:
    first = tuple(edits.Kept(2.0 * number, 2.0 * number + 1) for number in range(spans))
    return first, tuple(edits.Kept(number + 0.25, number + 0.75) for number in range(spans))


# --- a hub -------------------------------------------------------------------------------------------


class _Hub(http.server.BaseHTTPRequestHandler):
    """Answers with as many zeros as the file's name says, made as they are sent."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", '"zeros"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", self.path.rpartition("/")[2])
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        left, block = int(self.path.rpartition("/")[2]), bytes(2**16)
        while left:
            left -= self.wfile.write(block[:left])

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _hub() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def fetching(size_bytes: int, folder: Path) -> Run:
    """A file of zeros from a hub on this machine, received in blocks of 1 MiB instead of 10, so that few are enough."""
    digest = hashlib.sha256()
    for start in range(0, size_bytes, MIB):
        digest.update(bytes(min(MIB, size_bytes - start)))
    file = download.ReleasedFile(str(size_bytes), size_bytes, digest.hexdigest())

    def run() -> object:
        with (
            _hub() as address,
            patch.dict("os.environ", {"no_proxy": "127.0.0.1"}),
            patch("huggingface_hub.hf_hub_url", lambda repository, name, revision: f"{address}/{name}"),
            patch("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", MIB),
            patch.object(download, "_cache_folder", lambda: folder / "cache"),
        ):
            fetched = download.fetch("some/repository", "main", file)
        fetched.path.resolve().unlink()  # the next run receives it anew
        return fetched.received_bytes

    return run
