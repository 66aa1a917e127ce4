"""Ours beside coqui-tts on the same untrained full-size checkpoint, in one run.

What is measured, each as a whole process, memory as the operating system accounts it at the
process's end (peak resident set, mapped weights included):

1. Loading: import, load, condition, the first code, the first segment. Ours (mapped, parameters
   without initialisation, one GPT pass) against coqui's documented path (`Xtts(config)`,
   `load_checkpoint`, `inference`), greedy, so that both speak exactly the same codes.
2. The main job: `simple_voice_clone.py` against coqui's own `tts` command, one sentence and one
   paragraph of ten. `tts` has no seed and no greedy mode, so lengths differ by chance: besides the
   wall time there is the real-time factor (wall time a second of audio).

`tts` reads audio through torchcodec and needs the system's FFmpeg libraries; without them its rows
say so. The last line is one JSON object.

    python bench/speed.py [--model rehearsal] [--voice FILE] [--runs 1] [--skip-tts] [--skip-load]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from voicekit import checkpoint, rehearsal  # noqa: E402

SENTENCE = "The old lighthouse keeper climbed the stairs every evening, and lit the lamp before the first star came."
PARAGRAPH = (
    "The village lay at the end of a long valley. In winter the road was closed for weeks, and nobody came or went. "
    "People told each other stories by the fire. The oldest of them was about a clock that ran backwards. It had "
    "hung in the church tower for a hundred years. One night it stopped, and the whole village woke at the same "
    "moment. They ran into the street with lanterns in their hands. Nothing had changed, and yet everything looked "
    "new. The priest climbed the tower and found a sparrow asleep between the wheels. He let it sleep, and since "
    "then the clock has been right twice a day."
)
COQUI_LOAD = """
import json, sys, time
start = time.perf_counter()
import soundfile, torch
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models.xtts import Xtts
marks = {"import": time.perf_counter() - start}
folder, voice, text = sys.argv[1:4]
config = XttsConfig(); config.load_json(folder + "/config.json")
model = Xtts(config); model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
marks["load"] = time.perf_counter() - start
audio = torch.from_numpy(soundfile.read(voice, dtype="float32")[0])[None][:, : 22050 * config.max_ref_len]
latents = model.get_gpt_cond_latents(audio, 22050, config.gpt_cond_len, config.gpt_cond_chunk_len)
embedding = model.get_speaker_embedding(audio, 22050)
marks["condition"] = time.perf_counter() - start
head = model.gpt.mel_head
head.register_forward_hook(lambda *_: marks.setdefault("first_code", time.perf_counter() - start) and None)
out = model.inference(text, "en", latents, embedding, temperature=0.75, repetition_penalty=config.repetition_penalty,
                      top_k=config.top_k, top_p=config.top_p, do_sample=False)
marks["first_segment"] = time.perf_counter() - start
print(json.dumps({**marks, "codes": out["gpt_latents"].shape[1], "audio_s": len(out["wav"]) / 24000}))
"""
OUR_LOAD = """
import json, sys, time
start = time.perf_counter()
sys.path.insert(0, sys.argv[4])
import soundfile
from pathlib import Path
from voicekit import audio, checkpoint, loading, tts_model
loading.read_ahead(Path(sys.argv[1]) / "model.pth")
tts_model.import_packages()
marks = {"import": time.perf_counter() - start}
folder, voice, text = sys.argv[1:4]
model = tts_model.TTSModel.load(checkpoint.from_folder(Path(folder)), "cpu", sys.argv[5])
marks["load"] = time.perf_counter() - start
speaker = model.condition([audio.mean_channels(audio.read_recording(voice))], model.voice_settings())
marks["condition"] = time.perf_counter() - start
head = model._xtts.gpt.mel_head
head.register_forward_hook(lambda *_: marks.setdefault("first_code", time.perf_counter() - start) and None)
speech = next(model.speak([text], speaker, "en", model.speech_settings(temperature=0.0)))
marks["first_segment"] = time.perf_counter() - start
print(json.dumps({**marks, "codes": speech.codes, "audio_s": speech.audio.duration_s}))
"""


@dataclass(frozen=True)
class Measured:
    """One process: wall seconds, peak resident memory in MB (2**20), and what it said."""

    wall_s: float
    peak_mb: float
    said: dict[str, Any]


def measure(command: list[str], said: Any = None) -> Measured:
    """Run a command to its end; `said` turns its stdout into a dictionary.

    Raises:
        RuntimeError: the command failed; its last lines are told.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        # Our own stages reset the kernel's peak; here it has to hold to the end.
        environment = {**os.environ, "VOICE_CLONING_STAGE_PEAKS": "0"}
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=tempfile.gettempdir(), env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(err.read().decode(errors="replace").strip()[-300:])
        return Measured(wall_s, usage.ru_maxrss / 1024, (said or (lambda text: {}))(out.read().decode()))


def last_json(text: str) -> dict[str, Any]:
    return dict(json.loads(text.strip().splitlines()[-1]))


def load_pair(folder: Path, voice: Path) -> dict[str, Measured]:
    arguments = [str(folder), str(voice), SENTENCE, str(ROOT)]
    return {
        "ours": measure([sys.executable, "-c", OUR_LOAD, *arguments, "float32"], last_json),
        "ours bf16": measure([sys.executable, "-c", OUR_LOAD, *arguments, "bfloat16"], last_json),
        "coqui": measure([sys.executable, "-c", COQUI_LOAD, *arguments], last_json),
    }


def clone_pair(folder: Path, voice: Path, text: str, scratch: Path, with_tts: bool) -> dict[str, Measured]:
    """The two commands on one text; both write a WAV, whose length is read back."""
    ours, theirs = scratch / "ours.wav", scratch / "theirs.wav"
    pair = {
        "ours": measure(
            [sys.executable, str(ROOT / "simple_voice_clone.py"), "--text", text, "--voice", str(voice), "--model",
             str(folder), "--precision", "float32", "--seed", "1", "--json", "--force", "-q", "-o", str(ours)],
            last_json,
        )
    }
    if with_tts:
        command = [str(Path(sys.executable).parent / "tts"), "--model_path", str(folder), "--config_path",
                   str(folder / "config.json"), "--text", text, "--speaker_wav", str(voice), "--language_idx", "en",
                   "--out_path", str(theirs)]
        pair["tts"] = measure(command, lambda _: {"duration_s": soundfile.info(str(theirs)).duration})
    return pair


def rtf(run: Measured) -> float:
    return run.wall_s / float(run.said["duration_s"])


def print_load(pairs: list[dict[str, Measured]]) -> None:
    who = list(pairs[0])
    print(f"\n{'loading, seconds to':<24}" + "".join(f"{name:>11}" for name in who) + "   ratios to coqui")
    rows = {mark: [min(pair[name].said[mark] for pair in pairs) for name in who]
            for mark in ("import", "load", "condition", "first_code", "first_segment")}
    rows["peak memory, MB"] = [min(pair[name].peak_mb for pair in pairs) for name in who]
    for row, figures in rows.items():
        ratios = "  ".join(f"{figure / figures[-1]:.2f}" for figure in figures[:-1])
        print(f"{row:<24}" + "".join(f"{figure:>11.2f}" for figure in figures) + f"   {ratios}")
    print(f"{'codes spoken':<24}" + "".join(f"{pairs[0][name].said['codes']:>11}" for name in who))


def print_clone(name: str, pairs: list[dict[str, Measured]]) -> None:
    print(f"\n{name:<24}" + "".join(f"{who:>10}" for who in pairs[0]) + f"{'ratio':>8}")
    rows = {
        "wall, s": lambda run: run.wall_s,
        "speech, s": lambda run: float(run.said["duration_s"]),
        "wall a second of speech": rtf,
        "peak memory, MB": lambda run: run.peak_mb,
    }
    for row, value in rows.items():
        best = [min(value(pair[who]) for pair in pairs) for who in pairs[0]]
        ratio = f"{best[0] / best[1]:>8.2f}" if len(best) == 2 else ""
        print(f"{row:<24}" + "".join(f"{figure:>10.2f}" for figure in best) + ratio)
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in pairs[0]["ours"].said["timings_s"].items())
    print(f"ours by stage, s: {stages}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="rehearsal", help="rehearsal, rehearsal-tiny or a folder")
    parser.add_argument("--voice", type=Path, default=ROOT / "samples" / "reference.wav", help="22,050 Hz mono")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--skip-tts", action="store_true")
    parser.add_argument("--skip-load", action="store_true")
    parser.add_argument("--skip-paragraph", action="store_true")
    args = parser.parse_args()
    folder = rehearsal.ensure(args.model) if args.model in rehearsal.NAMES else Path(args.model).resolve()
    checkpoint.from_folder(folder)
    voice = args.voice.resolve()
    texts = {"one sentence": SENTENCE} | ({} if args.skip_paragraph else {"a paragraph of ten": PARAGRAPH})

    report: dict[str, Any] = {
        "bench": "speed", "model": args.model if args.model in rehearsal.NAMES else "folder", "cores": os.cpu_count(),
        "machine": platform.machine(), "python": platform.python_version(), "runs": args.runs,
    }
    if not args.skip_load:
        loads = [load_pair(folder, voice) for _ in range(args.runs)]
        print_load(loads)
        report["loading"] = [{who: asdict(run) for who, run in pair.items()} for pair in loads]
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in texts.items():
            try:
                pairs = [clone_pair(folder, voice, text, Path(scratch), not args.skip_tts) for _ in range(args.runs)]
            except RuntimeError as error:
                print(f"\n{name}: {error}", file=sys.stderr)
                report[name] = {"error": "a command failed"}
                continue
            print_clone(name, pairs)
            report[name] = [
                {
                    who: {"wall_s": run.wall_s, "peak_mb": run.peak_mb, "rtf": rtf(run),
                          "speech_s": run.said["duration_s"], "timings_s": run.said.get("timings_s")}
                    for who, run in pair.items()
                }
                for pair in pairs
            ]
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
