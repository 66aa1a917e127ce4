#!/usr/bin/env python3
"""Speak a text in the voice of a recording: XTTS v2, on this machine, from the command line.

The data flow, top to bottom: samples are preprocessed, the model is loaded and conditioned on the
voice, the text is cut into segments, each is spoken, and the pieces are joined and written.
The craft of each stage lies in `voicekit`; this file is its table of contents.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from logger_config import log_torch_info, span, stage_clock, timed
from voicekit import (
    checkpoint,
    joining,
    loading,
    machine,
    private_text,
    quality,
    rehearsal,
    restoration,
    tts_model,
    verdict,
)
from voicekit import text as text_stage
from voicekit.assessment import FAIR_SCORE, assess
from voicekit.audio import (
    Audio,
    check_output_path,
    free_name,
    is_silent,
    mean_channels,
    read_part,
    read_recording,
    resample,
    resample_like_coqui,
    to_mono,
    wav_bytes,
    write_audio,
)
from voicekit.audio_state import changes, state
from voicekit.cloning import Cloned, CloneSettings, Listener, spoken_segments
from voicekit.command_line import (
    Messages,
    Outcome,
    Progress,
    abandon_stdout,
    add_common_flags,
    new_parser,
    number_between,
    positive_int,
    run_command,
    whole_number,
)
from voicekit.errors import AudioError, OutputError, TextError
from voicekit.log_values import size
from voicekit.measurement import HEARD_S, measure_cheaply
from voicekit.memory import MB
from voicekit.precision import PRECISIONS

SCRIPT = "simple_voice_clone"
logger = logging.getLogger(SCRIPT)

SAMPLE_RATE_HZ = tts_model.CONDITIONING_RATE_HZ
TARGET_LUFS = -20.0
MAX_TRUE_PEAK_DBTP = -3.0
SHORT_SAMPLE_S = 6.0  # the model card's clip length; 3 s is audibly worse
STDIN = STDOUT = "-"


@timed
def preprocess_audio_for_best_quality(speaker_audio: str | Path, output_path: str | Path | None = None) -> str:
    """Make a voice sample fit for XTTS: mono, 22,050 Hz, trimmed, evened out, -20 LUFS.

    Args:
        speaker_audio: the recording, any common format.
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
            recording = read_recording(speaker_audio)
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
) -> str:
    """Speak a text in the voice of one or several samples.

    Args:
        text: what is spoken; any length, cut into segments that XTTS can take.
        speaker_audio: a recording of the voice, or several; all of them count.
        output_file: the result, in the format that its ending names; "-" is stdout.
        language: one of XTTS's 17 (`voicekit.text.LANGUAGES`; zh is zh-cn).
        preprocess: make the samples fit first; False only decodes them to mono at 22,050 Hz.
        settings: model, device and sampling.
        listener: is told of progress and gets the whole result (`Cloned`).

    Returns:
        Path of the generated audio: 24 kHz mono, "-" for stdout.

    Raises:
        VoiceError: see voicekit.errors; whatever can be checked is checked before anything slow starts.
    """
    language = text_stage.normalise_language(language)
    spoken_text = text_stage.clean(text)
    for private in (text, spoken_text):
        private_text.register(private)
    samples = _sample_paths(speaker_audio)
    output = _checked_output(output_file, settings.overwrite, samples)
    if shortage := machine.low_disk(Path(output).parent):
        listener.warn(shortage)
    text_stage.segments(spoken_text, language, count_tokens=len)  # refuses now what no segment can hold
    if settings.model not in (*rehearsal.NAMES, checkpoint.RELEASED):
        checkpoint.from_folder(Path(settings.model))

    with tempfile.TemporaryDirectory(prefix="voice-cloning-") as scratch:
        with span("Preprocess", stage="preprocess") as step:
            heard = [_hear(path, preprocess, Path(scratch) / f"sample_{i}.wav", listener)
                     for i, path in enumerate(samples, 1)]
            step.count(sample_s=sum(audio.duration_s for audio in heard))
    with span("Find the model", done="Model found", stage="load_model") as step:
        weights = _find_checkpoint(settings, listener)
        step.note(model=weights.name, file=size(weights.weights.stat().st_size / MB))
        loading.read_ahead(weights.weights)
    with span("Import", done="Packages imported", stage="import", memory=True):
        tts_model.import_packages(settings.threads)
        log_torch_info(logger)
    tts = _load_model(weights, settings, listener)
    wanted = _speech_settings(tts, language, settings)
    with span("Condition", done="Voice conditioned", stage="condition_voice") as step:
        voice = tts.condition(heard, tts.voice_settings())
        step.note(samples=len(heard))
        step.count(heard_s=voice.heard_s)
    with span("Split", done="Text split", stage="preprocess") as step:
        segments = text_stage.segments(
            spoken_text, language, lambda piece: tts.count_tokens(piece, language), settings.batch_size
        )
        step.count(text_length=len(spoken_text), segments=len(segments))
    speech = _speak(tts, segments, voice, language, wanted, settings.batch_size, listener)
    with span("Write", done="Audio written", stage="write") as step:
        audio, placed = joining.join([part.audio for part in speech], [segment.gap_s for segment in segments])
        _write(audio, output, settings.overwrite)
        step.note(**state(audio))
        step.count(audio_s=audio.duration_s)
    listener.done(
        Cloned(output, audio.duration_s, audio.sample_rate, language, tts.device.name, tts.precision, wanted.seed,
               weights.name, spoken_segments(speech, placed))
    )
    return output


def _sample_paths(speaker_audio: str | Path | Sequence[str | Path]) -> list[str | Path]:
    paths = [speaker_audio] if isinstance(speaker_audio, (str, Path)) else list(speaker_audio)
    if not paths:
        raise AudioError("No voice sample was given.", "Give a recording of the voice with --voice FILE.")
    for path in paths:
        if not os.path.exists(path):
            raise AudioError(f"There is no file {str(path)!r}.", "Check the name and the folder.")
    return paths


def _checked_output(output_file: str | Path, overwrite: bool, samples: Sequence[str | Path]) -> str:
    """The output as text; a place that can be written, and never a sample: recordings cannot be made again."""
    output = str(output_file)
    if output == STDOUT:
        return output
    try:
        check_output_path(output, overwrite)
    except OSError as error:
        raise OutputError(f"{output[:60]!r} is no usable name: {error.strerror}.", "Choose another one.") from error
    if any(os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output) for path in samples):
        raise OutputError(f"The output {output!r} is the voice sample itself.", "Choose another name.")
    return output


def _hear(path: str | Path, preprocess: bool, scratch_file: Path, listener: Listener) -> Audio:
    """One sample as mono at 22,050 Hz; without preprocessing exactly as coqui decodes it."""
    if preprocess:
        audio = mean_channels(read_recording(preprocess_audio_for_best_quality(path, scratch_file)))
    else:
        with span("Decode", done="Sample decoded"):
            audio = resample_like_coqui(mean_channels(read_recording(path)), SAMPLE_RATE_HZ)
        _refuse_silence(audio, path)
    judged = assess(measure_cheaply(read_part(path, 0.0, HEARD_S)))
    listener.note(f"Sample: {Path(path).name}, {audio.duration_s:.1f} s{' prepared' if preprocess else ''},"
                  f" {verdict.one_line(judged)}")
    if judged.score < FAIR_SCORE:
        listener.warn(f"The sample {Path(path).name} is {judged.verdict}: improve_voice_sample.py says why, and may"
                      " make a better one of it.")
    if audio.duration_s < SHORT_SAMPLE_S:
        listener.warn(
            f"The sample {Path(path).name} is short ({audio.duration_s:.1f} s): 6 to 30 seconds of speech clone better."
        )
    return audio


def _find_checkpoint(settings: CloneSettings, listener: Listener) -> checkpoint.Checkpoint:
    if settings.model in rehearsal.NAMES:
        listener.note(f"Model: {settings.model} is untrained: what it speaks is NOISE, only speed and memory are real.")
        if not rehearsal.is_complete(rehearsal.folder_of(settings.model), settings.model):
            listener.note("Model: it is built once, and verified: seconds for the tiny one, minutes for the full size.")
        return checkpoint.from_folder(rehearsal.ensure(settings.model), name=settings.model, trained=False)
    found = checkpoint.resolve(
        settings.model, offline=settings.offline,
        licence_accepted=lambda: checkpoint.licence_accepted(settings.accept_license, listener.confirm),
    )
    if found.licence_url:
        listener.note(f"Licence: non-commercial, for what is spoken too; pass it on with the file: {found.licence_url}")
    return found


def _load_model(weights: checkpoint.Checkpoint, settings: CloneSettings, listener: Listener) -> tts_model.TTSModel:
    # The float32 weights are mapped, so that the kernel can drop them; conditioning and decoding need 0.8 GB more.
    if shortage := machine.low_memory(weights.weights.stat().st_size / MB + 800):
        listener.warn(shortage)
    with span("Model loading", started="Model loading started", done="Model loaded", stage="load_model",
              memory=True, logger=logger) as step:
        tts = tts_model.TTSModel.load(weights, settings.device, settings.precision)
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


def _speech_settings(tts: tts_model.TTSModel, language: str, settings: CloneSettings) -> tts_model.SpeechSettings:
    """The one record of all sampling values: the checkpoint's, with the user's in their place."""
    if language not in tts.languages:
        raise TextError(f"This model does not speak '{language}'.", f"It speaks {', '.join(tts.languages)}.")
    wanted = tts.speech_settings(
        seed=secrets.randbelow(2**31) if settings.seed is None else settings.seed,
        temperature=settings.temperature, top_k=settings.top_k, top_p=settings.top_p,
        repetition_penalty=settings.repetition_penalty, speed=settings.speed,
    )
    logger.info("Configuration: %s, %s", wanted, tts.voice_settings())
    return wanted


def _speak(
    tts: tts_model.TTSModel,
    segments: Sequence[text_stage.Segment],
    voice: tts_model.Voice,
    language: str,
    wanted: tts_model.SpeechSettings,
    batch_size: int,
    listener: Listener,
) -> list[tts_model.Speech]:
    """Every segment, in order."""
    spoken: list[tts_model.Speech] = []
    with span("Voice cloning", started="Voice cloning started", done="Voice cloning completed", memory=True,
              logger=logger) as step:
        for speech in tts.speak([segment.text for segment in segments], voice, language, wanted, batch_size):
            spoken.append(speech)
            listener.spoken(speech, len(segments))
            if not speech.stopped:
                listener.warn(f"Segment {speech.index + 1} reached the model's ceiling of {speech.codes} codes:"
                              " it may be cut off.")
        step.note(segments=len(spoken), seed=wanted.seed, batch_size=batch_size)
    return spoken


def _write(audio: Audio, output: str, overwrite: bool) -> None:
    if output == STDOUT:
        try:
            sys.stdout.buffer.write(wav_bytes(audio))
            sys.stdout.buffer.flush()
        except OSError as error:
            abandon_stdout()
            reason = f"The audio cannot be written to stdout: {error.strerror}."
            raise OutputError(reason, "Check the command behind the pipe.") from error
    else:
        write_audio(audio, output, overwrite=overwrite)
    logger.info("Output saved: %s, Duration: %.2fs", output, audio.duration_s)


# --- the command line ---------------------------------------------------------------------------------------

EXAMPLES = """\
  python simple_voice_clone.py --text "Hello" --voice me.wav            # -> cloned_voice.wav
  python simple_voice_clone.py --text-file chapter.txt --voice me.m4a --voice more.wav -o chapter.flac
  echo "Hello" | python simple_voice_clone.py --text-file - --voice me.wav -o - | ffplay -
  python simple_voice_clone.py --text "Hello" --voice me.wav --model rehearsal-tiny    # try it without the model"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of this script."""
    parser = new_parser(SCRIPT, "Speak a text in the voice of a recording (Coqui XTTS v2).", EXAMPLES)
    what = parser.add_argument_group("what to speak, and in whose voice")
    spoken = what.add_mutually_exclusive_group(required=True)
    spoken.add_argument("--text", help="the text")
    spoken.add_argument("--text-file", metavar="FILE", help="a UTF-8 text file; - reads stdin")
    what.add_argument("--voice", metavar="FILE", action="append", required=True,
                      help="a recording of the voice, 6 to 30 s of clear speech (repeatable: all of them count)")
    what.add_argument("-o", "--output", metavar="FILE", help="the result, by its ending; - writes a WAV to stdout"
                      " (default: cloned_voice.wav, or the next free name)")
    what.add_argument("-l", "--language", default="en", type=_language, metavar="CODE",
                      help=f"language of the text: {', '.join(text_stage.LANGUAGES)} (default: en)")
    what.add_argument("--no-preprocess", action="store_true", help="take the samples as they are")
    model = parser.add_argument_group("the model")
    model.add_argument("--model", default=checkpoint.RELEASED, metavar="NAME|DIR",
                       help="xtts_v2 (1.9 GB, downloaded once), a folder of an XTTS v2 model, or rehearsal and"
                       " rehearsal-tiny, which are untrained: they speak noise at true speed (default: xtts_v2)")
    model.add_argument("--device", default="auto", type=_device, help="auto, cpu, cuda, cuda:N, mps (default: auto)")
    model.add_argument("--precision", default="auto", choices=PRECISIONS,
                       help="of the GPT's layers (default: auto, the fastest here; float32 is exact)")
    model.add_argument("--batch-size", type=_batch_size, default=tts_model.BATCH_SIZE, metavar="N",
                       help="segments spoken together, 1 to 256: more are faster and need more memory"
                       f" (default: {tts_model.BATCH_SIZE})")
    model.add_argument("--offline", action="store_true", help="never touch the network")
    model.add_argument("--accept-license", action="store_true",
                       help="accept the model's licence (CPML: non-commercial)")
    _add_sampling_flags(parser)
    add_common_flags(parser)
    return parser


def _add_sampling_flags(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how it is spoken (defaults: the checkpoint's own config.json)")
    how.add_argument("--seed", type=_seed, metavar="N",
                     help="the same seed gives the same file (default: drawn, and told)")
    how.add_argument("--temperature", type=_temperature, metavar="T", help="0 is greedy (released: 0.75)")
    how.add_argument("--top-k", type=positive_int, metavar="K", help="(released: 50)")
    how.add_argument("--top-p", type=number_between(0.01, 1), metavar="P", help="(released: 0.85)")
    how.add_argument("--repetition-penalty", type=number_between(0.1, 100), metavar="R", help="(released: 5.0)")
    how.add_argument("--speed", type=number_between(0.5, 2), metavar="S", help="0.5 to 2 (default: 1)")


def _language(code: str) -> str:
    try:
        return text_stage.normalise_language(code)
    except TextError as error:
        raise argparse.ArgumentTypeError(f"{error.message} {error.hint}") from error


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name):
        raise argparse.ArgumentTypeError(f"'{name}' is none of auto, cpu, cuda, cuda:N, mps")
    return name


def _temperature(text: str) -> float:
    value = number_between(0, 10)(text)
    if 0 < value < 0.001:
        raise argparse.ArgumentTypeError("must be 0 (greedy), or from 0.001 to 10")
    return value


def _batch_size(text: str) -> int:
    value = whole_number(text)
    if not 1 <= value <= 256:
        raise argparse.ArgumentTypeError("must be from 1 to 256")
    return value


def _seed(text: str) -> int:
    value = whole_number(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError("must be from 0 to 2**63 - 1")
    return value


class _Terminal(Listener):
    """Tells a person, and keeps the result for the command."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._progress = Progress(messages, "Segment")
        self.warnings: list[str] = []
        self.cloned: Cloned | None = None

    def note(self, line: str) -> None:
        self._messages.say(line)

    def warn(self, line: str) -> None:
        self.warnings.append(line)
        super().warn(line)

    def confirm(self, question: str) -> bool:
        return self._messages.confirm(question)

    def spoken(self, speech: tts_model.Speech, total: int) -> None:
        self._progress.advance(total, f"{speech.audio.duration_s:.1f} s of speech")

    def done(self, cloned: Cloned) -> None:
        self.cloned = cloned

    def close(self) -> None:
        self._progress.close()


def _settings(args: argparse.Namespace) -> CloneSettings:
    return CloneSettings(
        model=args.model, device=args.device, precision=args.precision, seed=args.seed, temperature=args.temperature,
        top_k=args.top_k, top_p=args.top_p, repetition_penalty=args.repetition_penalty, speed=args.speed,
        offline=args.offline, accept_license=args.accept_license, overwrite=args.force, threads=args.threads,
        batch_size=args.batch_size,
    )


def _text(args: argparse.Namespace) -> str:
    if args.text_file == STDIN:
        data = sys.stdin.buffer.read(text_stage.MAX_TEXT_BYTES + 1) if sys.stdin else b""
        return text_stage.decode_text(data, "stdin")
    return str(args.text) if args.text_file is None else text_stage.read_text(args.text_file)


def _work(args: argparse.Namespace) -> Outcome:
    messages = Messages(quiet=args.quiet)
    output = args.output or str(free_name("cloned_voice.wav"))
    text, settings = _text(args), _settings(args)
    if args.dry_run:
        return _plan(text, args, output, messages)
    terminal = _Terminal(messages)
    try:
        path = clone_voice_simple(text, args.voice, output, args.language, not args.no_preprocess,
                                  settings=settings, listener=terminal)
    finally:
        terminal.close()
    assert terminal.cloned is not None  # done() comes before the return
    result = _as_json(terminal.cloned, terminal.warnings)
    messages.say(f"Spoke {result['duration_s']:.1f} s in {len(result['segments'])} segments,"
                 f" {result['rtf']:.2f} s of work for a second of speech, seed {result['seed']}")
    return 0, result, "" if path == STDOUT else path


def _as_json(cloned: Cloned, warnings: Sequence[str]) -> dict[str, Any]:
    """The fields of the JSON result; `rtf` is generate and vocode over the audio's length."""
    spent = stage_clock().seconds()
    synthesis_s = spent.get("generate", 0.0) + spent.get("vocode", 0.0)
    result = asdict(cloned)
    return {
        **result, "duration_s": round(cloned.duration_s, 3), "rtf": round(synthesis_s / cloned.duration_s, 3),
        "warnings": list(warnings),
    }


def _plan(text: str, args: argparse.Namespace, output: str, messages: Messages) -> Outcome:
    """What a run would do: everything is checked that needs neither the model nor the network."""
    _checked_output(output, args.force, args.voice)
    segments = text_stage.segments(text, args.language, count_tokens=len, batch_size=args.batch_size)
    for path in args.voice:
        audio = to_mono(read_recording(path))
        _refuse_silence(audio, path)
        messages.say(f"Sample: {Path(path).name}, {audio.duration_s:.1f} s")
    where = _model_state(args.model)
    messages.say(f"Model: {args.model} ({where})")
    messages.say(f"Text: {len(text)} characters, about {len(segments)} segments, language {args.language}")
    messages.say(f"Output: {output} (nothing was written)")
    result = {"dry_run": True, "output": output, "model": args.model, "model_state": where,
              "language": args.language, "segment_count": len(segments)}
    return 0, result, "" if output == STDOUT else output


def _model_state(model: str) -> str:
    if model in rehearsal.NAMES:
        return "here" if rehearsal.is_complete(rehearsal.folder_of(model), model) else "would be built first"
    if model == checkpoint.RELEASED:
        return "here" if checkpoint.find_released() else "would be downloaded first, 1.9 GB"
    checkpoint.from_folder(Path(model))
    return "here"


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.output == "" or args.model == "":
        parser.error("an empty name was given for --output or --model")
    if args.output == STDOUT:
        if args.json:
            parser.error("--json and -o - both want stdout: choose one")
        if sys.stdout is None or sys.stdout.isatty():
            parser.error("-o - writes a WAV to stdout, which is closed or a terminal: redirect it or pipe it")
    return run_command(SCRIPT, argv, args, _work)


if __name__ == "__main__":
    raise SystemExit(main())
