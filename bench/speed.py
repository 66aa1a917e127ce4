"""Ours beside coqui-tts on the same untrained full-size checkpoint, in one run.

Every figure is of a whole process; memory as the operating system accounts it at the process's end (peak resident set,
mapped weights included). Ours and coqui's take turns, so that a slow hour of the machine meets both.

1. Synthesis: a paragraph of ten sentences, and a hundred sentences, one a segment. Ours: the stages generate and vocode
   of the command. coqui's: its own `Xtts.inference` in a loop over the same sentences with the voice conditioned once.
   Compared are seconds of work for a second of speech: nothing makes two samplers speak equally long. Of the hundred
   coqui speaks the first ten (its cost is per sentence), because all of them take a quarter of an hour.
2. The command: one sentence, from Enter to the file, beside coqui's `tts` (which needs the system's FFmpeg libraries);
   ours once with a sample that it never heard, and once with the sample of the run before.
3. Cost against text length: 16, 64 and 256 segments, the exponent of seconds over codes.
4. Cost against cores: the paragraph with one thread and with two.

    python bench/speed.py [--only synthesis,command,length,cores] [--model rehearsal] [--voice FILE] [--runs 1]

Takes with faults are not spoken again (an untrained model has nothing else), and nothing is taken from a journal.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from voicekit import checkpoint, rehearsal, remembered  # noqa: E402
from voicekit.devices import choose_device  # noqa: E402
from voicekit.precision import choose  # noqa: E402

PARTS = ("synthesis", "command", "length", "cores")
SENTENCE = "The old lighthouse keeper climbed the stairs every evening, and lit the lamp before the first star came."
SENTENCES = (
    "The village lay at the end of a long valley.",
    "In winter the road was closed for weeks, and nobody came or went.",
    "People told each other stories by the fire.",
    "The oldest of them was about a clock that ran backwards.",
    "It had hung in the church tower for a hundred years.",
    "One night it stopped, and the whole village woke at the same moment.",
    "They ran into the street with lanterns in their hands.",
    "Nothing had changed, and yet everything looked new.",
    "The priest climbed the tower and found a sparrow asleep between the wheels.",
    "He let it sleep, and since then the clock has been right twice a day.",
)
PARAGRAPH = " ".join(SENTENCES)
COQUI_LOOP = """
import json, sys, time
import soundfile, torch
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models.xtts import Xtts
folder, voice, *texts = sys.argv[1:]
config = XttsConfig(); config.load_json(folder + "/config.json")
model = Xtts(config); model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
audio = torch.from_numpy(soundfile.read(voice, dtype="float32")[0])[None][:, : 22050 * config.max_ref_len]
latents = model.get_gpt_cond_latents(audio, 22050, config.gpt_cond_len, config.gpt_cond_chunk_len)
embedding = model.get_speaker_embedding(audio, 22050)
torch.manual_seed(1)
start, speech_s = time.perf_counter(), 0.0
for text in texts:
    out = model.inference(text, "en", latents, embedding, temperature=config.temperature, top_k=config.top_k,
                          top_p=config.top_p, repetition_penalty=config.repetition_penalty)
    speech_s += len(out["wav"]) / 24000
print(json.dumps({"synthesis_s": time.perf_counter() - start, "speech_s": speech_s}))
"""


@dataclass(frozen=True)
class Measured:
    """One process: wall seconds, peak resident memory in MB (2**20), seconds of synthesis and of speech."""

    wall_s: float
    peak_mb: float
    synthesis_s: float
    speech_s: float
    said: dict[str, Any]

    @property
    def rtf(self) -> float:
        return self.synthesis_s / self.speech_s

    def record(self) -> dict[str, Any]:
        found = {name: round(getattr(self, name), 3) for name in ("wall_s", "peak_mb", "synthesis_s", "speech_s")}
        return {**found, "rtf": round(self.rtf, 4), **self.said}


def measure(command: list[str], **environment_too: str) -> tuple[float, float, str]:
    """Run a command to its end: wall seconds, peak MB, its stdout.

    Raises:
        RuntimeError: the command failed; its last lines are told.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        # Our own stages reset the kernel's peak; here it has to hold to the end.
        environment = {**os.environ, "VOICE_CLONING_STAGE_PEAKS": "0", **environment_too}
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=tempfile.gettempdir(), env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(err.read().decode(errors="replace").strip()[-300:])
        return wall_s, usage.ru_maxrss / 1024, out.read().decode()


@dataclass(frozen=True)
class Bench:
    """What all measurements share."""

    folder: Path
    voice: Path
    scratch: Path

    @property
    def cache(self) -> Path:
        """A cache of the bench's own, in which nothing was spoken or heard before."""
        return self.scratch / "cache"

    def ours(self, text: str, *options: str, voice_known: bool = False) -> Measured:
        """Our command on a text; a file, because a hundred sentences are a long argument."""
        shutil.rmtree(self.cache / "voice-cloning" / "journal", ignore_errors=True)
        if not voice_known:
            shutil.rmtree(self.cache / "voice-cloning" / "voices", ignore_errors=True)
        written, output = self.scratch / "text.txt", self.scratch / "ours.wav"
        written.write_text(text, "utf-8")
        wall_s, peak_mb, said = measure(
            [sys.executable, str(ROOT / "simple_voice_clone.py"), "--text-file", str(written), "--voice",
             str(self.voice), "--model", str(self.folder), "--seed", "1", "--json", "--force", "-q",
             "--retries", "0", "-o", str(output), *options], XDG_CACHE_HOME=str(self.cache)
        )  # fmt: skip
        result = json.loads(said.strip().splitlines()[-1])
        took = result["timings_s"]
        speech_s = sum(each["end_s"] - each["start_s"] for each in result["segments"])
        told = {"precision": result["precision"], "segments": len(result["segments"]), "timings_s": took,
                "codes": sum(each["codes"] for each in result["segments"])}  # fmt: skip
        return Measured(wall_s, peak_mb, took["generate"] + took["vocode"], speech_s, told)

    def coqui_loop(self, texts: tuple[str, ...]) -> Measured:
        wall_s, peak_mb, said = measure([sys.executable, "-c", COQUI_LOOP, str(self.folder), str(self.voice), *texts])
        result = json.loads(said.strip().splitlines()[-1])
        return Measured(wall_s, peak_mb, result["synthesis_s"], result["speech_s"], {"segments": len(texts)})

    def coqui_command(self, text: str) -> Measured:
        output = self.scratch / "theirs.wav"
        wall_s, peak_mb, _ = measure(
            [str(Path(sys.executable).parent / "tts"), "--model_path", str(self.folder), "--config_path",
             str(self.folder / "config.json"), "--text", text, "--speaker_wav", str(self.voice), "--language_idx",
             "en", "--out_path", str(output)]
        )  # fmt: skip
        return Measured(wall_s, peak_mb, math.nan, soundfile.info(str(output)).duration, {})


def best(runs: list[Measured]) -> Measured:
    """The least disturbed one."""
    return min(runs, key=lambda run: run.wall_s / run.speech_s)


def show(name: str, run: Measured, peer: Measured | None = None) -> None:
    beside = "" if peer is None else f"{peer.rtf / run.rtf:>9.1f}x"
    stages = "  ".join(f"{stage} {seconds:.1f}" for stage, seconds in run.said.get("timings_s", {}).items())
    print(f"{name:<34}{run.rtf:>8.3f}{run.speech_s:>9.1f}{run.wall_s:>8.1f}{run.peak_mb:>8.0f}{beside}  {stages}",
          flush=True)  # fmt: skip


def heading(title: str) -> None:
    print(f"\n{title:<34}{'of real time':>8}{'speech s':>9}{'wall s':>8}{'MB':>8}   ratio")


def synthesis(bench: Bench, runs: int) -> dict[str, Any]:
    hundred = "\n\n".join(SENTENCES * 10)  # a paragraph each, so that none is joined to another
    heading("synthesis")
    turns = [
        (bench.coqui_loop(SENTENCES), bench.ours(PARAGRAPH), bench.ours(PARAGRAPH, "--precision", "float32"),
         bench.ours(hundred))
        for _ in range(runs)
    ]  # fmt: skip
    coqui, ours, exact, long = (best(list(column)) for column in zip(*turns, strict=True))
    show("coqui, ten sentences", coqui)
    show("ours, the paragraph", ours, coqui)
    show("ours, the paragraph, float32", exact, coqui)
    show("ours, a hundred sentences", long, coqui)
    named = {"coqui": coqui, "paragraph": ours, "paragraph float32": exact, "hundred": long}
    return {name: {**run.record(), "times_coqui": round(coqui.rtf / run.rtf, 2)} for name, run in named.items()}


def command(bench: Bench, runs: int) -> dict[str, Any]:
    heading("one sentence, Enter to file")
    first = bench.ours(SENTENCE)  # keeps the weights as this machine runs them, for all later ones
    pairs = []
    for _ in range(runs):
        pairs.append((bench.ours(SENTENCE), bench.ours(SENTENCE, voice_known=True), bench.coqui_command(SENTENCE)))
    ours, known, theirs = (best(list(column)) for column in zip(*pairs, strict=True))
    show("ours, the first start", first)
    show("ours", ours)
    show("ours, the voice known", known)
    show("tts", theirs)
    ratios: dict[str, Any] = {}
    for name, run in (("first start", first), ("ours", ours), ("voice known", known)):
        wall = theirs.wall_s / run.wall_s
        a_second, memory = wall * run.speech_s / theirs.speech_s, run.peak_mb / theirs.peak_mb
        print(f"{name}: wall {wall:.2f}x, a second of speech {a_second:.2f}x, memory {memory:.2f}")
        ratios[name] = {**run.record(), "wall_ratio": round(wall, 2), "memory_ratio": round(memory, 3),
                        "a_second_of_speech_ratio": round(a_second, 2)}  # fmt: skip
    return {**ratios, "tts": {**theirs.record(), "synthesis_s": None, "rtf": None}}


def length(bench: Bench, runs: int) -> dict[str, Any]:
    heading("segments")
    found = {}
    for count in (16, 64, 256):
        text = "\n\n".join((SENTENCES * 26)[:count])
        found[count] = best([bench.ours(text) for _ in range(runs)])
        show(str(count), found[count])
    points = [(math.log(run.said["codes"]), math.log(run.synthesis_s)) for run in found.values()]
    exponent = slope(points)
    print(f"exponent of seconds over codes: {exponent:.3f}")
    return {"exponent": round(exponent, 3), **{str(count): run.record() for count, run in found.items()}}


def slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    x, y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def cores(bench: Bench, runs: int) -> dict[str, Any]:
    heading("threads")
    found = {}
    for threads in (1, 2):
        found[threads] = best([bench.ours(PARAGRAPH, "--threads", str(threads)) for _ in range(runs)])
        show(str(threads), found[threads])
    return {str(threads): run.record() for threads, run in found.items()}


def _know_the_machine(cache: Path) -> None:
    """Which precision is the fastest is found out once on a machine; no run here is the first."""
    found = remembered.path_of("precision")
    choose("auto", choose_device("auto").name)
    (cache / "voice-cloning").mkdir(parents=True)
    shutil.copy(found, cache / "voice-cloning")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}, with commas")
    parser.add_argument("--model", default="rehearsal", help="rehearsal, rehearsal-tiny or a folder")
    parser.add_argument("--voice", type=Path, default=ROOT / "samples" / "reference.wav", help="22,050 Hz mono")
    parser.add_argument("--runs", type=int, default=1)
    args = parser.parse_args()
    wanted = args.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    folder = rehearsal.ensure(args.model) if args.model in rehearsal.NAMES else Path(args.model).resolve()
    checkpoint.from_folder(folder)
    report: dict[str, Any] = {
        "bench": "speed", "model": args.model if args.model in rehearsal.NAMES else "folder", "cores": os.cpu_count(),
        "machine": platform.machine(), "python": platform.python_version(), "runs": args.runs,
    }
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(folder, args.voice.resolve(), Path(scratch))
        _know_the_machine(bench.cache)
        for part in wanted:
            try:
                report[part] = globals()[part](bench, args.runs)
            except RuntimeError as error:
                print(f"\n{part}: {error}", file=sys.stderr)
                report[part] = {"error": "a command failed"}
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
