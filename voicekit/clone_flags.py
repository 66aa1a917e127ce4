"""The flags of simple_voice_clone.py: what may be given, what belongs together, and the settings that they make.

Knows argparse and the values that are taken; nothing of how anything is done.
"""

from __future__ import annotations

import argparse
import re
import sys

from voicekit import checkpoint, profiles
from voicekit.cloning import RETRIES, CloneSettings
from voicekit.command_line import (
    add_common_flags,
    new_parser,
    number_between,
    positive_int,
    whole_between,
    whole_number,
)
from voicekit.errors import TextError, VoiceError
from voicekit.precision import PRECISIONS
from voicekit.standard_output import STDOUT
from voicekit.text import LANGUAGES, normalise_language
from voicekit.utterances import BATCH_SIZE
from voicekit.wav_format import WAV_FORMATS

SCRIPT = "simple_voice_clone"

EXAMPLES = """\
  python simple_voice_clone.py --text "Hello" --voice me.wav            # -> cloned_voice.wav
  python simple_voice_clone.py --text-file book.epub --voice me.m4a --voice more.wav -o book.mp3 --chapters
  echo "Hello" | python simple_voice_clone.py --text-file - --voice me.wav -o - | ffplay -
  python simple_voice_clone.py --text "Hello" --voice me.wav --save-voice me     # afterwards: --voice me
  python simple_voice_clone.py --jobs lines.jsonl                       # many texts and voices, one model
  python simple_voice_clone.py --text "Hello" --voice me.wav --model rehearsal-tiny    # try it without the model"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of this script."""
    parser = new_parser(SCRIPT, "Speak a text in the voice of a recording (Coqui XTTS v2).", EXAMPLES)
    _add_text_flags(parser)
    _add_voice_flags(parser)
    _add_output_flags(parser)
    _add_model_flags(parser)
    _add_sampling_flags(parser)
    add_common_flags(parser)
    return parser


def _add_text_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to do")
    what = group.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="speak this text")
    what.add_argument("--text-file", metavar="FILE", help="speak a file: .txt, .md, .srt, .vtt (at its times), .epub;"
                      " - reads stdin")
    what.add_argument("--jobs", metavar="FILE", help="speak many: a .jsonl or .csv with text or text_file, voice,"
                      " output, language and settings a line; results go to FILE.results.jsonl beside it")
    what.add_argument("--list-voices", action="store_true", help="say which voices are saved")
    what.add_argument("--delete-voice", metavar="NAME", help="delete a saved voice")
    what.add_argument("--clear-cache", action="store_true",
                      help="delete journals, remembered voices and kept weights (never saved voices, never the model)")
    what.add_argument("--check", action="store_true", help="test the installation piece by piece, and say what to do")
    group.add_argument("-l", "--language", type=_language, metavar="CODE",
                       help=f"language of the text: {', '.join(LANGUAGES)} (default: the book's own, or en)")
    group.add_argument("--lexicon", metavar="FILE", help="pronunciations: a line each, word = how it is spoken")
    group.add_argument("--chapters", action="store_true", help="a file for each chapter: book-01.mp3, book-02.mp3, ...")
    group.add_argument("--redo", type=positive_int, metavar="N",
                       help="speak segment N of this command's last run again, keep the others, replace the file")


def _add_voice_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the voice")
    group.add_argument("--voice", metavar="FILE|NAME", action="append", default=[],
                       help="a recording, 6 to 30 s of clear speech (repeatable: all of them count), or the name of a"
                       " saved voice")
    group.add_argument("--no-preprocess", action="store_true", help="take the samples as they are")
    group.add_argument("--save-voice", metavar="NAME", type=_voice_name, help="keep the voice under this name")
    group.add_argument("--consent", metavar="TEXT", help="a note on what the speaker agreed to, kept with the voice")


def _add_output_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the result")
    group.add_argument("-o", "--output", metavar="FILE", help="its ending says how: .wav, .flac, .mp3, .ogg, .opus,"
                       " .m4a, .aac; - streams a WAV to stdout (default: cloned_voice.wav, or the next free name)")
    group.add_argument("--output-root", metavar="DIR", help="where the outputs of --jobs go, and never outside of it")
    group.add_argument("--subtitles", choices=("srt", "vtt"), help="write them beside the output")
    group.add_argument("--sample-rate", type=whole_between(8_000, 192_000), metavar="HZ", help="(default: 24000)")
    group.add_argument("--wav-format", choices=WAV_FORMATS, default=WAV_FORMATS[0],
                       help=f"of .wav and .flac (default: {WAV_FORMATS[0]})")
    group.add_argument("--gap", type=number_between(0, 10), metavar="SECONDS",
                       help="silence between sentences (default: 0.25; that of paragraphs is 2.4 times as long)")
    group.add_argument("--title", metavar="TEXT", help="for the file's tags (default: the book's)")
    group.add_argument("--no-metadata", action="store_true", help="do not write into the file how it was made")
    group.add_argument("--play", action="store_true", help="play it as it comes (needs the package sounddevice)")
    group.add_argument("--verify", action="store_true",
                       help="let a recogniser listen, and name the words that are missing (needs faster-whisper)")


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the model")
    group.add_argument("--model", default=checkpoint.RELEASED, metavar="NAME|DIR",
                       help="xtts_v2 (1.9 GB, downloaded once), a folder of an XTTS v2 model, or rehearsal and"
                       " rehearsal-tiny, which are untrained: they speak noise at true speed (default: xtts_v2)")
    group.add_argument("--device", default="auto", type=_device, help="auto, cpu, cuda, cuda:N, mps (default: auto)")
    group.add_argument("--precision", default="auto", choices=PRECISIONS,
                       help="of the GPT's layers (default: auto, the fastest here; float32 is exact)")
    group.add_argument("--batch-size", type=whole_between(1, 256), default=BATCH_SIZE, metavar="N",
                       help="segments spoken together, 1 to 256: more are faster and need more memory"
                       f" (default: {BATCH_SIZE})")
    group.add_argument("--offline", action="store_true", help="never touch the network")
    group.add_argument("--accept-license", action="store_true",
                       help="accept the model's licence (CPML: non-commercial)")


def _add_sampling_flags(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how it is spoken (defaults: the checkpoint's own config.json)")
    how.add_argument("--seed", type=_seed, metavar="N",
                     help="the same seed gives the same file (default: drawn, and told)")
    how.add_argument("--temperature", type=_temperature, metavar="T", help="0 is greedy (released: 0.75)")
    how.add_argument("--top-k", type=positive_int, metavar="K", help="(released: 50)")
    how.add_argument("--top-p", type=number_between(0.01, 1), metavar="P", help="(released: 0.85)")
    how.add_argument("--repetition-penalty", type=number_between(0.1, 100), metavar="R", help="(released: 5.0)")
    how.add_argument("--speed", type=number_between(0.5, 2), metavar="S",
                     help="0.5 to 2, as XTTS itself speaks faster or slower (default: 1)")
    how.add_argument("--tempo", type=number_between(0.5, 2), default=1.0, metavar="T",
                     help="0.5 to 2, of the finished sound, its pitch kept (default: 1)")
    how.add_argument("--retries", type=whole_between(0, 10), metavar="N",
                     help=f"more takes of a segment that loops, babbles, or is too long (default: {RETRIES})")


def _language(code: str) -> str:
    try:
        return normalise_language(code)
    except TextError as error:
        raise argparse.ArgumentTypeError(f"{error.message} {error.hint}") from error


def _voice_name(name: str) -> str:
    try:
        return profiles.checked_name(name)
    except VoiceError as error:
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


def _seed(text: str) -> int:
    value = whole_number(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError("must be from 0 to 2**63 - 1")
    return value


def check_usage(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """What argparse cannot say of flags that belong together; exits with 2."""
    speaks = args.text is not None or args.text_file is not None
    streams = args.output == STDOUT
    wrong = [
        ("an empty name was given for --output or --model", args.output == "" or args.model == ""),
        ("--voice is needed: a recording of the voice, or the name of a saved one", speaks and not args.voice),
        ("--output is for one text; with --jobs each line names its own", args.jobs and args.output),
        ("--voice is for one text; with --jobs each line names its own", args.jobs and args.voice),
        ("--save-voice belongs to one text, not to --jobs", args.jobs and args.save_voice),
        ("--output-root belongs to --jobs", args.output_root and not args.jobs),
        ("--chapters writes several files, so it needs a name: --output FILE",
         args.chapters and args.output in (None, STDOUT)),
        ("--chapters belongs to --text-file", args.chapters and not args.text_file),
        ("--redo belongs to one text in one file", args.redo and (args.chapters or not speaks or streams)),
        ("--redo draws another take, and with --temperature 0 there is only one", args.redo and args.temperature == 0),
        ("--consent is kept with a voice: --save-voice NAME", args.consent is not None and args.save_voice is None),
        ("--save-voice keeps the voice of a recording: --voice FILE", args.save_voice and not args.voice),
        ("--subtitles are written beside a file, not beside stdout", args.subtitles and streams),
        ("--json and -o - both want stdout: choose one", args.json and streams),
        ("-o - writes a WAV to stdout, which is closed or a terminal: redirect it or pipe it",
         streams and (sys.stdout is None or sys.stdout.isatty())),
    ]  # fmt: skip
    for message, is_so in wrong:
        if is_so:
            parser.error(message)


def settings_of(args: argparse.Namespace) -> CloneSettings:
    """The settings that the flags make."""
    return CloneSettings(
        model=args.model, device=args.device, precision=args.precision, seed=args.seed, temperature=args.temperature,
        top_k=args.top_k, top_p=args.top_p, repetition_penalty=args.repetition_penalty, speed=args.speed,
        tempo=args.tempo, offline=args.offline, accept_license=args.accept_license, overwrite=args.force,
        threads=args.threads, batch_size=args.batch_size, retries=args.retries, gap_s=args.gap, lexicon=args.lexicon,
        sample_rate=args.sample_rate, wav_format=args.wav_format, subtitles=args.subtitles,
        metadata=not args.no_metadata, verify=args.verify, redo=args.redo, save_voice=args.save_voice,
        consent=args.consent,
    )  # fmt: skip
