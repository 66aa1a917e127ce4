#!/usr/bin/env python3
"""Speak a text in the voice of a recording: XTTS v2, on this machine, from the command line.

The data flow, top to bottom: samples are preprocessed, the model is loaded and conditioned on the
voice, the text is cut into segments, each is spoken, and the pieces are joined and written.
The craft of each stage lies in `voicekit`; this file is its table of contents.
"""

from __future__ import annotations

from voicekit import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()  # what is imported below takes half a second

import argparse
import functools
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from logger_config import log_folder, log_torch_info, span, stage_clock, timed
from voicekit import (
    admission,
    clone_plans,
    clone_results,
    cutting,
    leftovers,
    loading,
    machine,
    model_finding,
    narration,
    quality,
    request_building,
    restoration,
    resuming,
    speech_plan,
    verdict,
    voices,
)
from voicekit import text as text_stage
from voicekit.assessment import FAIR_SCORE, assess
from voicekit.audio import (
    Audio,
    is_silent,
    mean_channels,
    read_part,
    read_recording,
    resample,
    resample_like_coqui,
    to_mono,
)
from voicekit.audio_state import changes, state
from voicekit.audio_writing import free_name, latest_name, write_audio
from voicekit.checkpoint import Checkpoint
from voicekit.clone_flags import SCRIPT, build_parser, check_usage, settings_of
from voicekit.clone_results import Terminal
from voicekit.cloning import MOST_SAMPLE_S, RETRIES, Cloned, CloneSettings, Listener, Request
from voicekit.command_line import Messages, Outcome, run_command
from voicekit.delivery import Delivery
from voicekit.devices import import_packages
from voicekit.errors import AudioError, TextError
from voicekit.jobs import read_jobs
from voicekit.log_values import size
from voicekit.measurement import HEARD_S, measure_cheaply
from voicekit.memory import MB
from voicekit.outputs import Hears, playing
from voicekit.publishing import temporary_folder
from voicekit.resuming import Resumed
from voicekit.tasks import Task, Tasks
from voicekit.tts_model import TTSModel
from voicekit.verification import Recogniser
from voicekit.voices import Ears, Sample
from voicekit.xtts_modules import CONDITIONING_RATE_HZ

logger = logging.getLogger(SCRIPT)

SAMPLE_RATE_HZ = CONDITIONING_RATE_HZ
TARGET_LUFS = -20.0
MAX_TRUE_PEAK_DBTP = -3.0
SHORT_SAMPLE_S = 6.0  # the model card's clip length; 3 s is audibly worse
DEFAULT_OUTPUT = "cloned_voice.wav"
ANY_REQUEST = Request("", (), DEFAULT_OUTPUT, "en")


@timed
def preprocess_audio_for_best_quality(speaker_audio: str | Path, output_path: str | Path | None = None) -> str:
    """Make a voice sample fit for XTTS: mono, 22,050 Hz, trimmed, evened out, -20 LUFS.

    Args:
        speaker_audio: the recording, any common format; of a longer one the first `MOST_SAMPLE_S` seconds.
        output_path: where the result goes; None makes a folder of its own for it in the system's
            temporary folder, which is the caller's to remove.

    Returns:
        Path of the preprocessed WAV: mono, 22,050 Hz, PCM_16, true peak at most -3 dBTP.

    Raises:
        AudioError: the recording cannot be read, or holds no sound.
        OutputError: the result cannot be written, or `output_path` exists.
    """
    target = Path(output_path or Path(tempfile.mkdtemp(prefix="voice-cloning-")) / "preprocessed.wav")
    with span("Preprocessing", started="Audio preprocessing started", done="Preprocessing completed",
              label="Total time", memory=True, logger=logger):
        with _step("Read the recording") as step:
            recording = read_part(speaker_audio, 0.0, MOST_SAMPLE_S)
            step.note(**state(recording))
        with _step("Converted to mono") as step:
            audio = to_mono(recording)
            step.note(**changes(recording, audio))
        _refuse_silence(audio, speaker_audio)
        with _step("Sample rate optimization") as step:
            resampled = resample(audio, SAMPLE_RATE_HZ)
            step.note(**changes(audio, resampled))
        with _step("Silence trimming") as step:
            trimmed = restoration.trim_silence(resampled)
            step.note(**changes(resampled, trimmed))
        with _step("Compression") as step:
            evened = restoration.even_level(trimmed)
            applied = "no, the level is even" if evened is trimmed else "yes"
            step.note(applied=applied, **changes(trimmed, evened))
        with _step("Normalization") as step:
            audio = restoration.normalise_loudness(
                evened, target_lufs=TARGET_LUFS, max_true_peak_dbtp=MAX_TRUE_PEAK_DBTP
            )
            loudness = [_lufs(quality.loudness_lufs(each)) for each in (evened, audio)]
            step.note(loudness=" -> ".join(loudness), **changes(evened, audio))
        with _step("Wrote the sample") as step:
            write_audio(audio, target)
            step.note(**state(audio), file=size(target.stat().st_size / MB))
    return str(target)


def _step(name: str) -> span:
    return span(name, done=f"Preprocessing step: {name}", logger=logger)


def _lufs(loudness: float | None) -> str:
    return "silent" if loudness is None else f"{loudness:.1f} LUFS"


def _refuse_silence(audio: Audio, path: str | Path) -> None:
    if is_silent(audio):
        raise AudioError(
            f"{str(path)!r} is silent: its loudest moment is under -70 dBFS.",
            "Record it again, nearer to the microphone.",
        )


@timed(inputs=("text", "speaker_audio", "language"))
def clone_voice_simple(
    text: str,
    speaker_audio: str | Path | Sequence[str | Path],
    output_file: str | Path = "cloned_voice.wav",
    language: str = "en",
    preprocess: bool = True,
    *,
    settings: CloneSettings = CloneSettings(),
    listener: Listener = Listener(),
    hears: Hears | None = None,
    like: Request = ANY_REQUEST,
) -> str:
    """Speak a text in the voice of one or several samples.

    Args:
        text: what is spoken; any length, cut into segments that XTTS can take.
        speaker_audio: a recording of the voice, or several, all of which count; or the name of a saved voice.
        output_file: the result, in the format that its ending names; "-" is stdout.
        language: one of XTTS's 17 (`voicekit.text.LANGUAGES`; zh is zh-cn).
        preprocess: make the samples fit first; False only decodes them to mono at 22,050 Hz.
        settings: model, device, sampling, and how the result is written.
        listener: is told of progress and gets the whole result (`Cloned`).
        hears: gets what is spoken, float32 samples of 24 kHz, as it comes.
        like: what a file said of the text besides its words: titles, and the moments of subtitles.

    Returns:
        Path of the generated audio: mono, 24 kHz unless asked otherwise; "-" for stdout.

    Raises:
        VoiceError: see voicekit.errors; whatever can be checked is checked before anything slow starts.
    """
    names = [speaker_audio] if isinstance(speaker_audio, (str, Path)) else speaker_audio
    request = replace(like, text=text, voice=tuple(str(name) for name in names), output=str(output_file),
                      language=language, settings=settings, preprocess=preprocess)  # fmt: skip
    (cloned,) = clone_requests([request], settings, listener, hears=hears)
    return cloned.output


@timed(inputs=("requests",))
def clone_requests(
    requests: Sequence[Request],
    settings: CloneSettings,
    listener: Listener = Listener(),
    *,
    alone: bool = True,
    hears: Hears | None = None,
) -> tuple[Cloned, ...]:
    """Speak requests with one loading of the model, segments of one voice together whichever request they are of.

    Args:
        settings: of the model and the machine; how each request is spoken and written, its own settings say.
        alone: a failure is an exception; otherwise it is told to the listener, and the other requests go on.
        hears: gets what is spoken, float32 samples of 24 kHz, as it comes.

    Returns:
        What each request came to, those that failed left out.

    Raises:
        VoiceError: of requests that are alone, or of the model, which all of them need.
    """
    leftovers.remove()
    tasks, resumed = admission.admit(requests, settings, listener, alone=alone, listens=hears is not None)
    delivered, making = ([task.request for task in tasks.left if task.delivered is done] for done in (True, False))
    listener.begun(delivered, making)
    if not making:
        resuming.over(tasks, resumed)
        return ()
    if not resumed.again:  # else they are part of the plan, on which the bytes of the others depend
        tasks.left = [task for task in tasks.left if not task.delivered]
    recogniser = _recogniser(settings)
    with temporary_folder() as scratch:
        ears = Ears(settings, _hear, scratch, listener)
        settings = replace(settings, precision=resumed.pins.precision, threads=resumed.pins.threads or settings.threads)
        weights = _prepare(tasks, ears, settings, listener)
        with span("Import", done="Packages imported", stage="import", memory=True):
            import_packages(settings.threads)
            log_torch_info(logger)
        tts = _load_model(weights, settings, listener)
        chosen = replace(resumed.pins, precision=tts.precision, threads=machine.threads() or 0)
        resumed = replace(resumed, pins=chosen)
        tasks.each(functools.partial(_condition, tts=tts, ears=ears, listener=listener, resumed=resumed))
    with span("Split", done="Text split", stage="preprocess") as step:
        tasks.each(functools.partial(_cut, tts=tts, listener=listener,
                                     batch_size=-(-settings.batch_size // len(requests))))  # fmt: skip
        step.count(text_length=sum(task.cut.characters for task in tasks.left),
                   segments=sum(len(task.cut.segments) for task in tasks.left))  # fmt: skip
    return _speak(tasks, tts, resumed, settings, listener, hears, recogniser) if tasks.left else ()


def _recogniser(settings: CloneSettings) -> Recogniser | None:
    """Who listens to what was spoken; loaded now, for it may be missing."""
    if not settings.verify:
        return None
    with span("Recogniser", done="Recogniser loaded", stage="import"):
        recogniser = Recogniser(offline=settings.offline)
        recogniser.load()
    return recogniser


def _prepare(tasks: Tasks, ears: Ears, settings: CloneSettings, listener: Listener) -> Checkpoint:
    """The samples and the model, whichever is quicker to refuse first: a model that must be fetched comes last."""
    here = model_finding.here(settings.model)
    if here:
        loading.read_ahead(here)
        tasks.each(lambda task: ears.recall(task.source, here))
    tasks.each(lambda task: ears.prepare(task.source))
    with span("Find the model", done="Model found", stage="load_model") as step:
        weights = model_finding.find(settings, listener)
        step.note(model=weights.name, file=size(weights.weights.stat().st_size / MB))
        loading.read_ahead(weights)
    return weights


def _hear(path: str, preprocess: bool, scratch_file: Path) -> Sample:
    """One sample as mono at 22,050 Hz; without preprocessing exactly as coqui decodes it."""
    if preprocess:
        audio = mean_channels(read_recording(preprocess_audio_for_best_quality(path, scratch_file)))
    else:
        with span("Decode", done="Sample decoded"):
            audio = resample_like_coqui(mean_channels(read_part(path, 0.0, MOST_SAMPLE_S)), SAMPLE_RATE_HZ)
        _refuse_silence(audio, path)
    judged = assess(measure_cheaply(read_part(path, 0.0, HEARD_S)))
    name = Path(path).name
    note = f"Sample: {name}, {audio.duration_s:.1f} s{' prepared' if preprocess else ''}, {verdict.one_line(judged)}"
    warnings = []
    if judged.score < FAIR_SCORE:
        warnings.append(f"The sample {name} is {judged.verdict}: improve_voice_sample.py says why, and may make a"
                        " better one of it.")  # fmt: skip
    if audio.duration_s < SHORT_SAMPLE_S:
        warnings.append(f"The sample {name} is short ({audio.duration_s:.1f} s): 6 to 30 seconds of speech clone"
                        " better.")  # fmt: skip
    return Sample(audio, note, tuple(warnings))


def _load_model(weights: Checkpoint, settings: CloneSettings, listener: Listener) -> TTSModel:
    # The float32 weights are mapped, so that the kernel can drop them; conditioning and decoding need 0.8 GB more.
    if shortage := machine.low_memory(weights.weights.stat().st_size / MB + 800):
        listener.warn(shortage)
    with span("Model loading", started="Model loading started", done="Model loaded", stage="load_model",
              memory=True, logger=logger) as step:
        tts = TTSModel.load(weights, settings.device, settings.precision)
        on_gpu = "CUDA available" if tts.device.name.startswith("cuda") else f"none used ({tts.device.reason})"
        step.note(GPU=on_gpu, device=tts.device.name, arithmetic=tts.arithmetic,
                  precision=f"{tts.precision} ({tts.precision_reason})")
        step.count(model_mb=tts.parameter_bytes / MB)
    listener.note(f"Model: {weights.name} on {tts.device.name} ({tts.device.reason}),"
                  f" {tts.precision} ({tts.precision_reason})")
    if tts.device.name == "cpu" and machine.has_nvidia_gpu():
        listener.warn("The model runs on the CPU although this machine has an NVIDIA GPU, which is many times faster:"
                      " use --device cuda, with a torch that is built for it.")
    return tts


def _condition(task: Task, tts: TTSModel, ears: Ears, listener: Listener, resumed: Resumed) -> None:
    """The task's voice, as the model knows it; kept under a name where that is asked for."""
    settings, language = task.request.settings, task.request.language
    if language not in tts.languages:
        raise TextError(f"This model does not speak '{language}'.", f"It speaks {', '.join(tts.languages)}.")
    task.voice = ears.voice(task.source, tts)
    if settings.save_voice is not None and task.number == 0:
        resumed.journal.pin(resumed.pins)  # a run that is killed from here on knows the saved voice for its own
        voices.save(task.voice, task.source, tts.checkpoint, settings, listener, again=resumed.again)


def _cut(task: Task, tts: TTSModel, listener: Listener, batch_size: int) -> None:
    """The task's text in segments, counted as the model's tokenizer counts."""
    settings, language = task.request.settings, task.request.language
    task.cut = cutting.cut(task.request, tts.measure, cutting.lexicon_of(settings), batch_size)
    if settings.redo is not None and not 1 <= settings.redo <= len(task.cut.segments):
        raise TextError(f"There is no segment {settings.redo}.", f"The text has {len(task.cut.segments)}.")
    strange = sum(1 for each in task.cut.segments if tts.unknown(each.text, each.language or language))
    if strange:
        listener.warn(f"XTTS has no sign for some characters of {strange} of {len(task.cut.segments)} segments:"
                      " what it speaks there, nobody knows.")  # fmt: skip


def _speak(
    tasks: Tasks,
    tts: TTSModel,
    resumed: Resumed,
    settings: CloneSettings,
    listener: Listener,
    hears: Hears | None,
    recogniser: Recogniser | None,
) -> tuple[Cloned, ...]:
    """Speak what the journal does not hold, and write each output as its segments come."""
    record = resuming.Record(resumed.journal, resumed.pins, tasks)
    retries = (RETRIES if tts.checkpoint.trained else 0) if settings.retries is None else settings.retries
    readings, speakers = narration.casting(tasks.left, tts)
    groups = speech_plan.plan(readings, settings.batch_size, 1 + retries, first_alone=resumed.listens)
    listener.planned([task.cut for task in tasks.left])
    with (
        Delivery(tasks, tts, listener, hears=hears, recogniser=recogniser,
                 about_to_deliver=record.about_to_deliver) as delivery,
        span("Voice cloning", started="Voice cloning started", done="Voice cloning completed", memory=True,
             logger=logger) as step,
    ):  # fmt: skip
        for line, spoken in narration.narrate(tts, groups, speakers, resumed.journal, resumed.pins.redo):
            delivery.add(line, spoken)
        step.note(segments=sum(len(group.lines) for group in groups), groups=len(groups), seed=resumed.pins.seed,
                  batch_size=settings.batch_size)
    record.finish()
    for cloned in delivery.done:
        logger.info("Output saved: %s, Duration: %.2fs", cloned.output, cloned.duration_s)
    tts.keep_layout()
    return delivery.done


# --- the command line ---------------------------------------------------------------------------------------


def _wanted(args: argparse.Namespace) -> Request:
    """What the flags say of every output."""
    output = args.output or str(latest_name(DEFAULT_OUTPUT) if args.redo else free_name(DEFAULT_OUTPUT))
    return Request("", tuple(args.voice), output, args.language or "", settings_of(args), not args.no_preprocess,
                   title=args.title, text_file=args.text_file)  # fmt: skip


def _speak_text(args: argparse.Namespace, messages: Messages) -> Outcome:
    """One text into one file, or a file for each of its chapters."""
    read = request_building.read_text(args.text, args.text_file, args.language, _stdin, text_stage.MAX_TEXT_BYTES)
    settings, log_dir = settings_of(args), log_folder(args.log_dir)
    with Terminal(messages, lambda cuts: clone_plans.expected(requests, cuts, settings, log_dir)) as terminal:
        requests = request_building.of_manuscript(read, _wanted(args), terminal, chapters=args.chapters)
        if args.dry_run:
            tasks, _ = admission.admit(requests, settings, terminal, alone=True, listens=args.play)
            left = [task.request for task in tasks.left if not task.delivered]
            return clone_results.planned(clone_plans.plan(left, settings, log_dir), messages)
        with playing(wanted=args.play) as hears:
            if len(requests) == 1:
                one = requests[0]
                clone_voice_simple(one.text, one.voice, one.output, one.language, one.preprocess, settings=settings,
                                   listener=terminal, hears=hears, like=one)  # fmt: skip
            else:
                clone_requests(requests, settings, terminal, hears=hears)
    return clone_results.outcome(terminal.clones, terminal, stage_clock().seconds())


def _speak_jobs(args: argparse.Namespace, messages: Messages) -> Outcome:
    """Every good line of a job file; the bad ones are listed, and then the exit code is 1."""
    jobs, bad = read_jobs(args.jobs, output_root=args.output_root, subtitles=args.subtitles)
    settings = settings_of(args)
    with Terminal(messages, jobs=args.jobs) as terminal:
        for line in bad:
            terminal.fail(line.line, line.message, line.hint)
        requests = request_building.of_jobs(jobs, _wanted(args), terminal)
        if args.dry_run:
            tasks, _ = admission.admit(requests, settings, terminal, alone=False, listens=False)
            return clone_results.planned_jobs(tasks, settings, terminal, log_folder(args.log_dir))
        clones = clone_requests(requests, settings, terminal, alone=False)
    return clone_results.jobs_outcome(clones, terminal, stage_clock().seconds())


def _stdin(most_bytes: int) -> bytes:
    return sys.stdin.buffer.read(most_bytes) if sys.stdin else b""


def _work(args: argparse.Namespace) -> Outcome:
    messages = Messages(quiet=args.quiet)
    if args.jobs:
        return _speak_jobs(args, messages)
    if args.text is not None or args.text_file is not None:
        return _speak_text(args, messages)
    from voicekit import housekeeping  # the doctor knows every package, and need not be loaded to speak

    if args.list_voices:
        return housekeeping.list_voices()
    if args.delete_voice is not None:
        return housekeeping.delete_voice(args.delete_voice, messages, dry_run=args.dry_run)
    if args.clear_cache:
        return housekeeping.clear_cache(messages, dry_run=args.dry_run)
    return housekeeping.check(log_folder(args.log_dir), args.model, messages, _small_clone, offline=args.offline)


def _small_clone(sample: Path, output: Path) -> None:
    """What `--check` ends with: some words from the tiny rehearsal model."""
    settings = CloneSettings(model="rehearsal-tiny", seed=1, overwrite=True)
    clone_voice_simple("One, two, three.", sample, output, settings=settings, listener=_Silent())


class _Silent(Listener):
    """Is told, and says nothing."""

    def warn(self, line: str) -> None:
        logger.debug("%s", line)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    check_usage(parser, args)
    return run_command(SCRIPT, argv, args, _work)


if __name__ == "__main__":
    raise SystemExit(interrupts.exit_code_of(main))
