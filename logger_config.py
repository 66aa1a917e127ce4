"""Logging, timing and memory for both scripts; ``python logger_config.py`` reports over past runs.

``setup_logging`` sends every event to ``logs/voice_cloning.log`` and warnings to the terminal; ``timed`` and
``span`` write the lines that say what ran, on what, for how long and with how much memory; ``run`` frames a
whole script and leaves its record in ``logs/runs.jsonl``.

It knows nothing of audio or speech, and imports neither torch nor NumPy: what it says of them it finds in
``sys.modules``. Spoken text is private: arguments are logged by what they are, a text by its length.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TextIO, TypeVar, cast, overload

from voicekit import run_history
from voicekit.complexity import complexity
from voicekit.errors import VoiceError
from voicekit.log_files import DatedFileHandler
from voicekit.log_lines import EventFormatter, SentenceFormatter, describe_error, module_name
from voicekit.log_values import duration, listing, size, summary
from voicekit.memory import MB, MemorySnapshot, memory_snapshot
from voicekit.run_frame import FOR_FILE, log_failure, log_torch_info, run
from voicekit.stage_clock import StageClock, Stopwatch, stage_clock

__all__ = [
    "LOGGER_LEVELS",
    "MemorySnapshot",
    "StageClock",
    "complexity",
    "log_torch_info",
    "main",
    "memory_snapshot",
    "run",
    "setup_logging",
    "span",
    "stage_clock",
    "timed",
]

P = ParamSpec("P")
R = TypeVar("R")

LOG_DIR = Path(__file__).resolve().parent / "logs"

# Other people's loggers that say at INFO and DEBUG what only their authors want to read: numba alone writes
# thousands of lines under librosa.
_NOISY = (
    "PIL TTS absl asyncio av coqpit filelock fontTools fsspec h5py httpcore httpcore2 httpx httpx2 huggingface_hub "
    "joblib matplotlib numba onnxruntime pydub.converter requests speechmos torch._dynamo torch._inductor "
    "torchaudio torchcodec torio trainer transformers urllib3"
)
# coqui's TTS says the spoken text at INFO, and these of its modules say it in a warning.
_INDISCREET = "TTS.tts.layers.xtts.tokenizer TTS.tts.layers.xtts.zh_num2words TTS.tts.utils.text.tokenizer"
LOGGER_LEVELS: Mapping[str, int] = {
    **dict.fromkeys(_NOISY.split(), logging.WARNING),
    **dict.fromkeys(_INDISCREET.split(), logging.ERROR),
}

_OURS = "_voice_cloning_handler"  # marks our handlers, also those of a second copy of this module
_logger = logging.getLogger("logger_config")


# --- setup -------------------------------------------------------------------------------------------------


def setup_logging(
    log_dir: str | os.PathLike[str] | None = None,
    *,
    console_level: int | None = None,
    file_level: int | None = None,
    stream: TextIO | None = None,
) -> Path | None:
    """Put our two handlers on the root logger, in place of earlier ones of ours; leave others alone.

    Args:
        log_dir: folder of the log; else ``VOICE_CLONING_LOG_DIR``, else ``logs/`` beside this file.
        console_level: DEBUG shows times and tracebacks, anything above it plain sentences; else
            ``VOICE_CLONING_CONSOLE_LEVEL``, else WARNING.
        file_level: else ``VOICE_CLONING_LOG_LEVEL``, else INFO.
        stream: the console, by default stderr.

    Returns:
        The folder in use: the asked one, or the platform's log folder where that cannot be written (with one
        warning), or None if the console is all there is.
    """
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if hasattr(each, _OURS)]:
        root.removeHandler(earlier)
        earlier.close()
    for name, level in LOGGER_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    console_level, warnings = _level(console_level, "VOICE_CLONING_CONSOLE_LEVEL", logging.WARNING)
    level, more = _level(file_level, "VOICE_CLONING_LOG_LEVEL", logging.INFO)
    handler, trouble = _open_log_file(log_dir)
    if handler:  # before the console: what somebody saw is in the file, even if the next moment was the last
        _add_handler(root, handler, level)
    _add_handler(root, _Console(stream), console_level)
    root.setLevel(min(console_level, level) if handler else console_level)
    for sentence in warnings + more + trouble:
        _logger.warning(sentence)
    return handler.folder if handler else None


class _Console(logging.StreamHandler[TextIO]):
    """Warnings of libraries and failures that the script reports itself are shown in debug mode only.

    Without a stream of its own it writes to what is stderr at that moment: a progress bar may stand in.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._chosen = stream

    def setLevel(self, level: int | str) -> None:
        super().setLevel(level)
        self.setFormatter(EventFormatter() if self.level <= logging.DEBUG else SentenceFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        for_file = record.name == "py.warnings" or getattr(record, "for_file", False)
        if self.level <= logging.DEBUG or not for_file:
            self.stream = self._chosen or sys.stderr
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A closed terminal is no reason to stop, and there is nobody to tell."""


def _add_handler(root: logging.Logger, handler: logging.Handler, level: int) -> None:
    setattr(handler, _OURS, True)
    handler.setLevel(level)
    root.addHandler(handler)


def _level(chosen: int | None, variable: str, default: int) -> tuple[int, list[str]]:
    """The level that was chosen, else that of the environment, else the default; and what is wrong with it."""
    name = os.environ.get(variable, "").strip().upper()
    if chosen is not None or not name:
        return chosen if chosen is not None else default, []
    level = logging.getLevelName(name)
    if isinstance(level, int):
        return level, []
    return default, [f"{variable}={name} is no level: use DEBUG, INFO, WARNING, ERROR or CRITICAL."]


def _open_log_file(log_dir: str | os.PathLike[str] | None) -> tuple[DatedFileHandler | None, list[str]]:
    wanted, failures = log_folder(log_dir), []
    for folder in (wanted, _platform_log_folder()):
        try:
            handler = DatedFileHandler(folder)
        except OSError as error:
            failures.append(f"{folder} ({error.strerror or error})")
            continue
        if not failures:
            return handler, []
        return handler, [f"The log cannot be written to {failures[0]}: it is in {folder}."]
    return None, [f"The log cannot be written to {' nor to '.join(failures)}: there is none of this run."]


def log_folder(log_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of the logs: the one given, `VOICE_CLONING_LOG_DIR`, or `logs` beside this file."""
    return Path(log_dir or os.environ.get("VOICE_CLONING_LOG_DIR") or LOG_DIR).expanduser()


def _platform_log_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_log_dir("voice-cloning", appauthor=False))


# --- stages, spans -----------------------------------------------------------------------------------------


class span(Stopwatch):
    """Times a block and says so: ``STARTED`` before it, ``DONE - Duration: 0.375s, ...`` after it.

    Args:
        name: what the block is called where it fails, and at DEBUG.
        started: the line before the block; None for none.
        done: the text before the duration; None leaves one line at DEBUG.
        logger: default: that of the calling module.
        stage: count the time for this stage of the current ``StageClock``. GPU work that is still queued when
            the block ends counts for the stage that waits for it.
        level: of the two lines.
        label: what the duration is called.
        memory: add the resident memory after the block and, last, that before it and at its peak.
        details: notes for the done line, as ``note`` takes them.

    In one line a step is timed: ``with span("Denoise", done="Denoised"): ...``. A failure is one line without a
    stack, which ``timed`` or ``run`` writes. Not around a ``yield``.
    """

    __slots__ = ("_done", "_label", "_level", "_logger", "_notes", "_started")

    def __init__(
        self,
        name: str,
        *,
        started: str | None = None,
        done: str | None = None,
        logger: logging.Logger | None = None,
        stage: str | None = None,
        level: int = logging.INFO,
        label: str = "Duration",
        memory: bool = False,
        **details: object,
    ) -> None:
        super().__init__(name, stage, memory=memory or None)
        self._logger = logger or _logger_of(sys._getframe(1).f_globals)
        self._started, self._done, self._level, self._label = started, done, level, label
        self._notes = details

    def note(self, **details: object) -> None:
        """Add ``key: value`` to the done line; an underscore in a key is written as a space."""
        self._notes.update(details)

    def count(self, **sizes: float) -> None:
        """Note how much is worked on (``codes=147``), and add it to what the stage of this block worked on."""
        self.note(**sizes)
        super().count(**sizes)

    def __enter__(self) -> Self:
        if self._started:
            self._logger.log(self._level, self._started)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(error)
        if error is not None:
            level = logging.DEBUG if self.is_nested else logging.ERROR
            line = "%s - FAILED - %s - Duration: %s"
            self._logger.log(level, line, self.name, describe_error(error), duration(self.seconds), extra=FOR_FILE)
            return
        level = self._level if self._done else logging.DEBUG
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s - %s", self._done or self.name, ", ".join(self._facts()))
        if self._inner_s:
            self._logger.debug("%s - Self time: %s", self.name, duration(self.self_seconds))

    def _facts(self) -> list[str]:
        memory = self.memory if self._wants_memory else None
        facts = [f"{self._label}: {duration(self.seconds)}"]
        if memory:
            facts.append(f"Memory: {size(memory.after_mb)}")
        for key, value in self._notes.items():
            facts.append(f"{key.replace('_', ' ')}: {f'{value:.6g}' if isinstance(value, float) else value}")
        if memory:
            more = memory.after_mb - memory.before_mb
            change = f"{'-' if more < 0 else '+'}{size(abs(more))}"
            facts.append(f"Memory before: {size(memory.before_mb)} ({change}), Peak: {size(memory.peak_mb)}")
        if memory and memory.cuda_peak_mb is not None:
            facts.append(f"CUDA peak: {size(memory.cuda_peak_mb)}")
        return facts


def _logger_of(module: Mapping[str, Any]) -> logging.Logger:
    return logging.getLogger(module_name(module.get("__name__", "root")))


# --- timed functions ---------------------------------------------------------------------------------------


@overload
def timed(func: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def timed(
    *, inputs: Sequence[str] = (), stage: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def timed(
    func: Callable[P, R] | None = None, /, *, inputs: Sequence[str] = (), stage: str | None = None
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Log a function's START, Input, Output and END with its execution time, or FAILED with the stack.

    Args:
        inputs: the arguments on the Input line, in this order, the others on a Settings line; by default all
            on the Input line.
        stage: see ``span``.

    An exception's stack is written once, by the innermost timed function that it leaves. Of a generator the time is
    counted that it works, not what its caller does between the items. A coroutine function is refused: its call
    only makes the coroutine, and that is what would be timed.
    """
    if func is None:
        return lambda function: _timed(function, inputs, stage)
    return _timed(func, inputs, stage)


def _timed(func: Callable[P, R], inputs: Sequence[str], stage: str | None) -> Callable[P, R]:
    if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(f"timed() cannot time {func.__qualname__}(), which runs after its call has returned")
    call = _Call(func, inputs, stage)
    if inspect.isgeneratorfunction(func):

        @functools.wraps(func)
        def items(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            return call.iterate(*args, **kwargs)

        return cast("Callable[P, R]", items)

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return cast("R", call.run(*args, **kwargs))

    return wrapper


class _Call:
    """Runs one timed function and says so."""

    def __init__(self, func: Callable[..., Any], inputs: Sequence[str], stage: str | None) -> None:
        self._func, self._inputs, self._stage = func, inputs, stage
        self._logger = logging.getLogger(module_name(func.__module__))
        self._name = func.__name__ if "<locals>" in func.__qualname__ else func.__qualname__
        self._signature = inspect.signature(func)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        self._begin(args, kwargs)
        watch = self._started()
        try:
            result = self._func(*args, **kwargs)
        except BaseException as error:
            self._fail(watch, error)
            raise
        watch.stop()
        kind, shown = type(result).__name__, summary(result)
        self._tell_output(shown if shown.startswith((kind, f"<{kind}")) else f"{kind} {shown}", [result])
        self._end(watch.seconds)
        return result

    def iterate(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """The items of a generator; the clock runs while it works, and stands still while its caller does."""
        items, count, active_s, first_s = self._func(*args, **kwargs), 0, 0.0, 0.0
        self._begin(args, kwargs)
        began = time.perf_counter()
        try:
            while True:
                watch = self._started()
                try:
                    item = next(items, _NO_MORE)
                except BaseException as error:
                    self._fail(watch, error, active_s)
                    raise
                watch.stop()
                active_s += watch.seconds
                if item is _NO_MORE:
                    break
                first_s, count = first_s or active_s, count + 1
                yield item
        finally:
            items.close()
        elapsed_s = time.perf_counter() - began
        facts = f"items: {count}, first after: {duration(first_s)}, with its caller: {duration(elapsed_s)}"
        self._tell_output(f"generator, {facts}", [])
        self._end(active_s)

    def _started(self) -> Stopwatch:
        watch = Stopwatch(self._name, self._stage)
        watch.start()
        return watch

    def _fail(self, watch: Stopwatch, error: BaseException, before_s: float = 0.0) -> None:
        watch.stop(error)
        log_failure(self._logger, f"{self._name}()", error, before_s + watch.seconds)

    def _begin(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._logger.info("%s() - START", self._name)
        if self._logger.isEnabledFor(logging.INFO):
            with contextlib.suppress(TypeError):  # wrong arguments: the call itself says so
                bound = self._signature.bind(*args, **kwargs)
                bound.apply_defaults()
                _log_input(self._logger, bound.arguments, self._inputs)

    def _tell_output(self, what: str, files: Sequence[object]) -> None:
        if self._logger.isEnabledFor(logging.INFO):
            self._logger.info("Output: %s", what)
            _log_files(self._logger, "Output file", files)

    def _end(self, seconds: float) -> None:
        self._logger.info("%s() - END - Total execution time: %.3fs", self._name, seconds)


_NO_MORE = object()


def _log_input(logger: logging.Logger, arguments: Mapping[str, object], inputs: Sequence[str]) -> None:
    given = {name: value for name, value in arguments.items() if name not in ("self", "cls")}
    first = {name: given.pop(name) for name in inputs if name in given} if inputs else given
    logger.info("Input: %s", listing(first) or "none")
    if inputs and given:
        logger.info("Settings: %s", listing(given))
    _log_files(logger, "Input file", list({**first, **given}.values()))


def _log_files(logger: logging.Logger, title: str, values: Sequence[object]) -> None:
    """Name and size of each value that is an existing file."""
    for value in values:
        if isinstance(value, (list, tuple)) and len(value) <= 16:
            _log_files(logger, title, value)
        elif isinstance(value, (str, os.PathLike)):
            with contextlib.suppress(OSError, ValueError):
                if os.path.isfile(value):
                    logger.info("%s: %s, Size: %s", title, value, size(os.path.getsize(value) / MB))


# --- the report --------------------------------------------------------------------------------------------

EXIT_REGRESSION = 4
EXAMPLES = """\
  python logger_config.py                       # what ran, how long, what failed, what got slower
  python logger_config.py --run last            # one run: what it did, what it cost, why it was slow
  python logger_config.py --since 7d --html report.html"""


def main(argv: Sequence[str] | None = None) -> int:
    """Report over the runs of a log folder on stdout; returns the exit status: 4 where something got slower."""
    from voicekit import run_records, run_report, run_text

    options = _parser().parse_args(argv)
    log_dir = log_folder(options.log_dir)
    try:
        runs = run_history.read_runs(log_dir)
        if options.run:
            return _tell_run(options.run, runs, as_json=options.json)
        report = run_report.report(runs, since_s=options.since, script=options.script)
        report["disk"] = run_records.disk_used(log_dir)
        if options.html:
            _write_page(Path(options.html), report, runs, overwrite=options.force)
        else:
            print(run_history.to_json(report) if options.json else run_text.as_text(report), flush=True)
    except BrokenPipeError:  # whoever reads has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError, VoiceError) as error:
        print(f"Error: {error} {getattr(error, 'hint', '')}".rstrip(), file=sys.stderr)
        return 1
    return EXIT_REGRESSION if run_report.has_regression(report) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        usage=f"%(prog)s [options]\n\nexamples:\n{EXAMPLES}\n\nReport over past runs of both scripts.",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--log-dir", metavar="DIR", help="folder of the logs (default: the scripts' own)")
    parser.add_argument("--since", metavar="PERIOD", type=_period, help="runs of that time only: 90m, 12h, 7d, 2w")
    parser.add_argument("--script", metavar="NAME", help="runs of that script only")
    parser.add_argument("--run", metavar="ID", help="one run, by its id or the start of it, or: last")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="as one JSON object")
    what.add_argument("--html", metavar="FILE", help="as one page with plots")
    parser.add_argument("--force", action="store_true", help="overwrite an existing page")
    return parser


def _tell_run(wanted: str, runs: Sequence[dict[str, Any]], *, as_json: bool) -> int:
    from voicekit import run_reasons, run_records

    found = run_records.find_run(runs, wanted)
    earlier = runs[: runs.index(found)]
    if as_json:
        print(run_history.to_json({**found, "explained": run_reasons.explain(found, earlier)}), flush=True)
    else:
        print(run_reasons.describe_run(found, earlier), flush=True)
    return 0


def _write_page(target: Path, report: dict[str, Any], runs: Sequence[dict[str, Any]], *, overwrite: bool) -> None:
    from voicekit import publishing, run_page

    publishing.write_whole(target, run_page.as_page(report, runs).encode(), overwrite=overwrite)
    print(target)


def _period(text: str) -> float:
    from voicekit import run_records

    try:
        return run_records.seconds_in(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    raise SystemExit(main())
