"""For every operation that declares how it grows: the inputs over which that is counted and timed.

``tests/test_complexity.py`` counts the work at n, 2n and 4n, ``bench/scaling.py`` times it at n, 2n, 4n and 8n. Sizes
are in the unit that the operation declares or proportional to it: samples of one rate for seconds, parameters for
megabytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests import counted_work, spoken_faults
from tests import growing_inputs as inputs
from tests import growing_models as models
from tests.growing_inputs import RATE_HZ, Make, over
from voicekit import (
    declipping,
    defects,
    denoising,
    edits,
    hum_removal,
    joining,
    levelling,
    noise,
    quality,
    restoration,
    reverberation,
    run_history,
    screening,
    speech_detection,
    stretches,
    take_ends,
    takes,
)
from voicekit.audio import Audio, read_recording, resample, to_mono

ROOT = Path(__file__).resolve().parents[1]
MINUTE = 60 * RATE_HZ
CODES_CEILING = 602  # of one segment, as released


@dataclass(frozen=True)
class Case:
    """An operation, by the name under which it is declared, and what makes a run of it over an input of size n.

    first: n; from there on constants do not hide the growth.
    meters: what counts its work: functions of tests/counted_work.py, by the word after ``count_``.
    about: which of several inputs this is.
    timed: another run for the bench: on real numbers, where the work is counted on shapes alone.
    timed_up_to: the largest size that the bench may ask for.
    """

    operation: str
    first: int
    make: Make
    meters: tuple[str, ...] = ("python",)
    about: str = ""
    timed: Make | None = None
    timed_up_to: int | None = None

    def __str__(self) -> str:
        return f"{self.operation.removeprefix('voicekit.')}{', ' * bool(self.about)}{self.about}"


@dataclass(frozen=True)
class Growth:
    """How an operation's work and memory grew over these sizes: the exponents, and what they were fitted to."""

    time: float
    space: float
    sizes: tuple[int, ...]
    works: tuple[counted_work.Work, ...]


def counted_growth(case: Case, folder: Path) -> Growth:
    """Counts a case at n, 2n and 4n; files go into the folder.

    What a process holds is counted in one of its own: in another one, memory that was used before comes and goes.
    """
    sizes = tuple(case.first * factor for factor in (1, 2, 4))
    works = (_counted_alone if "process" in case.meters else _counted)(case, sizes, folder)
    time = counted_work.growth(sizes, [work.steps for work in works])
    return Growth(time, counted_work.growth(sizes, [counted_work.memory(work) for work in works]), sizes, works)


def _counted(case: Case, sizes: tuple[int, ...], folder: Path) -> tuple[counted_work.Work, ...]:
    if "python" in case.meters:
        case.make(case.first, folder)()  # imports and caches are filled
    return tuple(_count(case, size, folder) for size in sizes)


def _counted_alone(case: Case, sizes: tuple[int, ...], folder: Path) -> tuple[counted_work.Work, ...]:
    command = [sys.executable, "-m", "tests.growth_cases", str(case), str(folder), *map(str, sizes)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return tuple(counted_work.Work(*counts) for counts in json.loads(done.stdout.splitlines()[-1]))


def main(name: str, folder: str, *sizes: str) -> None:
    """Counts the case of that name (`str(case)`) at the sizes; prints steps and bytes of each as JSON."""
    case = next(case for case in (*CASES, *CONTROLS) if str(case) == name)
    works = _counted(case, tuple(map(int, sizes)), Path(folder))
    sys.stdout.write(json.dumps([[work.steps, work.held_bytes] for work in works]))


def _count(case: Case, size: int, folder: Path) -> counted_work.Work:
    """With all its meters, one after the other, for each would count what another does."""
    run = case.make(size, folder)
    works = [getattr(counted_work, f"count_{meter}")(run) for meter in case.meters]
    return counted_work.Work(sum(work.steps for work in works), max(work.held_bytes for work in works))


def _denoise(audio: Audio) -> object:
    return denoising.denoise(audio, engine=denoising.available()[0], threads=1)


SOUND = (
    Case("voicekit.audio.read_recording", 3_000_000, inputs.reading(read_recording)),
    Case("voicekit.audio.to_mono", MINUTE // 4, over(inputs.stereo, to_mono)),
    Case("voicekit.audio.resample", MINUTE // 4, over(inputs.voice, lambda audio: resample(audio, 22_050))),
    Case("voicekit.audio_writing.write_audio", MINUTE // 4, inputs.writing),
    Case("voicekit.quality.loudness_lufs", MINUTE // 4, over(inputs.voice, quality.loudness_lufs)),
    Case("voicekit.quality.speech_regions", MINUTE // 4, over(inputs.voice, quality.speech_regions)),
    Case("voicekit.restoration.trim_silence", MINUTE // 4, over(inputs.between_silences, restoration.trim_silence)),
    Case("voicekit.restoration.even_level", MINUTE, over(inputs.fading, restoration.even_level)),
    Case("voicekit.restoration.normalise_loudness", MINUTE, over(inputs.voice, restoration.normalise_loudness)),
    Case("voicekit.joining.Joiner.lay", MINUTE // 4, over(
        inputs.voice, lambda audio: joining.Joiner(audio.sample_rate).lay(audio, 0.25))),
    Case("voicekit.takes.faults", MINUTE // 2, over(
        inputs.take, lambda take: takes.faults(take, spoken_faults.TEXT, "en", 1.0))),
    Case("voicekit.take_ends.trim_ends", 10 * MINUTE, over(
        inputs.take, lambda take: take_ends.trim_ends(take, greedy=True))),
    Case("voicekit.levelling.level", MINUTE, over(inputs.voice, levelling.level)),
    Case("voicekit.screening.read_excerpt", 8_000 * 600, inputs.reading(
        lambda path: screening.read_excerpt(path, max_s=30.0)), about="longer than the excerpt"),
    Case("voicekit.measurement.measure", 3 * MINUTE // 4, inputs.measuring),
    Case("voicekit.speech_detection.detect_speech", 3 * MINUTE, over(
        inputs.voice, speech_detection.detect_speech)),
    Case("voicekit.noise.levels", MINUTE // 2, over(inputs.voice_and_regions, lambda both: noise.levels(*both))),
    Case("voicekit.defects.clipping", MINUTE // 4, over(
        inputs.partly_clipped, lambda audio: defects.clipping(audio.samples))),
    Case("voicekit.defects.hum", MINUTE, over(
        lambda n: (inputs.with_tone(n, 50, 0.05), inputs.regions(n)), lambda both: defects.hum(*both))),
    Case("voicekit.reverberation.reverb_rt60_s", MINUTE // 4, over(
        inputs.voice_and_regions, lambda both: reverberation.reverb_rt60_s(*both))),
    Case("voicekit.stretches.best_stretch", MINUTE, over(
        inputs.voice_and_regions, lambda both: stretches.best_stretch(*both))),
    Case("voicekit.declipping.declip", MINUTE, over(
        inputs.partly_clipped, lambda audio: declipping.declip(audio, -0.3, 0.3))),
    Case("voicekit.hum_removal.remove_hum", MINUTE // 2, over(
        lambda n: inputs.with_tone(n, 50, 0.05), lambda audio: hum_removal.remove_hum(audio, (50.0, 150.0)))),
    Case("voicekit.denoising.denoise", MINUTE // 12, over(inputs.noisy, _denoise)),
)  # fmt: skip

TEXT = tuple(
    Case("voicekit.text.segments", 12_000, inputs.cutting(kind), about=kind) for kind in inputs.TEXTS
)

RECORDS = (
    Case("voicekit.edits.compose", 500, over(inputs.cut_twice, lambda both: edits.compose(*both))),
    Case("voicekit.run_history.read_runs", 200, inputs.history(run_history.read_runs)),
    Case("voicekit.run_history.append_run", 400, inputs.history(
        lambda folder: run_history.append_run(folder, {"run_id": "20261122-141503-ab12"}))),
    Case("voicekit.download.fetch", 8 * inputs.MIB, inputs.fetching),
)  # fmt: skip

MODEL = (
    Case("voicekit.loading.load_xtts", 2_000_000, models.loading_float32, ("python", "process")),
    Case("voicekit.tts_model.TTSModel.condition", 3, models.conditioning, ("torch",), timed_up_to=30),
    Case("voicekit.decoding.decode", 150, models.decoding, ("torch",), timed_up_to=CODES_CEILING),
    Case("voicekit.vocoding.vocode", 600, models.vocoding_as_released, ("torch",),
         timed=models.vocoding_tiny, timed_up_to=200),
)  # fmt: skip

CASES = SOUND + TEXT + RECORDS + MODEL
# Of the same operation where weights cannot stay in the file: these do grow.
CONTROLS = (
    Case("voicekit.loading.load_xtts", 2_000_000, models.loading_float16, ("python", "process"), "wrong numbers"),
    Case("voicekit.loading.load_xtts", 2_000_000, models.loading_old_format, ("python", "process"), "old format"),
)

if __name__ == "__main__":
    main(*sys.argv[1:])
