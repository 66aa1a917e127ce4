"""Makes the logs in ``logs/examples/`` anew: real runs of both scripts, without what tells of this machine.

Three runs in a temporary folder: a recording with hum and noise is improved (after three runs like it, so that the log
compares it with them), the improved sample is cloned (a second time, all but the weights that the first run kept is
forgotten), and a file that is no recording is refused. What is scrubbed: the paths of the project, of the packages, of
the cache and of scratch folders, and the build of the kernel.

``make examples``, or from anywhere: ``python samples/make_logs.py [--model rehearsal-tiny] [--folder DIR]``. The
full-size rehearsal model is built first where it is missing (minutes).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from voicekit import rehearsal  # noqa: E402
from voicekit.audio import Audio, mean_channels, read_recording, resample  # noqa: E402
from voicekit.audio_writing import write_audio  # noqa: E402

TEXT = "Good morning. This is the voice of a recording, and it speaks a text that the log never repeats."
STARTED = re.compile(r"^\S+ \S+ - INFO - \w+ - \w+ started - Run: ", re.MULTILINE)
EARLIER_RUNS = 3


def make(folder: Path, model: str, earlier_runs: int = EARLIER_RUNS) -> list[Path]:
    """The logs, written into a folder; their paths."""
    made = []
    with tempfile.TemporaryDirectory(prefix="voice-cloning-logs-") as name:
        work = Path(name)
        noisy_recording(work / "me.wav")
        (work / "cache" / "voice-cloning").mkdir(parents=True)
        models = rehearsal.ensure(model).parent
        (work / "cache" / "voice-cloning" / "rehearsal").symlink_to(models, target_is_directory=True)
        (work / "letter.wav").write_text("Dear reader, this is no recording.")
        for _ in range(earlier_runs + 1):
            (work / "me_improved.wav").unlink(missing_ok=True)
            _run(work, "improve_voice_sample.py", "me.wav", "-o", "me_improved.wav", "--log-dir", "improved")
        clone = ["--text", TEXT, "--model", model, "--seed", "7"]
        _run(work, "simple_voice_clone.py", *clone, "--voice", "me_improved.wav", "--log-dir", "first")
        (work / "cloned_voice.wav").unlink()
        for known in ("journal", "voices"):
            shutil.rmtree(work / "cache" / "voice-cloning" / known)
        _run(work, "simple_voice_clone.py", *clone, "--voice", "me_improved.wav", "--log-dir", "cloned")
        _run(work, "simple_voice_clone.py", *clone, "--voice", "letter.wav", "--log-dir", "refused", expected=1)
        for run, target in (("improved", "an_improved_sample"), ("cloned", "a_clone"), ("refused", "a_refused_sample")):
            log = (work / run / "voice_cloning.log").read_text("utf-8")
            latest = log[[found.start() for found in STARTED.finditer(log)][-1] :]
            made.append(folder / f"{target}.log")
            made[-1].write_text(scrubbed(latest, work), "utf-8")
    return made


def noisy_recording(path: Path) -> None:
    """The bundled sample at 48 kHz, with hum of 50 Hz, noise and a second of silence at its end."""
    voice = resample(mean_channels(read_recording(ROOT / "samples" / "reference.wav")), 48_000).samples
    voice = np.concatenate([voice, np.zeros(48_000, dtype=np.float32)])
    at = np.arange(voice.size) / 48_000
    hum = sum(0.004 / order * np.sin(2 * np.pi * 50 * order * at) for order in (1, 2, 3, 5))
    noise = 0.012 * np.random.default_rng(7).standard_normal(voice.size)
    write_audio(Audio((0.5 * voice + hum + noise).astype(np.float32), 48_000), path)


def _run(work: Path, script: str, *arguments: str, expected: int = 0) -> None:
    """In a cache of its own, with the model in it: nothing was spoken or heard before."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_CLONING_")}
    environment["XDG_CACHE_HOME"] = str(work / "cache")
    done = subprocess.run([sys.executable, str(ROOT / script), *arguments], cwd=work, env=environment, check=False,
                          capture_output=True, text=True)  # fmt: skip
    if done.returncode != expected:
        raise SystemExit(f"{script} ended with {done.returncode}:\n{done.stderr}")


def scrubbed(log: str, work: Path) -> str:
    """A log without the places and the build of this machine."""
    log = re.sub(r"(Linux \d+\.\d+)\S*", r"\1", log)
    log = re.sub(rf"{re.escape(tempfile.gettempdir())}/\.voice-cloning-\w+-\w+\.part/", "SCRATCH/", log)
    log = re.sub(r"[^\s=]*/voice-cloning/rehearsal/", "CACHE/", log)
    log = re.sub(r'(File "|[ =\[(])[^"\s]*/site-packages/', r"\1", log)
    for place in (work, ROOT):
        for spelling in {str(place), str(place.resolve())}:
            log = log.replace(f"{spelling}{os.sep}", "")
    return re.sub(r' --log-dir \w+', "", log)


def main(argv: list[str] | None = None) -> int:
    """Makes the logs, says where they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="rehearsal", choices=("rehearsal", "rehearsal-tiny"))
    parser.add_argument("--folder", type=Path, default=ROOT / "logs" / "examples")
    options = parser.parse_args(argv)
    for path in make(options.folder, options.model):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
