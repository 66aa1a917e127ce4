"""Who takes part: ways to make a voice sample better, each a function (source, target) -> report.

``input``: the file itself. ``coqui``: the recipe of coqui's XTTS demo (FFmpeg: 8 kHz low-pass, 75 Hz high-pass, ends
trimmed at -34 dBFS; mono, 22,050 Hz). ``classic``: what many scripts do with pydub (mono, 22,050 Hz, peak normalised,
``compress_dynamic_range``, ends trimmed). ``afftdn``: FFmpeg's denoiser, tracking the noise. ``nr_usual``: noisereduce
with ``stationary=True`` and no noise, the usual snippet; ``nr_default``: its default; ``nr_profile``: stationary, with
the quietest half second as the noise. ``rnnoise``: RNNoise through pyrnnoise. ``ours``:
``improve_voice_sample.main()`` in this process (or the same function of another script, ``--ours``).

Only ``ours`` gives a report: the record of its one sample in the JSON. All run with one thread, in a process that has
run each once before; their CPU seconds are those of that process and of its children, imports not counted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "improve_voice_sample.py"
TRIM = "silenceremove=start_periods=1:start_silence=0:start_threshold=0.02"
COQUI = f"lowpass=8000,highpass=75,areverse,{TRIM},areverse,{TRIM}"
NOISE_S = 0.5

Report = dict[str, Any] | None


class Failed(Exception):
    """A contestant gave no file."""


@dataclass(frozen=True)
class Contestant:
    """needs: programs (``ffmpeg``) or packages. alignment: "same" axis, "ends" trimmed, or by its "edits"."""

    name: str
    run: Callable[[Path, Path], Report]
    needs: tuple[str, ...] = ()
    alignment: str = "same"

    def lacks(self) -> str | None:
        """Why it cannot take part here; None if it can."""
        if self.name == "ours":
            return None if ours_script().is_file() else f"there is no {ours_script().name}"
        for need in self.needs:
            if shutil.which(need) is None and importlib.util.find_spec(need) is None:
                return f"{need} is not installed"
        return None


@dataclass(frozen=True)
class Outcome:
    """What a contestant did: the file (None: it failed, see error), CPU seconds, its report."""

    path: Path | None
    cpu_s: float
    report: Report = None
    error: str | None = None


def compete(contestant: Contestant, source: Path, target: Path) -> Outcome:
    """Runs it, silently, and counts its CPU time; whatever it raises becomes an error."""
    start = _cpu_seconds()
    try:
        with _silence(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = contestant.run(source, target)
    except Exception as error:  # a peer may fail in any way, and that is a result
        return Outcome(None, _cpu_seconds() - start, None, f"{type(error).__name__}: {error}"[:300])
    spent = _cpu_seconds() - start
    path = source if contestant.name == "input" else target
    if not path.is_file() or soundfile.info(path).frames == 0:
        return Outcome(None, spent, report, str((report or {}).get("error") or "no sound in the result")[:300])
    return Outcome(path, spent, report)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stderr(io.StringIO()):
        yield


# --- peers -------------------------------------------------------------------------------------------


def untouched(source: Path, target: Path) -> Report:
    """Nothing is done."""
    return None


def coqui(source: Path, target: Path) -> Report:
    """The demo's filters."""
    return _ffmpeg(source, target, COQUI, "-ac", "1", "-ar", "22050")


def afftdn(source: Path, target: Path) -> Report:
    """Up to 20 dB less noise, the noise floor tracked; delays by 25 ms, which the alignment takes out."""
    return _ffmpeg(source, target, "afftdn=nr=20:tn=1", "-ac", "1")


def _ffmpeg(source: Path, target: Path, filters: str, *options: str) -> Report:
    program = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", "1", "-filter_threads", "1"]
    done = subprocess.run([*program, "-i", str(source), "-af", filters, *options, str(target)],
                          capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip()[-200:])
    return None


def classic(source: Path, target: Path) -> Report:
    """pydub's effects in the usual order; silence is what is 16 dB under the whole."""
    from pydub import AudioSegment, effects, silence

    sound = AudioSegment.from_file(source, format="wav").set_channels(1).set_frame_rate(22_050)
    sound = effects.compress_dynamic_range(effects.normalize(sound))
    spans = silence.detect_nonsilent(sound, 300, sound.dBFS - 16, 10)
    if not spans:
        raise Failed("all of it was trimmed")
    sound[spans[0][0] : spans[-1][1]].export(target, format="wav").close()
    return None


def nr_usual(source: Path, target: Path) -> Report:
    """What everything is taken for noise does."""
    return _noisereduce(source, target, stationary=True)


def nr_default(source: Path, target: Path) -> Report:
    """The non-stationary default."""
    return _noisereduce(source, target)


def nr_profile(source: Path, target: Path) -> Report:
    """As its documentation advises: with a stretch of noise."""
    samples, rate = _mono(source)
    return _noisereduce(source, target, stationary=True, y_noise=quietest(samples, rate))


def _noisereduce(source: Path, target: Path, **options: Any) -> Report:
    import noisereduce

    samples, rate = _mono(source)
    soundfile.write(target, noisereduce.reduce_noise(y=samples, sr=rate, **options), rate, subtype="PCM_16")
    return None


def quietest(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """The half second of least power, in steps of 10 ms."""
    length, step = round(NOISE_S * rate), rate // 100
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    starts = np.arange(0, max(1, len(samples) - length), step)
    best = int(starts[np.argmin(power[np.minimum(starts + length, len(samples))] - power[starts])])
    return samples[best : best + length]


def rnnoise(source: Path, target: Path) -> Report:
    """48 kHz inside; its delay is taken out by the alignment. 6 dB lower: pyrnnoise's integers wrap at full scale."""
    from pyrnnoise import RNNoise

    samples, rate = _mono(source)
    whole = np.clip(np.rint(samples * 16384), -16384, 16383).astype(np.int16)
    frames = [frame for _, frame in RNNoise(rate).denoise_chunk(whole[None], partial=True)]
    louder = np.clip(np.concatenate(frames, axis=1)[0] / 16384, -1, 1)
    soundfile.write(target, louder, rate, subtype="PCM_16")
    return None


def _mono(source: Path) -> tuple[NDArray[np.float32], int]:
    samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


# --- ours --------------------------------------------------------------------------------------------


def ours(source: Path, target: Path) -> Report:
    """The command in this process; its record of the sample."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out):
        try:
            code: Any = _main()([str(source), "-o", str(target), "--json", "--quiet"])
        except SystemExit as leaving:
            code = leaving.code
    out.seek(0)
    said = out.read()
    try:
        answer = json.loads(said)
    except ValueError as error:
        raise Failed(f"exit {code}, no JSON on stdout: {said[:100]!r}") from error
    sample: dict[str, Any] = (answer.get("samples") or [{"error": answer.get("error")}])[0]
    return sample | {"exit": code}


def ours_script() -> Path:
    """The script; ``VOICE_BENCH_OURS`` names another one (set by ``--ours``, so that workers see it)."""
    return Path(os.environ.get("VOICE_BENCH_OURS", OURS))


@lru_cache(maxsize=1)
def _main() -> Callable[[list[str]], int]:
    sys.path.insert(0, str(ROOT))
    spec = importlib.util.spec_from_file_location(ours_script().stem, ours_script())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # frozen dataclasses look their module up
    spec.loader.exec_module(module)
    return module.main  # type: ignore[no-any-return]


def edits(report: Report) -> list[tuple[float, float]] | None:
    """The spans of the source that the result holds, in its order; None if the report says nothing."""
    found = (report or {}).get("edits")
    return [(span["start_s"], span["end_s"]) for span in found] if found else None


CONTESTANTS: tuple[Contestant, ...] = (
    Contestant("input", untouched),
    Contestant("coqui", coqui, ("ffmpeg",), "ends"),
    Contestant("classic", classic, ("pydub",), "ends"),
    Contestant("afftdn", afftdn, ("ffmpeg",)),
    Contestant("nr_usual", nr_usual, ("noisereduce",)),
    Contestant("nr_default", nr_default, ("noisereduce",)),
    Contestant("nr_profile", nr_profile, ("noisereduce",)),
    Contestant("rnnoise", rnnoise, ("pyrnnoise",)),
    Contestant("ours", ours, (), "edits"),
)
