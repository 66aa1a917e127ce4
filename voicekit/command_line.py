"""What the command lines of both scripts share: common flags, messages for people, one door for errors.

stdout carries only the result; everything said to people goes to stderr. Errors become exit codes
here and nowhere else. This module knows nothing of voices.

What people read comes here, and so do names and messages that a stranger chose: a control character in them is
shown as an escape, so that none moves the cursor, sets the terminal's title or forges a line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from logger_config import memory_snapshot, run, setup_logging
from voicekit import __version__
from voicekit.errors import OutputError, VoiceError
from voicekit.eta import Eta
from voicekit.log_lines import escape, shorten_home
from voicekit.memory_shortage import shortage
from voicekit.stage_clock import Stopwatch
from voicekit.standard_output import abandon_stdout

SCHEMA = 1  # of the JSON results
STAGES = ("import", "preprocess", "load_model", "condition_voice", "generate", "vocode", "write")


def new_parser(script: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """A parser whose help begins with examples; its own flags are to be added, then `add_common_flags`."""
    return _Parser(
        prog=f"{script}.py",
        usage=f"%(prog)s [options]\n\nexamples:\n{examples}\n\n{summary}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a flag added later must not change what a shortened one means
    )


class _Parser(argparse.ArgumentParser):
    """Quotes what was given, and shows its control characters."""

    def error(self, message: str) -> NoReturn:
        super().error(escape(message))


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that both scripts have."""
    group = parser.add_argument_group("output and logs")
    group.add_argument("--json", action="store_true", help="print one JSON object instead of the path")
    group.add_argument("--force", action="store_true", help="overwrite an existing output")
    group.add_argument("--dry-run", action="store_true", help="check everything, say the plan, write nothing")
    group.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads (default and most: one a core)")
    group.add_argument("--log-dir", metavar="DIR", help="folder of the logs (default: logs/ beside the script)")
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    loudness.add_argument("-v", "--verbose", action="store_true", help="show the log's steps")
    loudness.add_argument("--debug", action="store_true", help="show and log everything, tracebacks included")
    group.add_argument("--version", action="version", version=f"%(prog)s {__version__}")


def positive_int(text: str) -> int:
    """An argparse type: a whole number of 1 or more."""
    value = whole_number(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def whole_number(text: str) -> int:
    """An argparse type: any whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from None


def whole_between(low: int, high: int) -> Callable[[str], int]:
    """An argparse type: a whole number of a closed range."""

    def number(text: str) -> int:
        value = whole_number(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be from {low} to {high}")
        return value

    return number


def number_between(low: float, high: float) -> Callable[[str], float]:
    """An argparse type: a number of a closed range; NaN is none."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be from {low:g} to {high:g}")
        return value

    return number


class Messages:
    """What people read while a command runs, on stderr."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet, self.stream = quiet, stream or sys.stderr or io.StringIO()  # no stderr: nobody reads

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked: both ends are a terminal."""
        return self.stream.isatty() and sys.stdin is not None and sys.stdin.isatty()

    def say(self, line: str) -> None:
        """Say a line, unless quiet."""
        if not self.quiet:
            self.error(line)

    def error(self, line: str) -> None:
        """Say a line, quiet or not. A reader who has gone is no reason to stop the work."""
        with contextlib.suppress(OSError):
            print(escape(line), file=self.stream, flush=True)

    def working(self, what: str) -> None:
        """Show on a terminal what is being done, in a line that the next one replaces; "" takes it away."""
        if not self.quiet and self.stream.isatty():
            with contextlib.suppress(OSError):
                print(f"\r\033[K{escape(what)}", end="", file=self.stream, flush=True)

    def confirm(self, question: str) -> bool:
        """Ask for a yes, in one line or several; False where nobody can be asked."""
        if not self.interactive:
            return False
        print(f"{_visible(question)} [y/N] ", end="", file=self.stream, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")


class Progress:
    """How far a list of pieces is, and how long it will still take: a bar on a terminal, a line a piece elsewhere."""

    def __init__(self, messages: Messages, what: str) -> None:
        self._messages, self._what = messages, what
        self._bar: Any = None

    def begin(self, pieces: int, amount: float, expected_s: float | None) -> None:
        """So many pieces are to be done, of so much work in all (characters, say), expected to take so long."""
        self._pieces, self._done = pieces, 0
        self._eta = Eta(max(1.0, amount), expected_s, time.monotonic)
        if self._messages.stream.isatty() and not self._messages.quiet:
            self._bar = self._new_bar()

    def advance(self, amount: float, detail: str) -> None:
        """One piece, of so much work, is done."""
        self._done += 1
        left = _duration(self._eta.advance(amount))
        if self._bar is None:
            rest = f", {left} left" if left else ""
            self._messages.say(f"{self._what} {self._done} of {self._pieces}: {detail}{rest}")
        else:
            self._bar.update(self._bar.task_ids[0], advance=1, left=left)

    def _new_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = TextColumn(self._what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
        bar = Bar(*columns, console=Console(file=self._messages.stream), transient=True)
        bar.add_task(self._what, total=self._pieces, left=_duration(self._eta.remaining_s()))
        bar.start()
        return bar

    def close(self) -> None:
        """Take the bar away; needed after an error too."""
        if self._bar is not None:
            self._bar.stop()


def _visible(lines: str) -> str:
    """Several lines, with every other control character as an escape."""
    return "\n".join(map(escape, lines.split("\n")))


def _duration(seconds: float | None) -> str:
    """As people say it: 40 s, 3 min, 1 h 20 min; nothing where nobody knows."""
    if seconds is None or seconds < 0.5:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


# What a command's work gives back: the exit code, the JSON object, the line for stdout ("" for none).
Outcome = tuple[int, dict[str, Any], str]


def run_command(
    script: str,
    argv: list[str] | None,
    args: argparse.Namespace,
    work: Callable[[argparse.Namespace], Outcome],
    *,
    stages: Sequence[str] = STAGES,
) -> int:
    """Set up logging, work, and say the result: the life of a command after its flags are parsed.

    Args:
        script: its name without .py.
        argv: the arguments; None means the process's own, and times count from the process's start.
        args: the parsed flags, those of `add_common_flags` among them.
        work: does the job; raises VoiceError for what the user can mend.
        stages: the parts of `timings_s`; the first one is the rest that belongs to no other.

    Returns:
        The exit code (see voicekit.errors; 2 is argparse's own; 130 Ctrl-C, 143 SIGTERM).
    """
    _utf8_streams()
    messages = Messages(quiet=args.quiet)
    log_dir = setup_logging(
        args.log_dir,
        console_level=_console_level(args),
        file_level=logging.DEBUG if args.debug else None,
    )
    with _signals_exit(), run(script, argv, log_dir=log_dir, since_process_start=argv is None) as this_run:
        rest = Stopwatch(script, stage=stages[0], memory=False)  # counts what belongs to no other stage
        rest.start()
        try:
            code, result, line = work(args)
            rest.stop()
            this_run.exit_code = code
            if code:  # something could not be done, and was told of; the rest was done
                messages.error(f"       Log: {_log_place(log_dir)}, run {this_run.run_id}")
            told = {**result, "settings": _work_settings(args)}
            this_run.record(**{key: value for key, value in told.items() if key in _FOR_HISTORY})
            _print_result(_completed(result, this_run, stages) if args.json else None, line)
        except BaseException as error:  # the one door: whatever it is becomes a message and an exit code
            rest.stop()
            _report(shortage(error) or error, this_run, messages, log_dir, as_json=args.json)
    return this_run.exit_code


# No warnings here: they name files.
_FOR_HISTORY = ("model", "device", "precision", "rtf", "language", "seed", "batch_size", "reused", "dry_run",
                "settings")  # fmt: skip

# Settings that change how much work a run is (voicekit.run_records compares by them): choices and numbers, no names.
_WORK_SETTINGS = ("denoise", "speed", "tempo", "sample_rate")


def _work_settings(args: argparse.Namespace) -> dict[str, str | float]:
    """Of the output only the format, if it is one, or - for stdout: the rest is somebody's name."""
    given = {name: getattr(args, name, None) for name in _WORK_SETTINGS}
    output = getattr(args, "output", None) or ""
    given["format"] = output if output == "-" else _format(Path(output).suffix.lower())
    return {name: value for name, value in given.items() if value is not None}


def _format(suffix: str) -> str | None:
    from voicekit.audio_encoders import FFMPEG_FORMATS, OWN_FORMATS

    return suffix if suffix in (*OWN_FORMATS, *FFMPEG_FORMATS) else None


def _console_level(args: argparse.Namespace) -> int | None:
    """What the flags ask for; None leaves it to the environment."""
    chosen = {"quiet": logging.ERROR, "verbose": logging.INFO, "debug": logging.DEBUG}
    return next((level for flag, level in chosen.items() if getattr(args, flag)), None)


def _completed(result: dict[str, Any], this_run: run, stages: Sequence[str]) -> dict[str, Any]:
    """The result with what is known only at the end: times by stage, peak memory, the run's name."""
    spent = this_run.clock.seconds()
    timings = {stage: round(spent.get(stage, 0.0), 3) for stage in stages}
    return {
        "schema": SCHEMA,
        "status": "error" if this_run.exit_code else "ok",
        **result,
        "timings_s": {**timings, "total": round(this_run.clock.total(), 3)},
        "memory_mb": {"peak_rss": round(memory_snapshot().peak_rss_mb, 1)},
        "run_id": this_run.run_id,
    }


def _print_result(result: dict[str, Any] | None, line: str) -> None:
    text = json.dumps(result, allow_nan=False) if result is not None else line  # ASCII: valid in any encoding
    if not text:
        return
    try:
        at_terminal = sys.stdout is not None and sys.stdout.isatty()
        print(_visible(text) if at_terminal else text, flush=True)  # a program needs the name as it is
    except OSError as error:
        abandon_stdout()
        raise OutputError(f"The result cannot be written to stdout: {error.strerror}.", "The work is done.") from error


def _report(error: BaseException, this_run: run, messages: Messages, log_dir: Path | None, *, as_json: bool) -> None:
    this_run.fail(error)
    if isinstance(error, KeyboardInterrupt):
        messages.error("")  # the terminal shows ^C
        messages.error("Interrupted.")
        return
    if isinstance(error, SystemExit):
        return
    if isinstance(error, VoiceError):
        message, hint = error.message, error.hint
    else:
        message, hint = f"Internal error: {type(error).__name__}: {error}", "This is a defect; the log has the details."
    messages.error(f"Error: {message}")
    if hint:
        messages.error(f"       {hint}")
    messages.error(f"       Log: {_log_place(log_dir)}, run {this_run.run_id}")
    if as_json:
        told = {"type": type(error).__name__, "message": message, "hint": hint}
        with contextlib.suppress(OutputError):  # stdout is what failed: it was said on stderr
            _print_result({"schema": SCHEMA, "status": "error", "error": told, "run_id": this_run.run_id}, "")


def _log_place(log_dir: Path | None) -> str:
    return shorten_home(str(log_dir / "voice_cloning.log")) if log_dir else "none could be written"


@contextlib.contextmanager
def _signals_exit() -> Iterator[None]:
    """SIGTERM and SIGHUP become SystemExit(128 + n): scratch files go, the log is ended; main thread only."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        __tracebackhide__ = True  # the run was interrupted where it was, not here
        raise SystemExit(128 + number)

    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    try:
        before = {number: signal.signal(number, leave) for number in wanted}
    except ValueError:  # not the main thread: somebody else's signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _utf8_streams() -> None:
    """Let names and messages of any script pass through a terminal or pipe of another encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
